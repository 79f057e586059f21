import Audio
import Conversation
import Foundation
import Glibc
import Observability
import Synchronization
import Telephony

/// Writes a call's audio to a stereo WAV, off the loop: left the caller, right what the caller heard.
///
/// The loop only lays frames on the time line and, once a second, hands the finished stretch to a writer thread. A disk
/// that is full or slow costs the recording, never the call: the writer's backlog is bounded, and the file says what it
/// holds.
final class CallRecorder {
    private var timeline: StereoTimeline
    private let file: RecordingFile
    private var pending: [UInt8] = []
    private var lastDrain: Duration

    /// Nil when the formats cannot be laid side by side.
    init?(file: RecordingFile, uplink: AudioFormat, downlink: AudioFormat, at now: Duration) {
        guard let timeline = try? StereoTimeline(uplink: uplink, downlink: downlink, start: now) else { return nil }
        self.timeline = timeline
        self.file = file
        self.lastDrain = now
        file.open()
    }

    func callerFrame(_ frame: UnsafeRawBufferPointer, endedAt now: Duration) {
        self.timeline.callerFrame(frame, endedAt: now)
        guard now - self.lastDrain >= .seconds(1) else { return }
        self.lastDrain = now
        self.timeline.drain(at: now, into: &self.pending)
        self.hand()
    }

    func agentFrame(_ frame: UnsafeRawBufferPointer, playsAt: Duration) {
        self.timeline.agentFrame(frame, playsAt: playsAt)
    }

    func flush(at now: Duration) { self.timeline.flush(at: now) }

    /// The call is over. Returns the file's path, unless nothing could be written.
    func finish(at now: Duration) -> String? {
        self.timeline.finish(at: now, into: &self.pending)
        self.hand()
        return self.file.finish()
    }

    private func hand() {
        guard !self.pending.isEmpty else { return }
        self.file.write(self.pending)
        self.pending.removeAll(keepingCapacity: true)
    }
}

/// The file behind a recording, on the writer's queue. One queue serves all calls: disks like order.
package final class RecordingFile: Sendable {
    private struct State {
        var bytes = 0
        var backlog = 0
        var failure: String?
        /// The file could not be made, or a write failed.
        var isBroken = false
    }
    private static let queue = DispatchQueue(label: "pronto.recordings", qos: .utility)
    /// Eight seconds of 16 kHz stereo per call; past it the disk is not keeping up.
    private static let maximumBacklog = 512 * 1024

    let path: String
    private let format: AudioFormat
    private let logger: Logger
    private let state = Mutex(State())
    /// Touched on the writer's queue only; its lock is never contended, and never held by the loop.
    private let handle = Mutex<FileHandle?>(nil)

    /// Touches no disk: see `open`.
    init(path: String, rate: SampleRate, logger: Logger) {
        self.path = path
        self.format = AudioFormat(.l16, rate, channels: 2)
        self.logger = logger
    }

    /// Makes the file (with its folder) on the writer's queue. At a call's beginning: whether a recording can be kept at
    /// all is then known long before the call's record names it.
    func open() {
        Self.queue.async {
            do {
                let made = try self.create()
                self.handle.withLock { $0 = made }
            } catch {
                self.state.withLock { $0.isBroken = true }
                self.fail("disk")
            }
        }
    }

    func write(_ bytes: [UInt8]) {
        let isAccepted = self.state.withLock { state in
            guard state.failure == nil, state.backlog + bytes.count <= Self.maximumBacklog else { return false }
            state.backlog += bytes.count
            return true
        }
        guard isAccepted else {
            self.fail("disk-too-slow")
            return
        }
        Self.queue.async { self.append(bytes) }
    }

    /// Patches the header when the writes are done. Nil when the recording failed before anything was kept.
    func finish() -> String? {
        Self.queue.async { self.close() }
        return self.state.withLock { !$0.isBroken || $0.bytes > 0 } ? self.path : nil
    }

    /// Waits until everything handed over so far is on disk: for the demo and for tests.
    package static func settle() { Self.queue.sync {} }

    private func append(_ bytes: [UInt8]) {
        // A write that failed may have left half a sample: nothing follows it.
        let isSound = self.state.withLock { state in
            if state.isBroken { state.backlog -= bytes.count }
            return !state.isBroken
        }
        guard isSound else { return }
        do {
            try self.handle.withLock { try $0?.write(contentsOf: bytes) }
            self.state.withLock { state in
                state.backlog -= bytes.count
                state.bytes += bytes.count
            }
        } catch {
            self.state.withLock { state in
                state.backlog -= bytes.count
                state.isBroken = true
            }
            self.fail("disk")
        }
    }

    private func create() throws -> FileHandle {
        let url = URL(fileURLWithPath: self.path)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o750])
        let descriptor = Glibc.open(self.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try handle.write(contentsOf: WAV.header(for: self.format, dataBytes: 0))
        } catch {
            // A file without a header is no recording.
            try FileManager.default.removeItem(at: url)
            throw error
        }
        return handle
    }

    private func close() {
        let bytes = self.state.withLock { $0.bytes }
        do {
            try self.handle.withLock { handle in
                // Also after a full disk: what was written stays playable.
                try handle?.seek(toOffset: 0)
                try handle?.write(contentsOf: WAV.header(for: self.format, dataBytes: bytes))
                try handle?.close()
                handle = nil
            }
        } catch {
            self.fail("header")
        }
    }

    private func fail(_ reason: String) {
        let isFirst = self.state.withLock { state in
            defer { state.failure = state.failure ?? reason }
            return state.failure == nil
        }
        if isFirst { self.logger.error("Recording stopped", ["recording.failure": .string(reason)]) }
    }
}
