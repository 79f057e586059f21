import Audio
import Telephony

/// Gathers what is said into messages as a module does.
struct PhoneUplink: Sendable {
    private let format: AudioFormat
    private let framesPerMessage: Int
    private var message: [UInt8] = []
    private var frames = 0
    /// For `stereo`: what the caller hears, at the uplink's rate.
    private var heard: Transcoder?
    private var heardBytes: [UInt8] = []

    init(_ configuration: PhoneConfiguration) {
        self.format = configuration.uplink
        self.framesPerMessage = configuration.framesPerMessage
        self.heard = try? Transcoder(from: .l16(configuration.earRate), to: .l16(configuration.uplink.rate))
    }

    /// Takes one frame of each side. True: a message is complete.
    mutating func append(said: [Int16], heard: [Int16]) -> Bool {
        if self.format.channels == 2 {
            self.appendStereo(said, heard)
        } else if let law = self.format.encoding.law {
            said.withUnsafeBufferPointer { G711.encode($0, as: law, into: &self.message) }
        } else {
            said.withUnsafeBytes { self.message.append(contentsOf: $0) }
        }
        self.frames += 1
        return self.frames == self.framesPerMessage
    }

    /// Appends the complete message to `bytes`.
    mutating func take(into bytes: inout [UInt8]) {
        bytes.append(contentsOf: self.message)
        self.message.removeAll(keepingCapacity: true)
        self.frames = 0
    }

    private mutating func appendStereo(_ said: [Int16], _ heard: [Int16]) {
        heard.withUnsafeBytes { self.heard?.convert($0, into: &self.heardBytes) }
        var pairs: [Int16] = []
        pairs.reserveCapacity(said.count * 2)
        let known: Int = min(said.count, self.heardBytes.count / 2)
        self.heardBytes.withUnsafeBytes { heard in
            for index in said.indices {
                pairs.append(said[index])
                pairs.append(index < known ? heard.loadUnaligned(fromByteOffset: index * 2, as: Int16.self) : 0)
            }
        }
        self.heardBytes.removeFirst(known * 2)
        if let law = self.format.encoding.law {
            pairs.withUnsafeBufferPointer { G711.encode($0, as: law, into: &self.message) }
        } else {
            pairs.withUnsafeBytes { self.message.append(contentsOf: $0) }
        }
    }
}
