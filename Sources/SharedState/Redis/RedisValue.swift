/// One reply of Redis (RESP2, https://redis.io/docs/reference/protocol-spec/).
package enum RedisValue: Sendable, Equatable {
    case null
    case integer(Int)
    /// A simple or a bulk string. Not UTF-8: replaced where it is wrong; nothing of ours is written otherwise.
    case text(String)
    /// An error's first word, such as `WRONGPASS`. The rest may quote what was sent, and is not kept.
    case error(String)
    case array([RedisValue])

    /// The number of an integer, or of a text that is one (Redis' hashes hold texts).
    package var number: Int? {
        switch self {
        case .integer(let number): number
        case .text(let text): Int(text)
        default: nil
        }
    }

    package var text: String? { if case .text(let text) = self { text } else { nil } }
    package var elements: [RedisValue]? { if case .array(let elements) = self { elements } else { nil } }
}

/// What became of one command.
package enum RedisOutcome: Sendable, Equatable {
    case value(RedisValue)
    /// Redis answered with an error: its first word.
    case refused(String)
    /// No answer within the asker's deadline. It may have been performed, or may still be.
    case late
    /// There is no connection, or it broke before the answer.
    case away
}

/// A command as it goes over the wire: an array of bulk strings.
package struct RedisCommand: Sendable, Equatable {
    package let words: [String]
    package init(_ words: [String]) { self.words = words }
    package init(_ words: String...) { self.words = words }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 + self.words.reduce(0) { $0 + $1.utf8.count + 12 })
        bytes += "*\(self.words.count)\r\n".utf8
        for word in self.words {
            bytes += "$\(word.utf8.count)\r\n".utf8
            bytes += word.utf8
            bytes += "\r\n".utf8
        }
        return bytes
    }
}
