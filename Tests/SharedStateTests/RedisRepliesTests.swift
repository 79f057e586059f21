import SharedState
import Testing

/// What Redis sends, whole, byte by byte and glued together; and what no Redis sends.
@Suite("Replies of Redis")
struct RedisRepliesTests {
    private static let replies: [(text: String, value: RedisValue)] = [
        ("+OK\r\n", .text("OK")), (":-42\r\n", .integer(-42)), ("$5\r\nhe\r\no\r\n", .text("he\r\no")),
        ("$-1\r\n", .null), ("*-1\r\n", .null), ("*0\r\n", .array([])), ("$0\r\n\r\n", .text("")),
        ("-WRONGPASS invalid username-password pair for 'x'\r\n", .error("WRONGPASS")),
        ("-ERR unknown command `SECRET`\r\n", .error("ERR")),
        (
            "*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n+b\r\n",
            .array([.integer(1), .array([.text("a"), .null]), .text("b")])
        ),
    ]

    private func values(of bytes: [UInt8], piece: Int) throws -> [RedisValue] {
        let replies = RedisReplies()
        var values: [RedisValue] = []
        var start = 0
        while start < bytes.count {
            let part = Array(bytes[start..<min(start + piece, bytes.count)])
            start += part.count
            try part.withUnsafeBytes { try replies.feed($0) }
            while let value = try replies.next() { values.append(value) }
        }
        return values
    }

    @Test("Drip-fed and glued, they are the same", arguments: [1, 2, 3, 7, 4096])
    func pieces(piece: Int) throws {
        let bytes = Self.replies.flatMap { Array($0.text.utf8) }
        #expect(try self.values(of: bytes, piece: piece) == Self.replies.map(\.value))
    }

    @Test(
        "What is no RESP is refused, by name",
        arguments: [
            "HTTP/1.1 400 Bad Request\r\n\r\n", "\u{0}\u{1}", "*99999999999999999999\r\n", "$-7\r\n", ":12a\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ])
    func garbled(text: String) {
        #expect(throws: RedisProtocolError.garbled) { try self.values(of: Array(text.utf8), piece: 4096) }
    }

    @Test("A reply that does not end is cut off before it fills the memory")
    func endless() {
        let replies = RedisReplies()
        let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 64 * 1024)
        #expect(throws: RedisProtocolError.tooLong) {
            try Array("$1000000000\r\n".utf8).withUnsafeBytes { try replies.feed($0) }
            for _ in 0..<200 {
                try piece.withUnsafeBytes { try replies.feed($0) }
                #expect(try replies.next() == nil)
            }
        }
    }
}
