import Telephony
import Testing

@testable import Networking

@Suite struct DeflateTests {
    private func compressed(_ bytes: [UInt8]) throws -> [UInt8] {
        var output: [UInt8] = []
        let deflate = MessageDeflate(DeflateAgreement(), DeflateOptions())
        #expect(bytes.withUnsafeBytes { deflate.compress($0, into: &output) })
        return output
    }

    private func inflated(_ bytes: [UInt8], limit: Int, by deflate: MessageDeflate) throws -> [UInt8] {
        var output: [UInt8] = []
        try bytes.withUnsafeBytes { try deflate.decompress($0, limit: limit, into: &output) }
        return output
    }

    @Test("Messages survive, with and without a shared window", arguments: [true, false], [9, 12, 15])
    func roundTrip(withoutContext: Bool, bits: Int) throws {
        var generator = SeededGenerator(seed: 3)
        let agreement = DeflateAgreement(
            sendWindowBits: bits, receiveWindowBits: bits, sendsWithoutContext: withoutContext,
            receivesWithoutContext: withoutContext)
        let (sender, receiver) = (
            MessageDeflate(agreement, DeflateOptions()), MessageDeflate(agreement, DeflateOptions())
        )
        for size in [0, 1, 2, 100, 5000, 70_000] {
            let message = (0..<size).map { _ in UInt8.random(in: 0...20, using: &generator) }
            var wire: [UInt8] = []
            #expect(message.withUnsafeBytes { sender.compress($0, into: &wire) })
            #expect(try self.inflated(wire, limit: size, by: receiver) == message)
        }
    }

    @Test("A bomb is stopped at the limit, however small it came")
    func bomb() throws {
        let bomb = try self.compressed([UInt8](repeating: 0, count: 2_000_000))
        #expect(bomb.count < 3_000)
        let deflate = MessageDeflate(DeflateAgreement(), DeflateOptions())
        #expect(throws: WebSocketViolation.tooBig) { try self.inflated(bomb, limit: 100_000, by: deflate) }
        let exact = try self.compressed([UInt8](repeating: 0, count: 100_000))
        let other = MessageDeflate(DeflateAgreement(), DeflateOptions())
        #expect(try self.inflated(exact, limit: 100_000, by: other).count == 100_000)
    }

    @Test("Garbage is a violation, not a trap")
    func garbage() {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<3000 {
            let size = Int.random(in: 0...40, using: &generator)
            let bytes = (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let deflate = MessageDeflate(DeflateAgreement(), DeflateOptions())
            var output: [UInt8] = []
            do {
                try bytes.withUnsafeBytes { try deflate.decompress($0, limit: 10_000, into: &output) }
            } catch {
                let violation = error as? WebSocketViolation
                #expect(violation == .invalidData || violation == .tooBig)
            }
            #expect(output.count <= 10_001)
        }
    }

    @Test(
        "An offer is answered as RFC 7692 §7.1 says",
        arguments: [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            (
                "permessage-deflate; client_no_context_takeover; server_no_context_takeover; client_max_window_bits=9",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=9"
            ),
            ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"),
            ("permessage-deflate; server_max_window_bits=8", nil),
            ("permessage-deflate; server_max_window_bits=8, permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; server_max_window_bits=16", nil), ("permessage-deflate; nonsense", nil),
            ("permessage-deflate; server_no_context_takeover=1", nil),
            ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", nil),
            ("x-webkit-deflate-frame", nil), ("", nil),
        ])
    func offers(offer: String, expected: String?) {
        let answer = WebSocketHandshake.acceptDeflate(
            WebSocketHandshake.extensions(in: [offer]), DeflateOptions())
        #expect(answer?.answer == expected)
    }

    @Test(
        "An answer that was not asked for ends the handshake",
        arguments: [
            ("", true), ("permessage-deflate", true), ("permessage-deflate; server_max_window_bits=10", true),
            ("permessage-deflate; client_max_window_bits", false), ("permessage-bzip2", false),
            ("permessage-deflate, permessage-deflate", false),
        ])
    func answers(answer: String, isAccepted: Bool) {
        let fields = answer.isEmpty ? [] : [answer]
        let read = WebSocketHandshake.readDeflate(WebSocketHandshake.extensions(in: fields), DeflateOptions())
        #expect((read != nil) == isAccepted)
    }
}
