import Telephony
import Testing

@testable import Conversation

/// 8 kHz L16: 20 ms are 320 bytes, so that times are easy to read.
private let leg = PlayoutTraits(lead: .milliseconds(60), canFlush: true)
private let item = PlayoutItem(session: 1, number: 1)

private func makePlayout(_ traits: PlayoutTraits = leg) -> Playout {
    Playout(format: .l16(.narrowband), traits: traits)
}

extension Playout {
    fileprivate mutating func add(_ duration: Duration, of item: PlayoutItem, at now: Duration) -> Bool {
        let bytes = [UInt8](repeating: 7, count: self.format.bytes(in: duration))
        return bytes.withUnsafeBytes { self.enqueue($0, of: item, at: now) }
    }

    /// Sends all that is due at `now`; the number of frames.
    fileprivate mutating func send(at now: Duration) -> Int {
        var frame: [UInt8] = []
        var count = 0
        while self.nextFrame(at: now, into: &frame).isDue { count += 1 }
        return count
    }

    /// Sends frames as they fall due until `end`; the times at which each left.
    fileprivate mutating func run(from start: Duration, to end: Duration) -> [Duration] {
        var sent: [Duration] = []
        var now = start
        while let due = self.nextDue, max(due, now) <= end {
            now = max(due, now)
            sent += Array(repeating: now, count: self.send(at: now))
        }
        return sent
    }
}

@Suite struct PlayoutTests {
    @Test("The first frame leaves at once, the lead with it, then one frame every 20 ms on absolute deadlines")
    func pacing() {
        var playout = makePlayout()
        do {
            let outcome = playout.add(.milliseconds(200), of: item, at: .milliseconds(5))
            #expect(outcome)
        }
        let sent = playout.run(from: .milliseconds(5), to: .seconds(1)).map { $0.milliseconds }
        #expect(sent == [5, 5, 5, 5, 25, 45, 65, 85, 105, 125])
    }

    @Test("A late tick catches up instead of moving the schedule")
    func lateTick() {
        var playout = makePlayout()
        _ = playout.add(.seconds(1), of: item, at: .zero)
        _ = playout.send(at: .zero)
        // 50 ms late: the frames due at 20, 40 and (with the lead) up to 110 leave together.
        do {
            let outcome = playout.send(at: .milliseconds(50))
            #expect(outcome == 2)
        }
        #expect(playout.nextDue == .milliseconds(60))
        #expect(playout.underruns == 0)
    }

    @Test(
        "What was heard follows the clock, never what was sent or received",
        arguments: [
            (0, 0), (100, 100), (399, 399), (400, 400), (900, 400),
        ])
    func heard(at now: Int, expected: Int) {
        var playout = makePlayout()
        _ = playout.add(.milliseconds(400), of: item, at: .zero)
        playout.finish(item)
        _ = playout.run(from: .zero, to: .milliseconds(now))
        #expect(playout.heard(of: item, at: .milliseconds(now)).milliseconds == expected)
        #expect(playout.received(of: item) == .milliseconds(400))
    }

    @Test("The leg's latency is subtracted from what was heard")
    func latency() {
        var playout = makePlayout(PlayoutTraits(lead: .milliseconds(60), latency: .milliseconds(100), canFlush: true))
        _ = playout.add(.milliseconds(400), of: item, at: .zero)
        _ = playout.run(from: .zero, to: .milliseconds(250))
        #expect(playout.heard(of: item, at: .milliseconds(250)) == .milliseconds(150))
    }

    @Test("A pause takes back what was sent but not heard, and a resume plays exactly the rest")
    func pauseAndResume() {
        var playout = makePlayout()
        _ = playout.add(.milliseconds(200), of: item, at: .zero)
        playout.finish(item)
        _ = playout.run(from: .zero, to: .milliseconds(90))
        playout.pause(at: .milliseconds(90))
        #expect(playout.nextDue == nil)
        #expect(playout.heard(of: item, at: .milliseconds(500)) == .milliseconds(90))
        playout.resume()
        let sent = playout.run(from: .milliseconds(500), to: .seconds(2))
        // 110 ms are left: five whole frames and a padded half.
        #expect(sent.count == 6)
        #expect(playout.heard(of: item, at: .seconds(2)) == .milliseconds(200))
        #expect(playout.underruns == 0)
    }

    @Test("A confirmed barge-in accounts for every item: heard, half heard, not heard")
    func discard() {
        var playout = makePlayout()
        let second = PlayoutItem(session: 1, number: 2)
        _ = playout.add(.milliseconds(100), of: item, at: .zero)
        _ = playout.add(.milliseconds(300), of: second, at: .zero)
        _ = playout.run(from: .zero, to: .milliseconds(250))
        let cut = playout.discard(at: .milliseconds(250))
        #expect(cut == [.init(item: second, heard: .milliseconds(150), received: .milliseconds(300))])
        #expect(!playout.isSounding(at: .milliseconds(250)))
        #expect(playout.nextDue == nil)
    }

    @Test("After a barge-in the next answer starts a clean account")
    func afterDiscard() {
        var playout = makePlayout()
        _ = playout.add(.milliseconds(300), of: item, at: .zero)
        _ = playout.run(from: .zero, to: .milliseconds(100))
        _ = playout.discard(at: .milliseconds(100))
        let next = PlayoutItem(session: 1, number: 2)
        _ = playout.add(.milliseconds(100), of: next, at: .seconds(1))
        do {
            let outcome = playout.send(at: .seconds(1))
            #expect(outcome == 4)
        }
        #expect(playout.heard(of: next, at: .milliseconds(1040)) == .milliseconds(40))
        #expect(playout.heard(of: item, at: .milliseconds(1040)) == .zero)
    }

    @Test("Dry inside an item is an underrun; dry between items is not")
    func underruns() {
        var playout = makePlayout()
        _ = playout.add(.milliseconds(40), of: item, at: .zero)
        _ = playout.run(from: .zero, to: .milliseconds(40))
        _ = playout.add(.milliseconds(40), of: item, at: .milliseconds(100))
        _ = playout.send(at: .milliseconds(100))
        #expect(playout.underruns == 1)
        #expect(playout.underrunTime == .milliseconds(60))
        playout.finish(item)
        let second = PlayoutItem(session: 1, number: 2)
        _ = playout.add(.milliseconds(40), of: second, at: .seconds(3))
        _ = playout.send(at: .seconds(3))
        #expect(playout.underruns == 1)
    }

    @Test("A leg with a warm-up gets silence after a short utterance, until it plays it")
    func warmUp() {
        var playout = makePlayout(
            PlayoutTraits(lead: .milliseconds(440), warmUp: .milliseconds(400), canFlush: true))
        _ = playout.add(.milliseconds(100), of: item, at: .zero)
        playout.finish(item)
        do {
            let outcome = playout.run(from: .zero, to: .seconds(1)).count
            #expect(outcome == 20)
        }
    }

    @Test(
        "A leg with a warm-up that is fed in real time: heard counts from when it was full, and nothing is an underrun")
    func warmUpInRealTime() {
        var playout = makePlayout(
            PlayoutTraits(lead: .milliseconds(440), warmUp: .milliseconds(400), canFlush: true))
        var now: Duration = .zero
        var first: Duration?
        for _ in 0..<50 {
            _ = playout.add(.milliseconds(20), of: item, at: now)
            if playout.send(at: now) > 0, first == nil { first = now }
            now += .milliseconds(20)
        }
        // The twentieth frame fills the leg: the first one sounds then, not 380 ms before.
        #expect(first == .milliseconds(380))
        #expect(playout.heard(of: item, at: .seconds(1)) == .milliseconds(620))
        #expect(playout.underruns == 0)
    }

    @Test("A leg with a warm-up that ran dry inside an item is filled again before it counts as playing")
    func warmUpAgain() {
        var playout = makePlayout(
            PlayoutTraits(lead: .milliseconds(440), warmUp: .milliseconds(400), canFlush: true))
        _ = playout.add(.milliseconds(400), of: item, at: .zero)
        _ = playout.run(from: .zero, to: .milliseconds(500))
        _ = playout.add(.milliseconds(200), of: item, at: .milliseconds(600))
        do {
            let outcome = playout.send(at: .milliseconds(600))
            #expect(outcome == 0)
        }
        #expect(playout.nextDue == nil)
        _ = playout.add(.milliseconds(200), of: item, at: .milliseconds(700))
        do {
            let outcome = playout.send(at: .milliseconds(700))
            #expect(outcome == 20)
        }
        #expect(playout.underruns == 1)
        #expect(playout.underrunTime == .milliseconds(300))
        #expect(playout.heard(of: item, at: .milliseconds(800)) == .milliseconds(500))
    }

    @Test("A whole frame is kept until it is full, and the tail of a finished item is padded")
    func tail() {
        var playout = makePlayout()
        _ = playout.add(.milliseconds(30), of: item, at: .zero)
        do {
            let outcome = playout.send(at: .zero)
            #expect(outcome == 1)
        }
        playout.finish(item)
        var frame: [UInt8] = []
        do {
            let outcome = playout.nextFrame(at: .zero, into: &frame).isDue
            #expect(outcome)
        }
        #expect(frame.count == 320)
        #expect(frame[159] == 7 && frame[160] == 0)
    }

    @Test("The store refuses what is beyond its limit, and keeps what it has")
    func limit() {
        var playout = Playout(format: .l16(.narrowband), traits: leg, maximum: .seconds(1))
        do {
            let outcome = playout.add(.seconds(1), of: item, at: .zero)
            #expect(outcome)
        }
        do {
            let outcome = playout.add(.milliseconds(20), of: item, at: .zero)
            #expect(!outcome)
        }
        #expect(playout.received(of: item) == .seconds(1))
    }

    @Test("A leg that cannot be flushed has heard what was sent")
    func noFlush() {
        var playout = makePlayout(PlayoutTraits(lead: .milliseconds(40), canFlush: false))
        _ = playout.add(.milliseconds(400), of: item, at: .zero)
        _ = playout.run(from: .zero, to: .milliseconds(100))
        let cut = playout.discard(at: .milliseconds(100))
        #expect(cut.first?.heard == .milliseconds(160))
    }

    @Test("Ten minutes in pieces stay exact, and memory does not grow with them")
    func longCall() {
        var playout = makePlayout()
        var now: Duration = .zero
        for _ in 0..<6000 {
            do {
                let outcome = playout.add(.milliseconds(100), of: item, at: now)
                #expect(outcome)
            }
            _ = playout.run(from: now, to: now + .milliseconds(99))
            now += .milliseconds(100)
        }
        #expect(playout.underruns == 0)
        #expect(playout.heard(of: item, at: now) == .seconds(600))
        #expect(playout.sentBytes == 600 * 16000)
    }
}
