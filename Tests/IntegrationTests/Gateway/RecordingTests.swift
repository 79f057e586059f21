import Assistants
import Audio
import Conversation
import Foundation
import Networking
import Observability
import Records
import Simulators
import Telephony
import Testing

@testable import PhoneServer

/// What a recording holds, and what a disk that does not take it costs.
@Suite("Recordings", .timeLimit(.minutes(1))) struct RecordingTests {
    /// Calls with a whole software phone and returns when the call is over.
    private func call(
        _ gateway: TestGateway, _ call: CallID, as module: PhoneModule = .binary, _ script: [PhoneStep]
    ) async throws -> PhoneResult {
        var configuration = PhoneConfiguration(dialect: module, rate: .narrowband, script: script)
        configuration.records = true
        let url =
            "ws://127.0.0.1:\(gateway.port)/stream/\(TestGateway.tenant)/\(call)?dialect=\(module.name?.rawValue ?? "")&encoding=l16&rate=8000"
        let target = PhoneTarget(url: url, timeout: .seconds(10))
        let loop = EventLoop(name: "phone")
        loop.start()
        defer { loop.stop() }
        let setup = configuration
        return await withCheckedContinuation { continuation in
            loop.execute {
                PhoneSimulator(configuration: setup, target: target, on: loop).start { result in
                    continuation.resume(returning: result)
                }
            }
        }
    }

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "pronto-wav-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let result: Result<Void, any Error>
        do { result = .success(try await body(folder)) } catch { result = .failure(error) }
        try FileManager.default.removeItem(atPath: folder)
        try result.get()
    }

    /// Which 20 ms of one side hold a tone. All tones here are multiples of 50 Hz, so that none leaks into another's.
    private struct Side {
        let samples: [Int16]
        let rate: SampleRate

        init(_ wav: WAV, right: Bool) {
            self.rate = wav.format.rate
            var samples: [Int16] = []
            for start in stride(from: right ? 2 : 0, to: wav.samples.count - 1, by: 4) {
                samples.append(
                    Int16(bitPattern: UInt16(wav.samples[start]) | UInt16(wav.samples[start + 1]) << 8))
            }
            self.samples = samples
        }

        /// The numbers of the 20 ms that sound mainly of `hertz`.
        func frames(of hertz: Double) -> [Int] {
            let length = self.rate.samples(in: .milliseconds(20))
            return (0..<(self.samples.count / length)).filter { index in
                let frame = Array(self.samples[(index * length)..<((index + 1) * length)])
                return Goertzel.amplitude(of: hertz, in: frame, rate: self.rate) > 0.1
            }
        }
    }

    @Test("Left is what the caller said, right what was heard, and nothing that a barge-in threw away")
    func sides() async throws {
        try await self.withFolder { folder in
            var script = OpenAIRealtimeScript()
            script.greeting = .init("Long.", sound: .tone(hertz: 700, .seconds(20)))
            script.answers = [.init("Yes.", sound: .tone(hertz: 400, .milliseconds(500)))]
            let gateway = try await TestGateway(
                scripts: [script],
                configure: { configuration in
                    configuration.recordings = folder + "/deep/er"
                    configuration.recordsByDefault = true
                })
            let id = try await gateway.makeChannel()
            let voice = Tone(1000, amplitude: 0.5, rate: .narrowband).samples(for: .milliseconds(600))
            let result = try await self.call(
                // The fork holds 440 ms: that much is thrown away by a flush.
                gateway, id, as: .forkL16,
                [
                    .interrupt(afterHearing: .milliseconds(600), voice, timeout: .seconds(10)),
                    .waitForAgent(quietFor: .milliseconds(300), timeout: .seconds(10)), .hangUp,
                ])
            #expect(result.failure == nil && result.flushes > 0)
            try await eventually("a record") { !gateway.finished.value.isEmpty }
            RecordingFile.settle()
            let finished = try #require(gateway.finished.value.first)
            let path = try #require(finished.call.recording)
            let wav = try WAV(parsing: Array(try Data(contentsOf: URL(filePath: path))))
            #expect(wav.format == AudioFormat(.l16, .narrowband, channels: 2))
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode.map { $0 & 0o007 } == 0, "not for everybody's eyes")

            let (left, right) = (Side(wav, right: false), Side(wav, right: true))
            let (said, heard, answer) = (left.frames(of: 1000), right.frames(of: 700), right.frames(of: 400))
            #expect((28...32).contains(said.count), "600 ms of the caller, whole: \(said.count)")
            #expect(left.frames(of: 700).isEmpty && left.frames(of: 400).isEmpty && right.frames(of: 1000).isEmpty)
            #expect((20...27).contains(answer.count), "500 ms of the answer: \(answer.count)")
            // In order: it began, the caller spoke, it ended, and nothing of it came back.
            let (first, last) = (try #require(heard.first), try #require(heard.last))
            #expect(try #require(said.first) > first)
            #expect(try #require(answer.first) > last)
            // The same stretch as in the phone's own ear and in the record, to within less than the fork holds (22 frames).
            let phone = try #require(result.recording)
            let ear = Side(phone, right: true).frames(of: 700)
            #expect(abs(ear.count - heard.count) <= 15, "phone \(ear.count), recording \(heard.count)")
            let turn = try #require(finished.turns.first { $0.wasInterrupted })
            #expect(abs(try #require(turn.heard).milliseconds / 20 - heard.count) <= 15)
            try await gateway.stop()
        }
    }

    @Test("A folder that cannot be made costs the recording, one line in the log, and nothing of the call")
    func unwritable() async throws {
        try await self.withFolder { folder in
            let inTheWay = folder + "/file"
            try Data("x".utf8).write(to: URL(filePath: inTheWay))
            var script = OpenAIRealtimeScript()
            script.greeting = .init("Hello.", sound: .tone(hertz: 700, .milliseconds(400)))
            script.answers = [.init("Yes.", sound: .tone(hertz: 400, .milliseconds(400)))]
            let gateway = try await TestGateway(
                scripts: [script],
                configure: { configuration in
                    configuration.recordings = inTheWay
                    configuration.recordsByDefault = true
                })
            let id = try await gateway.makeChannel()
            let voice = Tone(1000, amplitude: 0.5, rate: .narrowband).samples(for: .milliseconds(500))
            let listen = PhoneStep.waitForAgent(quietFor: .milliseconds(300), timeout: .seconds(10))
            let result = try await self.call(gateway, id, [listen, .speak(voice), listen, .hangUp])
            #expect(result.failure == nil && result.answers.count == 1)
            try await eventually("a record") { !gateway.finished.value.isEmpty }
            let finished = try #require(gateway.finished.value.first)
            #expect(finished.call.termination == .callerHungUp)
            #expect(finished.call.recording == nil, "a record names no file that is not there")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
            try await gateway.stop()
        }
    }

    /// A recorder with a file at `path`, and the lines that it logged.
    private func recorder(_ path: String) throws -> (CallRecorder, Observed<[String]>) {
        let lines = Observed<[String]>([])
        let logger = Logger(level: .trace) { line in lines.change { $0.append(line) } }
        let file = RecordingFile(path: path, rate: .narrowband, logger: logger)
        let recorder = CallRecorder(
            file: file, uplink: .l16(.narrowband), downlink: .l16(.narrowband), at: .zero)
        return (try #require(recorder), lines)
    }

    /// Ten seconds of a caller, on no clock.
    private func speak(to recorder: CallRecorder, from start: Duration = .zero) {
        let frame = Tone(1000, rate: .narrowband).samples(for: .milliseconds(20))
        for index in 1...500 {
            frame.withUnsafeBytes { recorder.callerFrame($0, endedAt: start + .milliseconds(20) * index) }
        }
    }

    @Test("After a stall of the network the caller is where the caller spoke, not late for the rest of the call")
    func stall() throws {
        let format = AudioFormat.l16(.narrowband)
        var timeline = try StereoTimeline(uplink: format, downlink: format, start: .zero)
        // Frame `n` (from 1) is full of n. Frames 51 to 75 come together, half a second late.
        for number in 1...200 {
            let late = (51...75).contains(number)
            let frame = [Int16](repeating: Int16(number), count: 160)
            frame.withUnsafeBytes {
                timeline.callerFrame($0, endedAt: .milliseconds(20) * (late ? 75 : number))
            }
        }
        let bytes = timeline.finish(at: .seconds(4)).bytes
        let left = Side(WAV(format: AudioFormat(.l16, .narrowband, channels: 2), samples: bytes), right: false).samples
        for number in [25, 60, 100, 199] {
            let begins = try #require(left.firstIndex(of: Int16(number)))
            let late = begins - (number - 1) * 160
            #expect((0...800).contains(late), "frame \(number) is \(late) samples late")
            #expect(left.count { $0 == Int16(number) } == 160)
        }
    }

    @Test("A full disk is one error, however long the call goes on, and leaves no broken file")
    func fullDisk() async throws {
        try await self.withFolder { folder in
            // Every write to it is ENOSPC (full(4)).
            let path = folder + "/call.wav"
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/full")
            let (recorder, lines) = try self.recorder(path)
            RecordingFile.settle()
            self.speak(to: recorder)
            RecordingFile.settle()
            self.speak(to: recorder, from: .seconds(10))
            #expect(recorder.finish(at: .seconds(20)) == nil)
            RecordingFile.settle()
            #expect(lines.value.count == 1)
            #expect(lines.value.allSatisfy { $0.contains("Recording stopped") && !$0.contains(folder) })
            #expect(!FileManager.default.fileExists(atPath: path))
            #expect(FileManager.default.fileExists(atPath: "/dev/full"))
        }
    }
}

/// Wall clocks are set back and forth; what is written down about a call must not follow them.
@Suite("A clock that jumps") struct JumpingClockTests {
    @Test("A call's length is the loop's, whatever the wall clock says at its end", arguments: [0, 90, 86_400])
    func duration(seconds: Int) throws {
        let tenant = TestGateway.tenant
        let identity = CallIdentity(
            call: try #require(CallID("call-1")), tenant: tenant, assistant: TestGateway.assistant,
            assistantName: "reception")
        let plan = CallPlan(assistants: ["openai"])
        let report = CallReport(identity: identity, plan: plan, prices: .builtIn)
        let session = CallSession(
            plan: plan, uplink: .l16(.narrowband), downlink: .l16(.narrowband),
            traits: PlayoutTraits(lead: .milliseconds(60), canFlush: true))
        // No time has passed for the wall clock: the end is told, not read.
        let finished = report.close(
            .callerHungUp, session: session, duration: .seconds(seconds), recording: nil)
        #expect(finished.call.duration == .seconds(seconds))
        let conversation = try #require(finished.conversation)
        #expect(conversation.endedAt.timeIntervalSince(conversation.startedAt) == Double(seconds))
        #expect(conversation.startedAt == finished.call.startedAt)
    }

    @Test("A record whose end lies before its start, or nowhere, has a length that can be added up")
    func backwards() throws {
        func length(_ seconds: TimeInterval) throws -> Duration {
            let start = Date(timeIntervalSince1970: 1_700_000_000)
            return CallRecord(
                id: try #require(CallID("call-1")), tenant: TestGateway.tenant, startedAt: start,
                endedAt: start.addingTimeInterval(seconds), termination: .callerHungUp
            ).duration
        }
        #expect(try length(-3600) == .zero)
        #expect(try length(.infinity) == .zero)
        #expect(try length(.nan) == .zero)
        #expect(try length(1e300) == .seconds(1_000_000_000))
        #expect(try length(61.2) == .milliseconds(61_200))
    }
}
