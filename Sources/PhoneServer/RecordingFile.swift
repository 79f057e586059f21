import Audio
import Foundation
import Glibc
import Observability
import Synchronization
import Telephony

/// The file behind a recording, on the writer's queue. One queue serves all calls: disks like order.
///
/// Every stretch has its place, whatever became of the one before. What the disk did not take, or not in time, is a gap
/// in the file, as silence is: a hole that takes no room, read as zeros (lseek(2), "data gaps"). What follows is where
/// it belongs.
package final class RecordingFile: Sendable {
    private struct State {
        /// Where the next stretch goes, in bytes of sound.
        var position = 0
        var backlog = 0
        /// The end of what is on the disk.
        var end = 0
        var failure: String?
        /// The file could not be made.
        var isBroken = false
    }
    private static let queue = DispatchQueue(label: "pronto.recordings", qos: .utility)
    /// Eight seconds of 16 kHz stereo per call; past it the disk is not keeping up.
    private static let maximumBacklog = 512 * 1024

    let path: String
    private let format: AudioFormat
    private let header: Int
    private let logger: Logger
    private let state = Mutex(State())
    /// Touched on the writer's queue only; its lock is never contended, and never held by the loop.
    private let descriptor = Mutex<Int32?>(nil)

    /// Touches no disk: see `open`.
    init(path: String, rate: SampleRate, logger: Logger) {
        self.path = path
        self.format = AudioFormat(.l16, rate, channels: 2)
        self.header = WAV.header(for: self.format, dataBytes: 0).count
        self.logger = logger
    }

    deinit { if let descriptor = self.descriptor.withLock({ $0 }) { Glibc.close(descriptor) } }

    /// Makes the file (with its folder) on the writer's queue. At a call's beginning: whether a recording can be kept at
    /// all is then known long before the call's record names it.
    func open() {
        Self.queue.async {
            guard let made = self.create() else {
                self.state.withLock { $0.isBroken = true }
                return self.fail("Recording stopped", "disk")
            }
            self.descriptor.withLock { $0 = made }
        }
    }

    func write(_ bytes: [UInt8]) {
        let place: Int? = self.state.withLock { state in
            defer { state.position += bytes.count }
            guard !state.isBroken, state.backlog + bytes.count <= Self.maximumBacklog else { return nil }
            state.backlog += bytes.count
            return state.position
        }
        guard let place else { return self.fail("Recording has a gap", "disk-too-slow") }
        Self.queue.async { self.put(bytes, at: place) }
    }

    /// Silence costs neither memory nor the disk's time.
    func skip(samples: Int) {
        self.state.withLock { $0.position += samples * self.format.bytesPerSample }
    }

    /// Writes the header when the writes are done. Nil when the recording failed before anything was kept.
    func finish() -> String? {
        Self.queue.async { self.close() }
        return self.state.withLock { !$0.isBroken } ? self.path : nil
    }

    /// Waits until everything handed over so far is on disk: for the demo and for tests.
    package static func settle() { Self.queue.sync {} }

    /// Does `work` on the writer's queue, after all that was handed over: a disk as slow as a test wants it.
    static func busy(_ work: @escaping @Sendable () -> Void) { Self.queue.async { work() } }

    private func put(_ bytes: [UInt8], at place: Int) {
        let written = self.descriptor.withLock { descriptor in
            guard let descriptor else { return false }
            if Self.write(bytes, at: self.header + place, to: descriptor) { return true }
            // All of it or nothing: half a sample would be noise. Stretches go in order, so that nothing lies beyond.
            _ = ftruncate(descriptor, off_t(self.header + self.state.withLock { $0.end }))
            return false
        }
        let isBroken = self.state.withLock { state in
            state.backlog -= bytes.count
            if written { state.end = max(state.end, place + bytes.count) }
            return state.isBroken
        }
        // The next stretch is tried again: somebody may make room.
        if !written, !isBroken { self.fail("Recording has a gap", "disk") }
    }

    /// False: not all of it was written.
    private static func write(_ bytes: [UInt8], at offset: Int, to descriptor: Int32) -> Bool {
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
                let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                done += count
            }
            return true
        }
    }

    /// Nil: it cannot be.
    private func create() -> Int32? {
        let folder = URL(fileURLWithPath: self.path).deletingLastPathComponent()
        guard
            (try? FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])) != nil
        else { return nil }
        let descriptor = Glibc.open(self.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return nil }
        guard Self.write(WAV.header(for: self.format, dataBytes: 0), at: 0, to: descriptor) else {
            // A file without a header is no recording.
            Glibc.close(descriptor)
            unlink(self.path)
            return nil
        }
        return descriptor
    }

    private func close() {
        guard
            let descriptor = self.descriptor.withLock({ descriptor -> Int32? in
                defer { descriptor = nil }
                return descriptor
            })
        else { return }
        let end = self.state.withLock { $0.end }
        // In place: after a full disk too, what was written is playable.
        let isWhole = Self.write(WAV.header(for: self.format, dataBytes: end), at: 0, to: descriptor)
        if Glibc.close(descriptor) != 0 || !isWhole { self.fail("Recording has a gap", "header") }
    }

    /// Once a recording: a disk that is full is full for every stretch.
    private func fail(_ message: StaticString, _ reason: String) {
        let isFirst = self.state.withLock { state in
            defer { state.failure = state.failure ?? reason }
            return state.failure == nil
        }
        if isFirst { self.logger.error(message, ["recording.failure": .string(reason)]) }
    }
}
