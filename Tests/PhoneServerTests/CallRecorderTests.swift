import Audio
import Conversation
import Foundation
import Glibc
import Observability
import Synchronization
import Telephony
import Testing

@testable import PhoneServer

/// What gaps in time and a disk in trouble leave of a recording. Calls of an hour in no time: the clock is an argument.
@Suite("Recordings through holds, stalls and full disks", .timeLimit(.minutes(2))) struct CallRecorderTests {
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { self.lines.withLock { $0 } }
        func add(_ line: String) { self.lines.withLock { $0.append(line) } }
    }

    private static let format = AudioFormat.l16(.wideband)
    private static let frame = SampleRate.wideband.samples(in: .milliseconds(20))

    private func file(_ path: String) -> (RecordingFile, Lines) {
        let lines = Lines()
        let logger = Logger(level: .trace) { lines.add($0) }
        return (RecordingFile(path: path, rate: .wideband, logger: logger), lines)
    }

    private func withRecorder(
        _ body: (CallRecorder, _ path: String, Lines) throws -> Void
    ) throws {
        let path = FileManager.default.temporaryDirectory.path + "/pronto-wav-\(UUID().uuidString).wav"
        defer { unlink(path) }
        let (file, lines) = self.file(path)
        let recorder = try #require(
            CallRecorder(file: file, uplink: Self.format, downlink: Self.format, at: .zero))
        try body(recorder, path, lines)
    }

    /// Frames full of `value`, from `start` on.
    private func speak(_ value: Int16, seconds: Int, from start: Duration, to recorder: CallRecorder) {
        let frame = [Int16](repeating: value, count: Self.frame)
        for index in 1...(seconds * 50) {
            frame.withUnsafeBytes { recorder.callerFrame($0, endedAt: start + .milliseconds(20) * index) }
        }
    }

    private func wav(_ path: String) throws -> WAV {
        try WAV(parsing: Array(try Data(contentsOf: URL(fileURLWithPath: path))))
    }

    /// The second, to the frame, at which the left side first has `value`.
    private func begin(of value: Int16, in wav: WAV, right: Bool = false) throws -> Double {
        let (low, high) = (UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8))
        let bytes = wav.samples
        for index in stride(from: right ? 2 : 0, to: bytes.count - 1, by: 4)
        where bytes[index] == low && bytes[index + 1] == high {
            return Double(index / 4) / Double(wav.format.rate.hertz)
        }
        throw CocoaError(.coderValueNotFound)
    }

    @Test("After a hold without a frame the recording goes on where the call is", arguments: [9, 60, 300])
    func hold(seconds: Int) throws {
        try self.withRecorder { recorder, path, lines in
            self.speak(11, seconds: 5, from: .zero, to: recorder)
            // The writer keeps up with a caller on any machine; not with a test that speaks for seconds in no time.
            RecordingFile.settle()
            let back = Duration.seconds(5 + seconds)
            self.speak(22, seconds: 5, from: back, to: recorder)
            // In pieces of a second: the writer is never handed what a hold is long.
            #expect(recorder.finish(at: back + .seconds(5)) == path)
            RecordingFile.settle()
            #expect(lines.all == [])
            let wav = try self.wav(path)
            #expect(try self.begin(of: 11, in: wav) == 0)
            #expect(abs(try self.begin(of: 22, in: wav) - Double(5 + seconds)) < 0.1)
            #expect(wav.samples.count == (10 + seconds) * 16000 * 4)
        }
    }

    @Test("An agent who speaks while no caller frames come is written by the second, not at the end")
    func agentAlone() throws {
        try self.withRecorder { recorder, path, lines in
            self.speak(11, seconds: 1, from: .zero, to: recorder)
            let frame = [Int16](repeating: 33, count: Self.frame)
            for index in 0..<3000 {
                frame.withUnsafeBytes { recorder.agentFrame($0, playsAt: .seconds(2) + .milliseconds(20) * index) }
                // A minute comes in moments here; a disk keeps up with a second.
                if index % 50 == 49 { RecordingFile.settle() }
            }
            RecordingFile.settle()
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_size > 55 * 64000)
            #expect(recorder.finish(at: .seconds(62)) == path)
            RecordingFile.settle()
            #expect(lines.all == [])
            let wav = try self.wav(path)
            #expect(abs(try self.begin(of: 33, in: wav, right: true) - 2) < 0.1)
            #expect(wav.samples.count == 62 * 64000)
        }
    }

    @Test("What leaves a hold is a number of samples, not zeros")
    func stretches() throws {
        var timeline = try StereoTimeline(uplink: Self.format, downlink: Self.format, start: .zero)
        let frame = [Int16](repeating: 1, count: Self.frame)
        frame.withUnsafeBytes { timeline.callerFrame($0, endedAt: .milliseconds(20)) }
        let stretch = timeline.drain(at: .seconds(3603))
        #expect(stretch.bytes.count == Self.frame * 4)
        #expect(stretch.silence == 3600 * 16000 - Self.frame)
        frame.withUnsafeBytes { timeline.callerFrame($0, endedAt: .seconds(3603)) }
        #expect(timeline.finish(at: .seconds(3603)).bytes.count == 3 * 64000)
        #expect(timeline.drain(at: .seconds(3604)).isEmpty)
    }

    @Test("A peer that sends a hundred times too fast fills no memory")
    func tooFast() throws {
        var timeline = try StereoTimeline(uplink: Self.format, downlink: Self.format, start: .zero)
        let frame = [Int16](repeating: 1, count: Self.frame)
        for index in 1...10_000 {
            frame.withUnsafeBytes { timeline.callerFrame($0, endedAt: .microseconds(200) * index) }
        }
        // Two seconds of time, and what the window may be ahead.
        #expect(timeline.finish(at: .seconds(2)).bytes.count <= 6 * 64000)
    }

    @Test("A disk that does not keep up costs what it was late for, and nothing after that")
    func slowDisk() throws {
        try self.withRecorder { recorder, path, lines in
            RecordingFile.settle()
            let gate = DispatchSemaphore(value: 0)
            RecordingFile.busy { gate.wait() }
            // Twenty seconds while the disk takes nothing: eight may wait.
            self.speak(11, seconds: 20, from: .zero, to: recorder)
            gate.signal()
            RecordingFile.settle()
            self.speak(22, seconds: 10, from: .seconds(20), to: recorder)
            #expect(recorder.finish(at: .seconds(30)) == path)
            RecordingFile.settle()
            #expect(lines.all.count == 1)
            #expect(lines.all.allSatisfy { $0.contains("Recording has a gap") && $0.contains("disk-too-slow") })
            let wav = try self.wav(path)
            #expect(wav.samples.count == 30 * 64000)
            #expect(try self.begin(of: 11, in: wav) == 0)
            #expect(abs(try self.begin(of: 22, in: wav) - 20) < 0.1)
        }
    }

    @Test("A disk that fills up in the middle: one error, a file that plays, and it goes on when there is room")
    func fullInTheMiddle() throws {
        guard let disk = SmallDisk(kilobytes: 1000) else {
            // Nothing to test on. Said, and no success.
            print("skipped: this machine lets nobody make a small disk (unshare, mount): fullInTheMiddle")
            return
        }
        let path = disk.folder + "/call.wav"
        // What else is on the disk, and may go.
        let filler = disk.folder + "/filler"
        try Data(repeating: 1, count: 600 * 1024).write(to: URL(fileURLWithPath: filler))
        let (file, lines) = self.file(path)
        let recorder = try #require(
            CallRecorder(file: file, uplink: Self.format, downlink: Self.format, at: .zero))
        self.speak(11, seconds: 12, from: .zero, to: recorder)
        RecordingFile.settle()
        #expect(lines.all.count == 1)
        #expect(lines.all.allSatisfy { $0.contains("Recording has a gap") && !$0.contains(disk.folder) })
        let full = try self.size(path)
        #expect((200_000...410_000).contains(full), "what the disk took: \(full)")
        unlink(filler)
        // Holes take no room: what was missed is silence.
        self.speak(22, seconds: 4, from: .seconds(12), to: recorder)
        #expect(recorder.finish(at: .seconds(16)) == path)
        RecordingFile.settle()
        #expect(lines.all.count == 1)
        let wav = try self.wav(path)
        #expect(try self.begin(of: 11, in: wav) == 0)
        let back = try self.begin(of: 22, in: wav)
        #expect((11.9...12.1).contains(back), "again from \(back) s on")
        // A sample is whole or silent: nothing torn.
        for index in stride(from: 0, to: wav.samples.count - 1, by: 4) {
            guard wav.samples[index + 1] == 0, [0, 11, 22].contains(wav.samples[index]) else {
                Issue.record("torn at \(index)")
                break
            }
        }
    }

    private func size(_ path: String) throws -> Int {
        var status = stat()
        guard stat(path, &status) == 0 else { throw CocoaError(.fileReadUnknown) }
        return Int(status.st_size)
    }
}

/// A disk of a few kilobytes in a name space of its own (mount_namespaces(7)), which ends with the process that holds it.
private final class SmallDisk {
    private let process: Process
    private let input: Pipe
    private let mount: String
    /// The disk as this process sees it.
    let folder: String

    /// Nil: this machine does not permit it.
    init?(kilobytes: Int) {
        let mount = FileManager.default.temporaryDirectory.path + "/pronto-disk-\(UUID().uuidString)"
        guard (try? FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)) != nil
        else { return nil }
        let (process, input, output) = (Process(), Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        process.arguments = [
            "--map-root-user", "--mount", "/bin/sh", "-c",
            "mount -t tmpfs -o size=\(kilobytes)k,mode=700 none '\(mount)' && echo mounted && exec cat", "sh",
        ]
        (process.standardInput, process.standardOutput) = (input, output)
        process.standardError = FileHandle.nullDevice
        self.process = process
        self.input = input
        self.mount = mount
        do { try process.run() } catch {
            self.folder = ""
            return nil
        }
        let said = output.fileHandleForReading.availableData
        self.folder = "/proc/\(process.processIdentifier)/root\(mount)"
        guard String(decoding: said, as: UTF8.self) == "mounted\n" else { return nil }
    }

    deinit {
        try? self.input.fileHandleForWriting.close()
        if self.process.isRunning { self.process.waitUntilExit() }
        rmdir(self.mount)
    }
}
