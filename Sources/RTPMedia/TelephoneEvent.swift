import Telephony

/// The payload of a telephone-event packet (RFC 4733 §2.3): four bytes.
package struct TelephoneEvent: Equatable, Sendable {
    /// 0–9 digits, 10 `*`, 11 `#`, 12–15 A–D, 16 flash; tones above.
    package var code: UInt8
    package var isEnd: Bool
    /// 0…63, in −dBm0. FreeSWITCH writes 13 whatever the sender wrote.
    package var volume: UInt8
    /// Samples since the event's timestamp.
    package var duration: UInt16

    package init(code: UInt8, isEnd: Bool, volume: UInt8 = 10, duration: UInt16) {
        self.code = code
        self.isEnd = isEnd
        self.volume = volume & 0x3F
        self.duration = duration
    }

    /// Nil for less than four bytes. More are redundant events (§2.5.1.5 leaves that to RFC 2198) and not read.
    package init?(parsing payload: UnsafeRawBufferPointer) {
        guard payload.count >= 4 else { return nil }
        self.init(
            code: payload[0], isEnd: payload[1] & 0x80 != 0, volume: payload[1], duration: payload.bigEndian16(at: 2))
    }

    package func write(into packet: inout [UInt8]) {
        packet.append(self.code)
        packet.append(self.volume | (self.isEnd ? 0x80 : 0))
        packet.appendBigEndian(self.duration)
    }

    private static let digits: [Character] = Array("0123456789*#ABCD")

    /// The key, for codes below 16.
    package var digit: Character? {
        self.code < 16 ? TelephoneEvent.digits[Int(self.code)] : nil
    }

    /// The code of a key.
    package static func code(of digit: Character) -> UInt8? {
        TelephoneEvent.digits.firstIndex(of: digit).map { UInt8($0) }
    }
}

/// Hears digits out of telephone-event packets: each once, whichever of its packets arrive (RFC 4733 §2.5).
///
/// An event's packets share a timestamp, and that is what makes them one event: not the marker bit, which may be lost, nor
/// the end bit, which comes three times or never.
package struct TelephoneEventReceiver: Sendable {
    package enum Report: Equatable, Sendable {
        /// A key went down: reported by the first of its packets that arrives, whichever that is.
        case began(Redacted<Character>)
        /// It went up, or another went down although no end was heard. The length is what the packets said.
        case ended(Redacted<Character>, lasted: Duration)
    }

    private struct Current {
        var timestamp: UInt32
        var code: UInt8
        /// Samples of the segments before this one (§2.5.1.3: events beyond 65 535 samples).
        var before: Int
        var duration: UInt16
        var hasEnded: Bool
        var newestSequence: Int64
        var lastHeard: Duration
    }

    private var current: Current?
    /// Events that are no key: flash, tones of modems.
    package private(set) var otherEvents = 0

    /// Without a packet for this long, a key is taken to be up (the end packets were lost).
    private static let silence: Duration = .milliseconds(300)

    package init() {}

    /// `sequence`: the packet's extended number.
    package mutating func received(
        _ event: TelephoneEvent, timestamp: UInt32, sequence: Int64, at now: Duration, _ report: (Report) -> Void
    ) {
        guard event.digit != nil else {
            self.otherEvents += 1
            return
        }
        guard var current = self.current else {
            self.begin(event, timestamp, sequence, now, report)
            return
        }
        if timestamp == current.timestamp, event.code == current.code {
            guard !current.hasEnded else { return }
            current.duration = max(current.duration, event.duration)
            current.newestSequence = max(current.newestSequence, sequence)
            current.lastHeard = now
            self.finish(&current, ifEnded: event.isEnd, report)
            return
        }
        // An old packet of an event that is over, or of one that never showed itself: too late either way.
        guard sequence > current.newestSequence else { return }
        if !current.hasEnded, event.code == current.code, self.continues(current, event, timestamp) {
            let step: UInt32 = timestamp &- current.timestamp
            // A segment's duration begins anew; a clock that runs on in every packet (Sonus) counts from the start.
            if event.duration < current.duration || step >= 0xFF00 { current.before += Int(step) }
            current.timestamp = timestamp
            current.duration = event.duration
            current.newestSequence = sequence
            current.lastHeard = now
            self.finish(&current, ifEnded: event.isEnd, report)
            return
        }
        if !current.hasEnded { self.finish(&current, ifEnded: true, report) }
        self.begin(event, timestamp, sequence, now, report)
    }

    /// Told of the time now and then: a key whose end packets were lost goes up.
    package mutating func elapsed(at now: Duration, _ report: (Report) -> Void) {
        guard var current = self.current, !current.hasEnded,
            now - current.lastHeard >= TelephoneEventReceiver.silence
        else { return }
        self.finish(&current, ifEnded: true, report)
    }

    /// The peer's clock began anew: no timestamp of before means anything.
    package mutating func sourceChanged(_ report: (Report) -> Void) {
        if var current = self.current, !current.hasEnded { self.finish(&current, ifEnded: true, report) }
        self.current = nil
    }

    private func continues(_ current: Current, _ event: TelephoneEvent, _ timestamp: UInt32) -> Bool {
        let step: UInt32 = timestamp &- current.timestamp
        // §2.5.1.3: the next segment begins where the last one's 16 bits were full.
        if step >= 0xFF00, step <= 0xFFFF { return current.duration >= 0x8000 }
        // A sender that moves the timestamp with the duration: the same start in all packets.
        return step > 0 && event.duration > current.duration
            && step == UInt32(event.duration) - UInt32(current.duration)
    }

    private mutating func begin(
        _ event: TelephoneEvent, _ timestamp: UInt32, _ sequence: Int64, _ now: Duration, _ report: (Report) -> Void
    ) {
        guard let digit = event.digit else { return }
        report(.began(Redacted(digit)))
        var current = Current(
            timestamp: timestamp, code: event.code, before: 0, duration: event.duration, hasEnded: false,
            newestSequence: sequence, lastHeard: now)
        self.finish(&current, ifEnded: event.isEnd, report)
    }

    /// Puts `current` back, ended or not.
    private mutating func finish(_ current: inout Current, ifEnded isEnded: Bool, _ report: (Report) -> Void) {
        if isEnded {
            current.hasEnded = true
            let digit = TelephoneEvent(code: current.code, isEnd: true, duration: 0).digit ?? "?"
            report(.ended(Redacted(digit), lasted: MediaClock.duration(current.before + Int(current.duration))))
        }
        self.current = current
    }
}
