import CHiredis

/// What came is no RESP2, or more of it than anything of ours is answered with.
package enum RedisProtocolError: Error, Equatable, Sendable {
    case garbled
    case tooLong
}

/// Cuts what Redis sends into replies: hiredis' reader, bounded.
///
/// A class, because the reader is C's to free; confined to whoever holds it.
package final class RedisReplies {
    /// The reader copies a reply together before it tells; a peer that announces a gigabyte must not have it.
    private static let longestReply = 8 * 1024 * 1024

    private let reader: UnsafeMutablePointer<redisReader>
    private var bytesOfReply = 0

    package init() {
        guard let reader = redisReaderCreate() else { fatalError("No memory for a Redis reader") }
        self.reader = reader
    }

    deinit { redisReaderFree(self.reader) }

    package func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisProtocolError) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        self.bytesOfReply += bytes.count
        guard self.bytesOfReply <= Self.longestReply else { throw .tooLong }
        guard redisReaderFeed(self.reader, base.assumingMemoryBound(to: CChar.self), bytes.count) == REDIS_OK else {
            throw .garbled
        }
    }

    /// The next whole reply; nil: more has to come.
    package func next() throws(RedisProtocolError) -> RedisValue? {
        var reply: UnsafeMutableRawPointer?
        guard redisReaderGetReply(self.reader, &reply) == REDIS_OK else { throw .garbled }
        guard let reply else { return nil }
        defer { freeReplyObject(reply) }
        self.bytesOfReply = 0
        return Self.value(of: reply.assumingMemoryBound(to: redisReply.self).pointee)
    }

    /// hiredis refuses arrays nested deeper than seven, so this ends.
    private static func value(of reply: redisReply) -> RedisValue {
        switch reply.type {
        case REDIS_REPLY_INTEGER: return .integer(Int(reply.integer))
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: return .text(Self.text(of: reply))
        case REDIS_REPLY_ERROR:
            return .error(String(Self.text(of: reply).prefix { $0.isASCII && ($0.isLetter || $0 == "_") }.prefix(32)))
        case REDIS_REPLY_ARRAY:
            return .array(
                (0..<Int(reply.elements)).map { index in
                    reply.element[index].map { Self.value(of: $0.pointee) } ?? .null
                })
        default: return .null
        }
    }

    private static func text(of reply: redisReply) -> String {
        guard let start = reply.str else { return "" }
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(reply.len))
        return String(decoding: bytes, as: UTF8.self)
    }
}
