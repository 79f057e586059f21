import Audio
import RTPMedia
import Telephony
import Testing

@Suite("The jitter buffer, drawn") struct JitterBufferTests {
    @Test(
        "Holes are filled, pauses are pauses",
        arguments: [
            // Two frames are kept at the start: 40 ms.
            (sent: "##########", given: "__AAAAAAAA", lost: 0, made: 0),
            (sent: "####-#####", given: "__AAAAxAAA", lost: 1, made: 20),
            (sent: "####--####", given: "__AAAAxxAA", lost: 2, made: 40),
            (sent: "###<######", given: "__AAAAAAAA", lost: 0, made: 0),
            (sent: "##2222####", given: "__AAAAAAAA", lost: 0, made: 0),
            // Nothing is missing after a pause: what faded out in its first 60 ms was no loss.
            (sent: "#####.....#####...", given: "__AAAAAxxx__AAAAAx", lost: 0, made: 0),
            // Announced by comfort noise, a pause is heard as one.
            (sent: "#####c....#####...", given: "__AAAAAnnnnnAAAAAx", lost: 0, made: 0),
            // A loss at the end of a talkspurt.
            (sent: "####-.....#####...", given: "__AAAAxxxx__AAAAAx", lost: 1, made: 20),
        ])
    func drawn(sent: String, given: String, lost: Int, made: Int) {
        var leg = DrawnLeg()
        #expect(leg.send(sent) == given)
        #expect(leg.receiver.statistics.packetsLost == lost)
        #expect(leg.receiver.statistics.audioConcealed == .milliseconds(made))
        #expect(leg.codes.count == 160 * sent.count)
    }

    @Test("Without loss every frame is the peer's own codes", arguments: [G711.Law.mu, .a])
    func passThrough(law: G711.Law) {
        var leg = DrawnLeg(.init(law: law))
        let given: String = leg.send(String(repeating: "#", count: 40))
        #expect(given == "__" + String(repeating: "A", count: 38))
        for tick in 2..<40 { #expect(leg.given(tick) == DrawnLeg.frame(tick - 2)) }
        #expect(leg.given(0) == [UInt8](repeating: law.silence, count: 160))
    }

    @Test("The other law, where both were agreed, is translated; else it is refused") func otherLaw() {
        for isAccepted in [true, false] {
            var leg = DrawnLeg(.init(law: .a, acceptsOtherLaw: isAccepted))
            for _ in 0..<5 {
                leg.deliver(leg.packet(type: 0, payload: [UInt8](repeating: 0x80, count: 160)))
                _ = leg.pull()
            }
            #expect(leg.receiver.statistics.packetsInvalid == (isAccepted ? 0 : 5))
            // The loudest of one law is the loudest of the other.
            #expect(leg.given(4) == [UInt8](repeating: isAccepted ? 0xAA : G711.Law.a.silence, count: 160))
        }
    }

    @Test("Packets of any length make frames of 20 ms", arguments: [40, 80, 240, 320, 480, 161, 1600])
    func lengths(samples: Int) throws {
        var leg = DrawnLeg(.init(law: .mu, limits: try .init(minimum: 60, maximum: 250, target: nil)))
        var sent = 0
        while leg.tick < 200 {
            while sent + samples <= leg.tick * 160 + 160 {
                leg.timestamp = UInt32(sent)
                leg.deliver(
                    leg.packet(type: 0, payload: (0..<samples).map { UInt8(truncatingIfNeeded: (sent + $0) / 160) }))
                sent += samples
            }
            _ = leg.pull()
        }
        #expect(leg.receiver.statistics.packetsLost == 0)
        #expect(leg.receiver.statistics.audioConcealed == .zero)
        // In order, without a hole: each value 160 times, give or take where the depth was changed.
        let audio: [UInt8] = leg.codes.suffix(160 * 100)
        #expect(zip(audio, audio.dropFirst()).allSatisfy { $1 == $0 || $1 == $0 &+ 1 })
    }

    @Test("Empty packets and packets beyond 200 ms are refused") func refusedLengths() {
        var leg = DrawnLeg()
        leg.deliver(leg.packet(type: 0, payload: []))
        leg.deliver(leg.packet(type: 0, payload: [UInt8](repeating: 0, count: 1601)))
        leg.deliver(leg.packet(type: 13, payload: []))
        leg.deliver(leg.packet(type: 101, payload: [1]))
        leg.deliver(leg.packet(type: 96, payload: [1, 2, 3]))
        #expect(leg.receiver.statistics.packetsInvalid == 5)
        #expect(leg.pull() == "_")
    }

    @Test("A packet that comes after its time is late, and the depth grows until it would not be") func late() {
        var leg = DrawnLeg()
        _ = leg.send(String(repeating: "#", count: 20) + "l" + String(repeating: "#", count: 20))
        let statistics: RTPStatistics = leg.receiver.statistics
        #expect(statistics.packetsLate == 1)
        #expect(statistics.packetsLost == 0)
        #expect(statistics.audioConcealed == .milliseconds(20))
        #expect(leg.receiver.depth == .milliseconds(60))
    }

    @Test("Another SSRC is believed at its second packet; its clock may stand anywhere") func sourceChange() {
        var leg = DrawnLeg()
        _ = leg.send(String(repeating: "#", count: 60))
        leg.ssrc = 7
        leg.number = 12_345
        leg.timestamp = 99
        let given: String = leg.send(String(repeating: "#", count: 20))
        #expect(given.suffix(15).allSatisfy { $0 == "A" || $0 == "~" })
        #expect(leg.events.filter { $0 == .sourceChanged }.count == 1)
        let statistics: RTPStatistics = leg.receiver.statistics
        #expect(statistics.sourceChanges == 1)
        #expect(statistics.packetsReceived == 79)
        #expect(statistics.packetsLost == 0)
    }

    @Test("A stray SSRC changes nothing") func straySource() {
        var leg = DrawnLeg()
        _ = leg.send("##########")
        let (number, timestamp) = (leg.number, leg.timestamp)
        leg.ssrc = 7
        leg.deliver(leg.audio())
        (leg.ssrc, leg.number, leg.timestamp) = (0xCB28_DBA0, number, timestamp)
        #expect(leg.send("##########") == "AAAAAAAAAA")
        #expect(!leg.events.contains(.sourceChanged))
    }

    @Test("A clock that jumps in mid-stream costs nothing", arguments: [1_000_000, UInt32.max - 1_000_000])
    func jump(by step: UInt32) {
        var leg = DrawnLeg()
        _ = leg.send(String(repeating: "#", count: 20))
        leg.timestamp &+= step
        #expect(leg.send(String(repeating: "#", count: 20)).allSatisfy { $0 == "A" })
        #expect(leg.receiver.statistics.timelineJumps == 1)
        #expect(leg.receiver.statistics.audioConcealed == .zero)
    }

    @Test(
        "A clock that stands still in a pause is followed: at once with a marker, else soon", arguments: [true, false])
    func frozenClock(marker: Bool) {
        var leg = DrawnLeg()
        _ = leg.send(String(repeating: "#", count: 20))
        let timestamp: UInt32 = leg.timestamp
        _ = leg.send(String(repeating: ".", count: 100))
        leg.timestamp = timestamp
        leg.marker = marker
        let given: String = leg.send(String(repeating: "#", count: 60))
        #expect(given.suffix(50).allSatisfy { $0 == "A" || $0 == "~" })
        #expect(leg.receiver.statistics.timelineJumps == 1)
        #expect(leg.receiver.statistics.packetsLate <= (marker ? 0 : 6))
        #expect(leg.receiver.depth <= .milliseconds(60))
    }

    @Test("After a longer way was taken (a step of 150 ms), audio comes back within a second") func longerWay() {
        var leg = DrawnLeg()
        _ = leg.send(String(repeating: "#", count: 100))
        // The packets of 7 ticks are under way and come no sooner than everything after them.
        var underWay: [[UInt8]] = (0..<7).map { _ in leg.audio() }
        for _ in 0..<7 { _ = leg.pull() }
        var given = ""
        for _ in 0..<100 {
            underWay.append(leg.audio())
            leg.deliver(underWay.removeFirst())
            given += leg.pull()
        }
        #expect(given.suffix(50).allSatisfy { $0 == "A" || $0 == "~" })
        #expect(leg.receiver.statistics.packetsLost == 0)
    }

    @Test("The backlog of a stall is not kept: the caller is soon near again") func stall() {
        var leg = DrawnLeg()
        _ = leg.send(String(repeating: "#", count: 100))
        let backlog: [[UInt8]] = (0..<30).map { _ in leg.audio() }
        for _ in 0..<30 { _ = leg.pull() }
        for bytes in backlog { leg.deliver(bytes) }
        let given: String = leg.send(String(repeating: "#", count: 100))
        #expect(given.suffix(80).allSatisfy { $0 == "A" || $0 == "~" })
        // The frame that was given last is one of the last four that were sent.
        let last: [UInt8] = leg.given(leg.tick - 1)
        #expect((1...5).contains { DrawnLeg.frame(leg.tick - $0) == last })
    }

    @Test("A burst at the start of a call does not stay as delay") func openingBurst() {
        var leg = DrawnLeg()
        let backlog: [[UInt8]] = (0..<15).map { _ in leg.audio() }
        leg.tick = 15
        leg.codes = [UInt8](repeating: 0, count: 15 * 160)
        for bytes in backlog { leg.deliver(bytes) }
        let given: String = leg.send(String(repeating: "#", count: 200))
        #expect(given.contains("x"))
        #expect(given.suffix(150).allSatisfy { $0 == "A" || $0 == "~" })
        #expect(leg.receiver.depth == .milliseconds(20))
        // 300 ms at first; what could not be cut out of this noise without harm is at most two frames.
        #expect(leg.receiver.statistics.depthMean < .milliseconds(70))
    }

    @Test("Hold: what waits is thrown away, and the call goes on behind it") func hold() {
        var leg = DrawnLeg()
        _ = leg.send("##########")
        leg.receiver.clear()
        #expect(leg.pull() == "_")
        leg.timestamp &+= 160 * 101
        leg.tick += 100
        leg.codes += [UInt8](repeating: 0, count: 100 * 160)
        #expect(leg.send("##########").hasSuffix("AAAAAA"))
        #expect(leg.receiver.statistics.packetsLost == 0)
        #expect(leg.receiver.statistics.audioConcealed == .zero)
    }

    @Test(
        "Limits: what is set is honoured, and moves what is not",
        arguments: [
            (nil, nil, nil, 20, 200, 40), (60, 200, 100, 60, 200, 100), (nil, 60, nil, 20, 60, 40),
            (80, nil, nil, 80, 200, 80), (nil, nil, 300, 20, 300, 300), (nil, 10, nil, 10, 10, 10), (0, 0, 0, 0, 0, 0),
        ] as [(Int?, Int?, Int?, Int, Int, Int)])
    func limits(minimum: Int?, maximum: Int?, target: Int?, low: Int, high: Int, start: Int) throws {
        let limits = try JitterBuffer.Limits(minimum: minimum, maximum: maximum, target: target)
        #expect(limits.minimum == .milliseconds(low))
        #expect(limits.maximum == .milliseconds(high))
        #expect(limits.target == .milliseconds(start))
    }

    @Test("Limits that contradict one another name the settings") func contradictions() {
        #expect(throws: JitterLimitsError.crossed(minimum: 100, maximum: 50)) {
            try JitterBuffer.Limits(minimum: 100, maximum: 50, target: nil)
        }
        #expect(throws: JitterLimitsError.targetOutside(target: 300, minimum: 60, maximum: 200)) {
            try JitterBuffer.Limits(minimum: 60, maximum: 200, target: 300)
        }
        #expect(throws: JitterLimitsError.outOfRange(setting: "RTP_JITTER_MAX_MS", milliseconds: 501)) {
            try JitterBuffer.Limits(minimum: nil, maximum: 501, target: nil)
        }
        #expect("\(JitterLimitsError.crossed(minimum: 100, maximum: 50))".contains("RTP_JITTER_MIN_MS"))
    }

    @Test("The minimum is kept on a perfect network, the start depth at first", arguments: [60, 100, 200])
    func minimum(depth: Int) throws {
        var leg = DrawnLeg(.init(law: .mu, limits: try .init(minimum: depth, maximum: 200, target: nil)))
        let given: String = leg.send(String(repeating: "#", count: 200))
        #expect(given.prefix { $0 == "_" }.count == depth / 20)
        #expect(leg.receiver.depth == .milliseconds(depth))
        #expect(leg.receiver.statistics.depthMean == .milliseconds(depth))
    }

    @Test("Digits leave a hole that is no loss") func digits() {
        var leg = DrawnLeg()
        _ = leg.send(String(repeating: "#", count: 20))
        let start: UInt32 = leg.timestamp
        var meanwhile = ""
        for step in 1...10 {
            let after: UInt32 = leg.timestamp &+ 160
            leg.timestamp = start
            leg.marker = step == 1
            leg.deliver(leg.packet(type: 101, payload: [7, step >= 8 ? 0x8D : 0x0D, 0, UInt8(step * 16)]))
            leg.timestamp = after
            meanwhile += leg.pull()
        }
        #expect(meanwhile == "AA________")
        #expect(leg.send(String(repeating: "#", count: 20)).suffix(15).allSatisfy { $0 == "A" })
        let digits = leg.events.filter { if case .digitBegan = $0 { true } else { false } }
        #expect(digits == [.digitBegan(Redacted("7"))])
        #expect(leg.receiver.statistics.packetsLost == 0)
        #expect(leg.receiver.statistics.audioConcealed == .zero)
        #expect(leg.receiver.statistics.digits == 1)
    }
}
