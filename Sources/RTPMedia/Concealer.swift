import Audio
import CSpandsp
import Telephony

/// Fills what is missing with what the caller's voice was about to do: libspandsp's concealment, after G.711 appendix I.
///
/// Repeats the last pitch period and lets it fade within 50 ms. The library wants to see every sample; here it sees
/// none while all is well: the last 40 ms that were played are kept as they came, and decoded when a hole opens. So a call
/// without loss is never decoded.
package struct Concealer: Sendable {
    private let law: G711.Law
    /// The last codes that were played, oldest first.
    private var history: [UInt8]
    private var plc = plc_state_t()
    /// Samples made since the last true one. Not 0: the next true samples are blended in.
    package private(set) var missing = 0
    private var samples: [Int16] = []

    /// What is kept: the library's own history is 280 samples.
    package static let historySamples = 320
    /// Beyond this the made signal has faded away (spandsp: 0.25 % a sample, 50 ms).
    package static let longest = 400

    package init(law: G711.Law) {
        self.law = law
        self.history = [UInt8](repeating: law.silence, count: Concealer.historySamples)
        self.samples.reserveCapacity(2 * Concealer.historySamples)
    }

    /// Told of each frame when it is complete.
    package mutating func played(_ frame: ArraySlice<UInt8>) {
        guard frame.count < self.history.count else {
            self.history.replaceSubrange(0..<self.history.count, with: frame.suffix(self.history.count))
            return
        }
        self.history.withUnsafeMutableBufferPointer { history in
            guard let base = history.baseAddress else { return }
            let kept: Int = history.count - frame.count
            base.update(from: base + frame.count, count: kept)
            frame.withUnsafeBufferPointer { frame in
                if let source = frame.baseAddress { (base + kept).update(from: source, count: frame.count) }
            }
        }
    }

    /// What was played last, decoded: `count` samples, at most `historySamples`.
    package func appendHistory(_ count: Int, to samples: inout [Int16]) {
        self.history.withUnsafeBytes { history in
            G711.decode(UnsafeRawBufferPointer(rebasing: history.suffix(count)), as: self.law, into: &samples)
        }
    }

    /// Appends `count` made codes. The frame in work begins at `frameStart` of `output`: what it holds was played too.
    package mutating func conceal(_ count: Int, into output: inout [UInt8], frameStart: Int) {
        if self.missing == 0 {
            plc_init(&self.plc)
            self.samples.removeAll(keepingCapacity: true)
            // Not by `appendHistory`: reading all of self while a part of it is written would copy that part.
            self.history.withUnsafeBytes { G711.decode($0, as: self.law, into: &self.samples) }
            output.withUnsafeBytes { output in
                G711.decode(
                    UnsafeRawBufferPointer(rebasing: output[frameStart...]), as: self.law, into: &self.samples)
            }
            self.samples.withUnsafeMutableBufferPointer { samples in
                _ = plc_rx(&self.plc, samples.baseAddress, Int32(samples.count))
            }
        }
        self.samples.removeAll(keepingCapacity: true)
        self.samples.append(contentsOf: repeatElement(0, count: count))
        self.samples.withUnsafeMutableBufferPointer { samples in
            _ = plc_fillin(&self.plc, samples.baseAddress, Int32(samples.count))
        }
        self.missing += count
        self.samples.withUnsafeBufferPointer { G711.encode($0, as: self.law, into: &output) }
    }

    /// True samples again: the last made period is blended into the first of them, which are the codes of `output` from
    /// `start` on. No effect when nothing was missing.
    package mutating func resume(in output: inout [UInt8], from start: Int) {
        guard self.missing > 0 else { return }
        self.missing = 0
        self.samples.removeAll(keepingCapacity: true)
        output.withUnsafeBytes { output in
            G711.decode(UnsafeRawBufferPointer(rebasing: output[start...]), as: self.law, into: &self.samples)
        }
        self.samples.withUnsafeMutableBufferPointer { samples in
            _ = plc_rx(&self.plc, samples.baseAddress, Int32(samples.count))
        }
        output.removeSubrange(start...)
        self.samples.withUnsafeBufferPointer { G711.encode($0, as: self.law, into: &output) }
    }

    /// A pause: what comes next has nothing to do with what was.
    package mutating func pause() { self.missing = 0 }
}

extension G711.Law {
    /// The code of a silent sample.
    package var silence: UInt8 { self == .mu ? 0xFF : 0xD5 }

    /// RFC 3551 §6: 0 is PCMU, 8 is PCMA.
    package var payloadType: UInt8 { self == .mu ? 0 : 8 }

    package var encoding: AudioEncoding { self == .mu ? .pcmu : .pcma }

    /// Each code of this law in the other.
    static let translations: [[UInt8]] = [G711.Law.mu, .a].map { source in
        let other: G711.Law = source == .mu ? .a : .mu
        var codes: [UInt8] = []
        G711.table(of: source).withUnsafeBufferPointer { G711.encode($0, as: other, into: &codes) }
        return codes
    }
}
