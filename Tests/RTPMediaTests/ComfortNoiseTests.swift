import Audio
import RTPMedia
import Telephony
import Testing

@Suite("Comfort noise (RFC 3389)") struct ComfortNoiseTests {
    @Test("Noise is as loud as the payload says, whatever its colour", arguments: [30, 45, 60], [0, 1, 2])
    func level(level: UInt8, order: Int) throws {
        let payload: [UInt8] = [level] + ([220, 60] as [UInt8]).prefix(order)
        let description = try #require(payload.withUnsafeBytes { ComfortNoise.Description(parsing: $0) })
        var noise = ComfortNoise(seed: 5)
        noise.use(description)
        var codes: [UInt8] = []
        noise.append(80_000, as: .mu, to: &codes)
        let heard: Double = codes.withUnsafeBytes { Level(of: $0, encoding: .pcmu).rms }
        #expect(abs(heard + Double(level)) < 1.5)
    }

    @Test("Any coefficients make bounded noise", arguments: [UInt8(0), 1, 127, 128, 254, 255])
    func stable(coefficient: UInt8) throws {
        let payload: [UInt8] = [20] + [UInt8](repeating: coefficient, count: 60)
        let description = try #require(payload.withUnsafeBytes { ComfortNoise.Description(parsing: $0) })
        #expect(description.order == ComfortNoise.highestOrder)
        var noise = ComfortNoise(seed: 5)
        noise.use(description)
        var codes: [UInt8] = []
        noise.append(80_000, as: .a, to: &codes)
        #expect(codes.withUnsafeBytes { Level(of: $0, encoding: .pcma).rms } < -10)
    }

    @Test("A frame is described by its level, and the payload is one byte") func describing() {
        let frame = [UInt8](repeating: 0, count: 160)
        let loud = frame.withUnsafeBytes { ComfortNoise.Description(of: $0, law: .mu) }
        #expect(loud.level == 0)
        let silence = [UInt8](repeating: G711.Law.mu.silence, count: 160)
        let quiet = silence.withUnsafeBytes { ComfortNoise.Description(of: $0, law: .mu) }
        var payload: [UInt8] = []
        quiet.write(into: &payload)
        #expect(payload == [96])
    }

    @Test("What one leg sends as comfort noise the other hears as such") func bothWays() throws {
        var sender = RTPSender(
            configuration: .init(law: .mu, ssrc: 1, firstSequenceNumber: 0, firstTimestamp: 0))
        var leg = DrawnLeg()
        var given = ""
        for tick in 0..<20 {
            var bytes: [UInt8] = []
            let now: Duration = .milliseconds(20 * tick)
            if tick == 10 {
                sender.send(ComfortNoise.Description(level: 40), at: now, into: &bytes)
            } else if tick < 10 {
                DrawnLeg.frame(tick).withUnsafeBytes { sender.send($0, at: now, into: &bytes) }
            }
            if !bytes.isEmpty { leg.deliver(bytes) }
            given += leg.pull()
        }
        #expect(given == "__AAAAAAAAAAnnnnnnnn")
        let heard: Double = leg.codes.suffix(800).withUnsafeBytes { Level(of: $0, encoding: .pcmu).rms }
        #expect(abs(heard + 40) < 2)
    }
}
