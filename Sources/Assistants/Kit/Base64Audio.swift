import Telephony

/// Audio that comes as Base64 inside JSON, piece by piece: whole samples out, whatever the pieces are.
struct Base64Audio: Sendable {
    /// The first half of a sample whose second half is in the next piece.
    private var half: UInt8?
    private var scratch: [UInt8] = []

    init() {}

    /// Another item begins: half a sample of the last one is no part of it.
    mutating func reset() { self.half = nil }

    /// Appends what `text` stands for to `bytes`. False: it is no Base64, and `bytes` is as it was.
    mutating func append(_ text: JSONScan, bytesPerSample: Int, to bytes: inout [UInt8]) -> Bool {
        guard text.kind == .string else { return false }
        let start = bytes.count
        if let half = self.half { bytes.append(half) }
        guard self.decode(text, into: &bytes) else {
            bytes.removeLast(bytes.count - start)
            return false
        }
        self.half = nil
        if bytesPerSample == 2, (bytes.count - start) % 2 == 1 { self.half = bytes.removeLast() }
        return true
    }

    private mutating func decode(_ text: JSONScan, into bytes: inout [UInt8]) -> Bool {
        // Some JSON writers escape the slash of Base64, and some Base64 writers leave out the padding.
        if !text.hasEscapes, text.bytes.count % 4 == 0 {
            return (try? Base64.decode(text.bytes, into: &bytes)) != nil
        }
        self.scratch.removeAll(keepingCapacity: true)
        text.unescape(into: &self.scratch)
        while self.scratch.count % 4 != 0 { self.scratch.append(UInt8(ascii: "=")) }
        return self.scratch.withUnsafeBytes { (try? Base64.decode($0, into: &bytes)) != nil }
    }
}

/// Limits on what is passed on from a provider.
enum ProviderText {
    /// Longest text that is passed on: a transcript of an hour is far below.
    static let limit = 64 * 1024

    static func limited(_ text: String) -> String {
        guard text.utf8.count > self.limit else { return text }
        return String(decoding: text.utf8.prefix(self.limit), as: UTF8.self)
    }
}
