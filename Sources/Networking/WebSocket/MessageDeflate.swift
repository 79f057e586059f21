import CZlib

/// What two ends agreed on for permessage-deflate, seen from ours.
struct DeflateAgreement: Equatable {
    var sendWindowBits = 15
    var receiveWindowBits = 15
    var sendsWithoutContext = false
    var receivesWithoutContext = false
}

/// The compressor and decompressor of one WebSocket (RFC 7692 §7.2).
final class MessageDeflate {
    private let agreement: DeflateAgreement
    private let level: Int32
    let threshold: Int
    // zlib's state points back at its stream: the address must not change. Made when first needed.
    private var compressor: UnsafeMutablePointer<z_stream>?
    private var decompressor: UnsafeMutablePointer<z_stream>?

    init(_ agreement: DeflateAgreement, _ options: DeflateOptions) {
        self.agreement = agreement
        self.level = Int32(min(max(options.level, 1), 9))
        self.threshold = options.threshold
    }

    deinit {
        if let compressor = self.compressor {
            deflateEnd(compressor)
            compressor.deallocate()
        }
        if let decompressor = self.decompressor {
            inflateEnd(decompressor)
            decompressor.deallocate()
        }
    }

    /// What every compressed message lacks at its end (§7.2.1).
    private static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]

    /// Puts `payload`, compressed, in place of what is in `output`. False: out of memory; send it as it is.
    func compress(_ payload: UnsafeRawBufferPointer, into output: inout [UInt8]) -> Bool {
        output.removeAll(keepingCapacity: true)
        guard let stream = self.readyCompressor() else { return false }
        defer { if self.agreement.sendsWithoutContext { deflateReset(stream) } }
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: payload.bindMemory(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = UInt32(clamping: payload.count)
        repeat {
            guard
                MessageDeflate.extend(&output, by: max(256, payload.count / 2), stream, { deflate($0, Z_SYNC_FLUSH) })
                    != Z_STREAM_ERROR
            else { return false }
        } while stream.pointee.avail_out == 0
        if output.suffix(4).elementsEqual(MessageDeflate.tail) { output.removeLast(4) }
        return true
    }

    /// Puts `payload`, inflated, in place of what is in `output`; never more than `limit` bytes.
    func decompress(_ payload: UnsafeRawBufferPointer, limit: Int, into output: inout [UInt8])
        throws(WebSocketViolation)
    {
        output.removeAll(keepingCapacity: true)
        guard let stream = self.readyDecompressor() else { throw .tooBig }
        try self.inflatePart(payload, stream, limit: limit, into: &output)
        var failure: WebSocketViolation?
        MessageDeflate.tail.withUnsafeBytes { tail in
            do throws(WebSocketViolation) {
                try self.inflatePart(tail, stream, limit: limit, into: &output)
            } catch { failure = error }
        }
        if let failure { throw failure }
        if self.agreement.receivesWithoutContext { inflateReset(stream) }
    }

    private func inflatePart(
        _ part: UnsafeRawBufferPointer, _ stream: UnsafeMutablePointer<z_stream>, limit: Int,
        into output: inout [UInt8]
    ) throws(WebSocketViolation) {
        stream.pointee.next_in = UnsafeMutablePointer(mutating: part.bindMemory(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = UInt32(clamping: part.count)
        while true {
            let before = (stream.pointee.avail_in, output.count)
            // One byte above the limit tells a bomb from a message of exactly the limit.
            let step = min(max(1024, part.count * 4), 256 * 1024, limit + 1 - output.count)
            let result = MessageDeflate.extend(&output, by: step, stream) { inflate($0, Z_SYNC_FLUSH) }
            guard output.count <= limit else { throw .tooBig }
            switch result {
            case Z_OK: break
            case Z_STREAM_END:
                // §7.2.3.4: a block marked final may end a message; the window goes on.
                inflateResetKeep(stream)
            case Z_BUF_ERROR: return
            default: throw .invalidData
            }
            if stream.pointee.avail_in == 0, stream.pointee.avail_out != 0 { return }
            guard (stream.pointee.avail_in, output.count) != before else { throw .invalidData }
        }
    }

    /// Lets `step` append at most `count` bytes to `output`.
    private static func extend(
        _ output: inout [UInt8], by count: Int, _ stream: UnsafeMutablePointer<z_stream>,
        _ step: (UnsafeMutablePointer<z_stream>) -> Int32
    ) -> Int32 {
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: count))
        let result = output.withUnsafeMutableBufferPointer { buffer in
            stream.pointee.next_out = buffer.baseAddress! + start
            stream.pointee.avail_out = UInt32(clamping: count)
            return step(stream)
        }
        output.removeLast(Int(stream.pointee.avail_out))
        return result
    }

    private func readyCompressor() -> UnsafeMutablePointer<z_stream>? {
        if let compressor = self.compressor { return compressor }
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let bits = Int32(self.agreement.sendWindowBits)
        guard pronto_deflate_init(stream, self.level, -bits, min(bits - 7, 8)) == Z_OK else {
            stream.deallocate()
            return nil
        }
        self.compressor = stream
        return stream
    }

    private func readyDecompressor() -> UnsafeMutablePointer<z_stream>? {
        if let decompressor = self.decompressor { return decompressor }
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard pronto_inflate_init(stream, -Int32(self.agreement.receiveWindowBits)) == Z_OK else {
            stream.deallocate()
            return nil
        }
        self.decompressor = stream
        return stream
    }
}
