import Glibc
import Telephony
import Testing

@testable import Networking

@Suite struct ParsingTests {
    @Test(
        "UTF-8 is judged as RFC 3629 says, whole and byte by byte",
        arguments: [
            ([0x41], true), ([0xC3, 0xA9], true), ([0xE2, 0x82, 0xAC], true), ([0xF0, 0x9F, 0x98, 0x80], true),
            ([0xF4, 0x8F, 0xBF, 0xBF], true), ([0xEF, 0xBF, 0xBF], true), ([0xED, 0x9F, 0xBF], true), ([], true),
            ([0x80], false), ([0xC0, 0x80], false), ([0xC1, 0xBF], false), ([0xE0, 0x9F, 0xBF], false),
            ([0xED, 0xA0, 0x80], false), ([0xF0, 0x8F, 0xBF, 0xBF], false), ([0xF4, 0x90, 0x80, 0x80], false),
            ([0xF5, 0x80, 0x80, 0x80], false), ([0xC3], false), ([0xE2, 0x82], false), ([0xFF], false),
            ([0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0xC3, 0xA9], true),
            ([0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x80], false),
        ] as [([UInt8], Bool)])
    func utf8(bytes: [UInt8], isValid: Bool) {
        #expect(bytes.withUnsafeBytes { UTF8Validator.isValid($0) } == isValid)
        var validator = UTF8Validator()
        let accepted = bytes.allSatisfy { byte in withUnsafeBytes(of: byte) { validator.accept($0) } }
        #expect((accepted && validator.isComplete) == isValid)
        #expect((String(validating: bytes, as: UTF8.self) != nil) == isValid)
    }

    @Test("Masking is its own inverse, at any phase and length")
    func masking() {
        for length in 0..<40 {
            for phase in 0..<4 {
                let plain = (0..<length).map { UInt8($0) }
                let key: [UInt8] = [0xA1, 0xB2, 0xC3, 0xD4]
                var bytes = plain
                let mask: UInt32 = 0xD4C3_B2A1
                bytes.withUnsafeMutableBytes { unmask($0, mask, phase: phase) }
                #expect(bytes == plain.enumerated().map { $1 ^ key[($0 + phase) % 4] })
            }
        }
    }

    @Test(
        "WebSocket URLs are taken apart, or refused",
        arguments: [
            ("ws://127.0.0.1:8085/stream/a?b=c", "127.0.0.1:8085 /stream/a?b=c plain"),
            ("wss://api.openai.com/v1/realtime?model=x", "api.openai.com:443 /v1/realtime?model=x secure"),
            ("WSS://Host", "Host:443 / secure"), ("ws://[::1]:9/x", "::1:9 /x plain"), ("ws://h?q", "h:80 /?q plain"),
            ("http://h/", nil), ("ws://", nil), ("ws://h:0/", nil), ("ws://h:70000/", nil), ("ws://user@h/", nil),
            ("ws://h/a b", nil), ("ws://h/\r\nX: y", nil), ("ws://h/#f", nil), ("ws://[::1/x", nil),
            ("ws://[nonsense]/x", nil), ("ws://h:-1/", nil),
        ])
    func urls(url: String, expected: String?) {
        let parsed = WebSocketURL(url)
        let text = parsed.map { "\($0.host):\($0.port) \($0.target) \($0.isSecure ? "secure" : "plain")" }
        #expect(text == expected)
    }

    @Test(
        "Addresses print as they are written, and a mapped IPv4 address is an IPv4 address",
        arguments: [
            ("127.0.0.1", "127.0.0.1:5", true), ("::1", "[::1]:5", true), ("[::1]", "[::1]:5", true),
            ("::ffff:127.0.0.1", "127.0.0.1:5", true), ("192.0.2.7", "192.0.2.7:5", false),
            ("2001:db8::7", "[2001:db8::7]:5", false),
        ])
    func addresses(text: String, expected: String, isLoopback: Bool) throws {
        let address = try #require(SocketAddress(text, port: 5))
        #expect(address.description == expected)
        #expect(address.isLoopback == isLoopback)
        #expect(SocketAddress(address.host, port: 5) == address)
        #expect(SocketAddress("localhost", port: 5) == nil)
        #expect(SocketAddress(text, port: 65536) == nil)
    }

    @Test("The accept value is RFC 6455 §1.3's")
    func acceptValue() {
        #expect(WebSocketHandshake.accept(for: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    // MARK: Mutations

    /// Changes, inserts, removes, repeats or truncates a few bytes.
    static func mutated(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
            let index = Int.random(in: bytes.indices, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 2: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: index)
            case 3: bytes.remove(at: index)
            case 4: bytes.insert(contentsOf: bytes[index...].prefix(20), at: index)
            default: bytes.removeLast(Int.random(in: 0...min(8, bytes.count - 1), using: &generator))
            }
        }
        return bytes
    }

    @Test("10 000 mutations of the captured handshakes are read or refused", arguments: CapturedHandshake.allCases)
    func mutatedHandshakes(handshake: CapturedHandshake) {
        var generator = SeededGenerator(seed: 20_261_120)
        let original = Array(handshake.text.utf8)
        var refused = 0
        for _ in 0..<2_500 {
            let bytes = ParsingTests.mutated(original, &generator)
            guard let end = HTTPHead.end(of: bytes) else { continue }
            do {
                let head = try bytes[..<end].withUnsafeBytes { try HTTPHead(.request, $0) }
                #expect(!head.target.isEmpty)
                _ = WebSocketHandshake.extensions(in: head.headers.all("Sec-WebSocket-Extensions"))
            } catch { refused += error is HTTPHeadError ? 1 : 0 }
        }
        #expect(refused > 250)
    }

    @Test(
        "10 000 mutations of a call's frames are delivered or refused, and leave nothing open",
        arguments: [false, true])
    func mutatedFrames(compressed: Bool) async throws {
        let audio = (0..<320).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let original =
            clientFrame(0x81, Array("{\"event\":\"start\",\"rate\":\"8k\",\"mix\":\"mono\"}".utf8))
            + clientFrame(0x82, audio) + clientFrame(0x02, audio) + clientFrame(0x89, Array("ping".utf8))
            + clientFrame(0x80, audio)
            + (compressed
                ? clientFrame(0xC1, [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])
                : clientFrame(0x81, Array("Hello".utf8)))
            + clientFrame(0x88, [0x03, 0xE8] + Array("Normal closure".utf8))
        let loop = runningLoop()
        defer { loop.stop() }
        let done = Promise<(messages: Int, violations: Int, closes: Int)>()
        loop.execute {
            var generator = SeededGenerator(seed: 4711)
            var (messages, violations, closes) = (0, 0, 0)
            var options = WebSocketOptions()
            options.maximumMessageSize = 4096
            for _ in 0..<5_000 {
                var pair: [Int32] = [0, 0]
                guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0, &pair) == 0
                else { break }
                let connection = Connection(pair[0], peer: loopback(), on: loop)
                let socket = WebSocket(
                    connection, isServer: true, subprotocol: nil, options: options,
                    deflate: compressed ? DeflateAgreement() : nil, carried: [], seed: 1)
                socket.onMessage = { _, _ in messages += 1 }
                socket.onClose = { end in
                    if case .violation = end { violations += 1 } else { closes += 1 }
                }
                socket.startReceiving()
                var bytes = ParsingTests.mutated(original, &generator)
                let cut = Int.random(in: 0...bytes.count, using: &generator)
                bytes.withUnsafeMutableBytes { bytes in
                    socket.received(UnsafeMutableRawBufferPointer(rebasing: bytes[..<cut]))
                    socket.received(UnsafeMutableRawBufferPointer(rebasing: bytes[cut...]))
                }
                socket.abort()
                connection.abort()
                close(pair[1])
            }
            done.fulfil((messages, violations, closes))
        }
        let result = try await done.value(within: .seconds(60))
        #expect(result.messages > 5_000)
        #expect(result.violations > 1000)
        #expect(result.closes > 100)
    }
}
