import Telephony

/// The chunked transfer coding (RFC 9112 §7.1), strictly: sizes in hexadecimal, CR LF everywhere, extensions and
/// trailers bounded and dropped. libhttp-parser, as Debian builds it, takes any byte for a chunk's line feed.
package struct ChunkedBody {
    private enum State {
        case size
        case extensions
        case sizeLineFeed
        case data
        case dataReturn
        case dataLineFeed
        /// At the beginning of a trailer line, or of the empty line that ends the body.
        case trailerStart
        case trailer
        case trailerLineFeed
        case endLineFeed
        case done
    }

    package init() {}

    private var state = State.size
    private var digits = 0
    private var remaining = 0
    /// Bytes of extensions and trailers, which nobody needs and an attacker could send for ever.
    private var overhead = 0
    private static let overheadLimit = 4 * 1024

    package var isDone: Bool { self.state == .done }

    package enum Failure: Error { case malformed, tooLarge }

    /// Reads from `bytes`, appends data to `body`, and returns how many bytes were used: all, unless the body ended.
    package mutating func read(_ bytes: ArraySlice<UInt8>, into body: inout [UInt8], limit: Int) throws(Failure) -> Int
    {
        var index = bytes.startIndex
        while index < bytes.endIndex, self.state != .done {
            if self.state == .data {
                let count = min(self.remaining, bytes.endIndex - index)
                body.append(contentsOf: bytes[index..<index + count])
                index += count
                self.remaining -= count
                if self.remaining == 0 { self.state = .dataReturn }
                continue
            }
            try self.step(bytes[index], bodyCount: body.count, limit: limit)
            index += 1
        }
        return index - bytes.startIndex
    }

    private mutating func step(_ byte: UInt8, bodyCount: Int, limit: Int) throws(Failure) {
        switch self.state {
        case .size:
            if let digit = hexadecimalDigit(byte) {
                self.digits += 1
                guard self.digits <= 8 else { throw .tooLarge }
                self.remaining = self.remaining << 4 | Int(digit)
            } else {
                guard self.digits > 0 else { throw .malformed }
                guard self.remaining <= limit - bodyCount else { throw .tooLarge }
                self.state = byte == 0x0D ? .sizeLineFeed : .extensions
                guard byte == 0x0D || byte == UInt8(ascii: ";") else { throw .malformed }
            }
        case .extensions:
            try self.count(byte)
            if byte == 0x0D { self.state = .sizeLineFeed }
        case .sizeLineFeed:
            guard byte == 0x0A else { throw .malformed }
            self.state = self.remaining == 0 ? .trailerStart : .data
            self.digits = 0
        case .dataReturn:
            guard byte == 0x0D else { throw .malformed }
            self.state = .dataLineFeed
        case .dataLineFeed:
            guard byte == 0x0A else { throw .malformed }
            self.state = .size
        case .trailerStart:
            try self.count(byte)
            self.state = byte == 0x0D ? .endLineFeed : .trailer
        case .trailer:
            try self.count(byte)
            if byte == 0x0D { self.state = .trailerLineFeed }
        case .trailerLineFeed:
            guard byte == 0x0A else { throw .malformed }
            self.state = .trailerStart
        case .endLineFeed:
            guard byte == 0x0A else { throw .malformed }
            self.state = .done
        case .data, .done: break
        }
    }

    private mutating func count(_ byte: UInt8) throws(Failure) {
        self.overhead += 1
        guard self.overhead <= ChunkedBody.overheadLimit else { throw .tooLarge }
        guard byte >= 0x20 && byte != 0x7F || byte == 0x09 || byte == 0x0D else { throw .malformed }
    }
}
