import RTPMedia
import Testing

@Suite("Sequence numbers (RFC 3550 A.1, A.3)") struct RTPSequenceTests {
    @Test("Numbers go on beyond 65 535") func wrap() {
        var sequence = RTPSequence()
        var extended: [Int64] = []
        for number: UInt16 in [65_534, 65_535, 0, 1] {
            guard case .ahead(let number, missing: 0) = sequence.accept(number) else {
                Issue.record("a number in order was not taken")
                return
            }
            extended.append(number)
        }
        #expect(zip(extended, extended.dropFirst()).allSatisfy { $1 == $0 + 1 })
        #expect(sequence.expected == 4)
        #expect(sequence.lost == 0)
        // The wrap is in the upper half of what a report says.
        #expect(sequence.reportedHighest == 0x0001_0001)
    }

    @Test("A hole is a loss until the missing one comes") func reordered() {
        var sequence = RTPSequence()
        _ = sequence.accept(10)
        guard case .ahead(let third, missing: 1) = sequence.accept(12) else {
            Issue.record("12 was not taken after 10")
            return
        }
        #expect(sequence.lost == 1)
        #expect(sequence.missing(between: third - 2, and: third) == 1)
        #expect(sequence.accept(11) == .reordered(third - 1))
        #expect(sequence.lost == 0)
        #expect(sequence.missing(between: third - 2, and: third) == 0)
        #expect(sequence.accept(11) == .duplicate(third - 1))
        #expect(sequence.duplicates == 1)
        #expect(sequence.received == 3)
    }

    @Test("What was sent first may come second, at the very beginning too") func reorderedAtTheStart() {
        var sequence = RTPSequence()
        _ = sequence.accept(1)
        guard case .reordered = sequence.accept(0), case .reordered = sequence.accept(65_535) else {
            Issue.record("older packets were not taken")
            return
        }
        #expect(sequence.expected == 3)
        #expect(sequence.lost == 0)
    }

    @Test("One number from nowhere is dropped, two in a row are a source that began anew") func restart() {
        var sequence = RTPSequence()
        for number: UInt16 in 0..<10 { _ = sequence.accept(number) }
        #expect(sequence.accept(40_000) == .implausible)
        #expect(sequence.accept(10) == .ahead(0x0001_000A, missing: 0))
        #expect(sequence.accept(40_000) == .implausible)
        guard case .restarted(let extended) = sequence.accept(40_001) else {
            Issue.record("a restart was not believed")
            return
        }
        #expect(extended > 0x0001_000A)
        #expect(sequence.restarts == 1)
        #expect(sequence.received == 12)
        // The one that was dropped was sent and not heard.
        #expect(sequence.lost == 1)
    }

    @Test("The next source's numbers lie above, and between the two nothing is missing") func successor() {
        var sequence = RTPSequence()
        guard case .ahead(let last, _) = sequence.accept(50_000) else {
            Issue.record("the first packet was not taken")
            return
        }
        var next: RTPSequence = sequence.successor()
        guard case .ahead(let first, _) = next.accept(3) else {
            Issue.record("the first packet was not taken")
            return
        }
        #expect(first > last)
        #expect(next.missing(between: last, and: first) == 0)
    }

    @Test("A report's fraction is of its own interval") func fraction() {
        var sequence = RTPSequence()
        for number: UInt16 in 0..<100 where number % 4 != 1 { _ = sequence.accept(number) }
        #expect(sequence.takeFractionLost() == 64)
        for number: UInt16 in 100..<200 { _ = sequence.accept(number) }
        #expect(sequence.takeFractionLost() == 0)
        #expect(sequence.takeFractionLost() == 0)
        #expect(sequence.lost == 25)
    }

    @Test("3000 lost in a row are a hole; 3001 are a number from nowhere") func dropout() {
        var sequence = RTPSequence()
        _ = sequence.accept(0)
        #expect(sequence.accept(3000) == .implausible)
        #expect(sequence.accept(2999) == .ahead(0x0001_0000 + 2999, missing: 2998))
    }
}

@Suite("Whose packets are the caller's (symmetric RTP)") struct RTPSourceLatchTests {
    private let announced = RTPAddress(ipv4: 0x0A00_0001, port: 4000)
    private let otherPort = RTPAddress(ipv4: 0x0A00_0001, port: 5000)
    private let stranger = RTPAddress(ipv4: 0x0A00_0009, port: 4000)

    @Test("The announced address is believed at once") func announcedFirst() {
        var latch = RTPSourceLatch(announced: self.announced)
        #expect(latch.judge(self.packet(1), from: self.announced, at: .zero) == .latched)
        #expect(latch.judge(self.packet(2), from: self.announced, at: .zero) == .accepted)
        #expect(latch.remote == self.announced)
    }

    @Test("Another port of its host is believed after two packets in order") func otherPortOfHost() {
        var latch = RTPSourceLatch(announced: self.announced)
        #expect(latch.judge(self.packet(1), from: self.otherPort, at: .zero) == .refused)
        #expect(latch.remote == self.announced)
        #expect(latch.judge(self.packet(3), from: self.otherPort, at: .zero) == .refused)
        #expect(latch.judge(self.packet(4), from: self.otherPort, at: .zero) == .latched)
        #expect(latch.remote == self.otherPort)
        #expect(latch.moves == 0)
    }

    @Test("A stranger never is, unless any host may be the caller's") func strangers() {
        var strict = RTPSourceLatch(announced: self.announced)
        var open = RTPSourceLatch(announced: self.announced, policy: .anyHost)
        for number: UInt16 in 0..<10 {
            #expect(strict.judge(self.packet(number), from: self.stranger, at: .zero) == .refused)
        }
        #expect(strict.refused == 10)
        _ = open.judge(self.packet(0), from: self.stranger, at: .zero)
        #expect(open.judge(self.packet(1), from: self.stranger, at: .zero) == .latched)
    }

    @Test("Nobody takes a call over from a source that speaks") func noTakeOver() {
        var latch = RTPSourceLatch(announced: self.announced, policy: .anyHost)
        for number: UInt16 in 0..<200 {
            let now: Duration = .milliseconds(20 * Int(number))
            _ = latch.judge(self.packet(number), from: self.announced, at: now)
            #expect(latch.judge(self.packet(number), from: self.stranger, at: now) == .refused)
        }
        #expect(latch.remote == self.announced)
        #expect(latch.refused == 200)
    }

    @Test("From a source that has fallen silent, after five packets in order") func takeOver() {
        var latch = RTPSourceLatch(announced: self.announced, policy: .anyHost)
        _ = latch.judge(self.packet(0), from: self.announced, at: .zero)
        for number: UInt16 in 0..<4 {
            #expect(latch.judge(self.packet(number), from: self.stranger, at: .seconds(2)) == .refused)
        }
        #expect(latch.judge(self.packet(4), from: self.stranger, at: .seconds(2)) == .latched)
        #expect(latch.moves == 1)
        #expect(latch.remote == self.stranger)
    }

    @Test("A re-INVITE with another address opens it, with the same one it does not") func announcing() {
        var latch = RTPSourceLatch(announced: self.announced)
        _ = latch.judge(self.packet(0), from: self.announced, at: .zero)
        latch.announce(self.announced)
        #expect(latch.judge(self.packet(1), from: self.announced, at: .zero) == .accepted)
        latch.announce(self.stranger)
        #expect(latch.remote == self.stranger)
        #expect(latch.judge(self.packet(0), from: self.stranger, at: .zero) == .latched)
        #expect(latch.judge(self.packet(2), from: self.announced, at: .zero) == .refused)
    }

    @Test("0.0.0.0 is nowhere (the old hold) and announces nothing") func nowhere() {
        var latch = RTPSourceLatch(announced: self.announced)
        latch.announce(RTPAddress(ipv4: 0, port: 4000))
        #expect(latch.remote == self.announced)
    }

    private func packet(_ number: UInt16) -> RTPPacket {
        RTPPacket(marker: false, payloadType: 0, sequenceNumber: number, timestamp: 0, ssrc: 7)
    }
}
