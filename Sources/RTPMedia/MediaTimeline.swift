/// Puts the timestamps of whatever a peer sends on one line of samples that only goes forward.
///
/// Timestamps wrap, start anywhere, and jump: when the SSRC changes, when a switch bridges another channel, when a sender
/// stops its clock in a pause. The jitter buffer behind this sees none of it: after a jump the line is laid so that the
/// packet comes with the delay that packets had before.
package struct MediaTimeline: Sendable {
    /// How often the line was laid anew in mid-stream.
    package private(set) var jumps = 0

    /// The newest packet: its number, timestamp, place, and the place after its last sample.
    private var newest: (sequence: Int64, timestamp: UInt32, place: Int64, end: Int64)?
    /// The usual difference between arrival and place, in samples: a slow average of packets that came in time.
    private var delay: Int64 = 0
    /// Packets in a row that came too late to be played, and how late the first of them was.
    private var late: (count: Int, delay: Int64) = (0, 0)

    /// A place that is this far from the arrival cannot be jitter any more (500 ms).
    private static let farthest: Int64 = 4000
    /// Late packets of like lateness (100 ms) that show a new state of things and not a moment's trouble.
    private static let lateSpread: Int64 = 800
    private static let mostOverlap: Int64 = 480
    private static let lateEnough = 25
    private static let farLateEnough = 5

    package init() {}

    /// Where the packet's first sample lies. `isNewSource`: its numbers and timestamps have nothing to do with those before.
    /// Nil: an older packet whose timestamp cannot be.
    package mutating func place(
        timestamp: UInt32, sequence: Int64, samples: Int, marker: Bool, isNewSource: Bool, arrival: Int64
    ) -> Int64? {
        guard let newest = self.newest else {
            self.delay = 0
            self.note(sequence, timestamp, arrival, samples)
            return arrival
        }
        var place: Int64 = newest.place + Int64(Int32(bitPattern: timestamp &- newest.timestamp))
        let ahead: Int64 = self.delay - (arrival - place)
        let goesOn: Bool = !isNewSource && sequence > newest.sequence
        // Ahead of real time, or back in time although the number is newer, or a talkspurt whose clock stood still.
        let isJump: Bool =
            goesOn
            && (ahead > MediaTimeline.farthest || place < newest.place || (marker && ahead < -MediaTimeline.farthest))
        if isNewSource || isJump {
            // Not over what came before, unless that lies too far ahead to be waited for.
            let usual: Int64 = arrival - self.delay
            place = max(usual, min(newest.end, usual + MediaTimeline.mostOverlap))
            self.jumps += 1
            self.late.count = 0
            self.note(sequence, timestamp, place, samples)
        } else if goesOn {
            self.note(sequence, timestamp, place, samples)
        } else if place > newest.place || newest.place - place > MediaTimeline.farthest {
            return nil
        }
        return place
    }

    /// A packet could be played: its delay is a usual one.
    package mutating func cameInTime(place: Int64, arrival: Int64) {
        self.late.count = 0
        self.delay += (arrival - place - self.delay) / 16
    }

    /// A packet came too late. When all packets do and are alike, the way has become longer (or the sender's clock stood
    /// still in a pause without a marker): the line is moved, and the packet's new place is the answer.
    package mutating func cameLate(place: Int64, arrival: Int64) -> Int64? {
        let delay: Int64 = arrival - place
        if self.late.count == 0 || abs(delay - self.late.delay) > MediaTimeline.lateSpread {
            self.late = (1, delay)
            return nil
        }
        self.late.count += 1
        let isFar: Bool = delay - self.delay > MediaTimeline.farthest
        guard self.late.count >= (isFar ? MediaTimeline.farLateEnough : MediaTimeline.lateEnough),
            let newest = self.newest
        else { return nil }
        self.late.count = 0
        self.jumps += 1
        let shift: Int64 = delay - self.delay
        self.newest = (newest.sequence, newest.timestamp, newest.place + shift, newest.end + shift)
        return place + shift
    }

    private mutating func note(_ sequence: Int64, _ timestamp: UInt32, _ place: Int64, _ samples: Int) {
        self.newest = (sequence, timestamp, place, place + Int64(samples))
    }
}
