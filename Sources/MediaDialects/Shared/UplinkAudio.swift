import Audio
import Telephony

/// The audio of a wire as 20 ms mono frames, whatever the size of its messages.
///
/// Of a stereo wire the left side is handed on: it is the caller; the right is what the caller hears
/// (protocols/freeswitch.md §3.2).
struct UplinkAudio: Sendable {
    let format: AudioFormat
    private var assembler: FrameAssembler
    private let isStereo: Bool
    private var stereo: [UInt8] = []

    /// Takes the wire's format, channels included. `StatedFormat` has checked it.
    init(wire: AudioFormat) {
        self.format = AudioFormat(wire.encoding, wire.rate)
        self.assembler = FrameAssembler(format: wire)
        self.isStereo = wire.channels == 2
    }

    mutating func received(_ message: UnsafeRawBufferPointer, into audio: inout [UInt8]) {
        guard self.isStereo else {
            self.assembler.append(message, into: &audio)
            return
        }
        self.stereo.removeAll(keepingCapacity: true)
        self.assembler.append(message, into: &self.stereo)
        let start: Int = audio.count
        audio.append(contentsOf: repeatElement(0, count: self.stereo.count / 2))
        self.stereo.withUnsafeBytes { stereo in
            audio.withUnsafeMutableBytes { audio in
                for sample in 0..<stereo.count / 4 {
                    let left: UInt16 = stereo.loadUnaligned(fromByteOffset: sample &* 4, as: UInt16.self)
                    audio.storeBytes(of: left, toByteOffset: start &+ sample &* 2, as: UInt16.self)
                }
            }
        }
    }
}
