import CHTTPParser

/// Why the head of a message cannot be used. A server answers with `status` and closes.
package enum HTTPHeadError: Error, Sendable, Equatable {
    /// Bytes that are not a head: bare CR or LF, folded or malformed fields, bad characters, ambiguous framing.
    case malformed
    case targetTooLong
    case tooLarge
    case tooManyFields
    case versionNotSupported
    case methodNotKnown
    /// A transfer coding other than `chunked`.
    case codingNotKnown

    var status: Int {
        switch self {
        case .malformed: 400
        case .targetTooLong: 414
        case .tooLarge, .tooManyFields: 431
        case .versionNotSupported: 505
        case .methodNotKnown, .codingNotKnown: 501
        }
    }
}

/// How the body of a message is delimited (RFC 9112 §6).
enum HTTPFraming: Equatable {
    case none
    case length(Int)
    case chunked
}

/// The head of one HTTP/1.x message.
///
/// Read twice: a scan of our own refuses what different implementations understand differently (the stuff of request
/// smuggling), and libhttp-parser reads what is left. Debian's build of it is the lenient one: alone it would take bare
/// line feeds, spaces in names and Content-Length beside Transfer-Encoding.
package struct HTTPHead {
    package enum Kind { case request, response }

    var method = ""
    var target = ""
    var status = 0
    /// 0 or 1.
    var minorVersion = 1
    var headers = HTTPHeaders()
    var framing = HTTPFraming.none
    var keepsAlive = false

    static let targetLimit = 8 * 1024
    static let fieldLimit = 100

    /// Where the head in `bytes` ends (after its empty line); nil: not yet there.
    package static func end(of bytes: some Collection<UInt8>, from start: Int = 0) -> Int? {
        bytes.withContiguousStorageIfAvailable { buffer -> Int? in
            var index = max(3, start)
            while index < buffer.count {
                if buffer[index] == 0x0A, buffer[index - 1] == 0x0D, buffer[index - 2] == 0x0A,
                    buffer[index - 3] == 0x0D
                {
                    return index + 1
                }
                index += 1
            }
            return nil
        } ?? nil
    }

    /// Reads a whole head: `bytes` end with its empty line.
    package init(_ kind: Kind, _ bytes: UnsafeRawBufferPointer) throws(HTTPHeadError) {
        try HTTPHead.scan(kind, bytes)
        let collector = HeadCollector()
        var parser = http_parser()
        http_parser_init(&parser, kind == .request ? HTTP_REQUEST : HTTP_RESPONSE)
        parser.data = Unmanaged.passUnretained(collector).toOpaque()
        let text = bytes.bindMemory(to: CChar.self)
        var settings = headSettings
        _ = http_parser_execute(&parser, &settings, text.baseAddress, text.count)
        withExtendedLifetime(collector) {}
        switch http_errno(UInt32(parser.http_errno)) {
        case HPE_OK where collector.isComplete: break
        case HPE_INVALID_METHOD: throw .methodNotKnown
        case HPE_INVALID_VERSION: throw .versionNotSupported
        case HPE_HEADER_OVERFLOW: throw .tooLarge
        default: throw .malformed
        }
        if kind == .request {
            self.method = String(cString: http_method_str(http_method(UInt32(parser.method))))
        }
        self.target = collector.target
        self.status = Int(parser.status_code)
        self.minorVersion = Int(parser.http_minor)
        self.headers = HTTPHeaders(collector.fields)
        try self.readFraming(kind)
    }

    private mutating func readFraming(_ kind: Kind) throws(HTTPHeadError) {
        let lengths = self.headers.all("Content-Length")
        let codings = self.headers.all("Transfer-Encoding")
        // RFC 9112 §6.1, §6.3: a message with both, or with several lengths, is an attack or a mistake.
        guard lengths.count <= 1, codings.isEmpty || lengths.isEmpty else { throw .malformed }
        if let coding = codings.first {
            guard self.minorVersion == 1, codings.count == 1 else { throw .malformed }
            guard equalIgnoringCase(coding, "chunked") else { throw .codingNotKnown }
            self.framing = .chunked
        } else if let length = lengths.first {
            guard !length.isEmpty, length.utf8.count <= 18, length.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                let value = Int(length)
            else { throw .malformed }
            self.framing = value == 0 ? .none : .length(value)
        }
        if kind == .request {
            let hosts = self.headers.all("Host")
            // RFC 9112 §3.2.
            guard hosts.count == 1 || (hosts.isEmpty && self.minorVersion == 0) else { throw .malformed }
        }
        self.keepsAlive =
            self.minorVersion == 1
            ? !self.headers.hasToken("close", in: "Connection") : self.headers.hasToken("keep-alive", in: "Connection")
    }

    /// The strict reading: lines end with CR LF and nothing else, fields begin with a name and a colon.
    private static func scan(_ kind: Kind, _ bytes: UnsafeRawBufferPointer) throws(HTTPHeadError) {
        var lineStart = 0
        var lines = 0
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 0x0D {
                guard index + 1 < bytes.count, bytes[index + 1] == 0x0A else { throw .malformed }
                let line = UnsafeRawBufferPointer(rebasing: bytes[lineStart..<index])
                if lines == 0 {
                    try self.scanFirstLine(kind, line)
                } else if !line.isEmpty {
                    try self.scanField(line)
                }
                lines += 1
                // The first line, the fields and the empty line.
                guard lines <= self.fieldLimit + 2 else { throw .tooManyFields }
                index += 2
                lineStart = index
            } else {
                // Controls but the tab; obs-text (0x80…) is allowed by RFC 9110 §5.5.
                guard byte >= 0x20 && byte != 0x7F || byte == 0x09 else { throw .malformed }
                index += 1
            }
        }
    }

    private static func scanFirstLine(_ kind: Kind, _ line: UnsafeRawBufferPointer) throws(HTTPHeadError) {
        guard kind == .request else { return }
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, parts[0].allSatisfy(isTokenCharacter), !parts[1].isEmpty else {
            throw .malformed
        }
        guard parts[1].count <= self.targetLimit else { throw .targetTooLong }
        guard parts[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw .malformed }
        guard parts[2].count == 8, parts[2].starts(with: Array("HTTP/".utf8)) else { throw .malformed }
        guard parts[2].elementsEqual("HTTP/1.1".utf8) || parts[2].elementsEqual("HTTP/1.0".utf8) else {
            throw .versionNotSupported
        }
    }

    private static func scanField(_ line: UnsafeRawBufferPointer) throws(HTTPHeadError) {
        guard let colon = line.firstIndex(of: 0x3A), colon > 0 else { throw .malformed }
        // This also refuses folded lines and a space before the colon (RFC 9112 §5.1, §5.2).
        guard line[..<colon].allSatisfy(isTokenCharacter) else { throw .malformed }
    }
}

/// Collects what libhttp-parser reports. Its callbacks are C functions: this is what their `data` points to.
private final class HeadCollector {
    var target = ""
    var fields: [(name: String, value: String)] = []
    var isComplete = false
    private var lastWasValue = true

    func name(_ bytes: UnsafeRawBufferPointer) {
        if self.lastWasValue { self.fields.append((name: "", value: "")) }
        self.lastWasValue = false
        self.fields[self.fields.count - 1].name += String(decoding: bytes, as: UTF8.self)
    }

    func value(_ bytes: UnsafeRawBufferPointer) {
        self.lastWasValue = true
        guard !self.fields.isEmpty else { return }
        self.fields[self.fields.count - 1].value += String(decoding: bytes, as: UTF8.self)
    }

    static func of(_ parser: UnsafeMutablePointer<http_parser>?) -> HeadCollector? {
        guard let data = parser?.pointee.data else { return nil }
        return Unmanaged<HeadCollector>.fromOpaque(data).takeUnretainedValue()
    }
}

private let headSettings: http_parser_settings = {
    var settings = http_parser_settings()
    http_parser_settings_init(&settings)
    settings.on_url = { parser, bytes, count in
        HeadCollector.of(parser)?.target += String(
            decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
        return 0
    }
    settings.on_header_field = { parser, bytes, count in
        HeadCollector.of(parser)?.name(UnsafeRawBufferPointer(start: bytes, count: count))
        return 0
    }
    settings.on_header_value = { parser, bytes, count in
        HeadCollector.of(parser)?.value(UnsafeRawBufferPointer(start: bytes, count: count))
        return 0
    }
    settings.on_headers_complete = { parser in
        guard let collector = HeadCollector.of(parser) else { return 1 }
        collector.isComplete = true
        // The body is read by ourselves.
        return 0
    }
    return settings
}()
