import Audio
import Foundation
import Telephony
import Testing

@testable import SpeechEngines

/// With `scripts/lib/piper-stand-in` in Piper's place. A file of the repository: a program that a test has just written
/// may still be open in another test's child, and cannot be started then (ETXTBSY).
@Suite struct PiperSynthesizerTests {
    private static let program = Voices.repository.appendingPathComponent("scripts/lib/piper-stand-in").path

    /// A synthesizer with the stand-in and a described voice of 16 kHz.
    private func withStandIn(
        processes: Int = 1, timeout: Duration = .seconds(10), patience: Duration = .seconds(5),
        _ body: (PiperSynthesizer, String) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            let voice: String = folder + "/it_IT-test-low.onnx"
            try Data("no model".utf8).write(to: URL(fileURLWithPath: voice))
            try #"{"audio":{"sample_rate":16000},"espeak":{"voice":"it"},"num_speakers":1}"#
                .write(toFile: voice + ".json", atomically: true, encoding: .utf8)
            let piper = PiperSynthesizer(
                .init(
                    program: Self.program, voices: try VoiceFiles([folder]), processes: processes, timeout: timeout,
                    patience: patience, cacheBytes: 0))
            try await body(piper, voice + ".starts")
            piper.stop()
        }
    }

    private func speak(
        _ text: String, _ piper: PiperSynthesizer, language: String = "it", format: AudioFormat = .l16(.wideband)
    ) async -> (audio: [UInt8], events: [SynthesisEvent]) {
        await Voices.collect { piper.speak(SynthesisRequest(text: text, language: language, format: format), $0) }
    }

    private func starts(_ path: String) -> Int { (try? String(contentsOfFile: path, encoding: .utf8).count) ?? 0 }

    @Test("Clauses come one after another from the same process, each whole and none with the sound of the last")
    func boundaries() async throws {
        try await self.withStandIn { piper, starts in
            for words in [1, 3, 2, 7, 1] {
                let text = Array(repeating: "parola", count: words).joined(separator: " ")
                let (audio, events) = await self.speak(text, piper)
                #expect(events.first == .started && events.last == .finished)
                #expect(audio.count == words * 3200)
            }
            let (nothing, events) = await self.speak("mute", piper)
            #expect(nothing.isEmpty && events == [.started, .finished])
            #expect(self.starts(starts) == 1)
        }
    }

    @Test("A process that dies in a word is a failure; the next clause has a new one")
    func crash() async throws {
        try await self.withStandIn { piper, starts in
            #expect(await self.speak("bene", piper).events.last == .finished)
            #expect(await self.speak("die ora", piper).events.last == .failed(slug: "engine"))
            #expect(await self.speak("bene ora", piper).events.last == .finished)
            #expect(self.starts(starts) == 2)
        }
    }

    @Test("A process that was ended while it waited is replaced before the caller notices")
    func killedWhileIdle() async throws {
        try await self.withStandIn { piper, starts in
            #expect(await self.speak("bene", piper).events.last == .finished)
            let script = try #require(starts.split(separator: "/").dropLast().last.map(String.init))
            #expect(try Self.killChildren(holding: script) == 1)
            let (audio, events) = await self.speak("bene bene", piper)
            #expect(events.last == .finished && audio.count == 6400)
            #expect(self.starts(starts) == 2)
        }
    }

    @Test("A clause that takes too long is a failure, and its process is not used again")
    func late() async throws {
        try await self.withStandIn(timeout: .milliseconds(400)) { piper, starts in
            // Python's own start is in the first one's time.
            for _ in 0..<20 where await self.speak("bene", piper).events.last != .finished {}
            let before: Int = self.starts(starts)
            #expect(await self.speak("slow", piper).events.last == .failed(slug: "timeout"))
            for _ in 0..<20 where await self.speak("bene", piper).events.last != .finished {}
            #expect(self.starts(starts) > before)
        }
    }

    @Test("A cancelled clause is silent at once, and its process speaks the next, none of the old sound in it")
    func cancel() async throws {
        try await self.withStandIn { piper, starts in
            #expect(await self.speak("bene", piper).events.last == .finished)
            let heard = Voices.Box<SynthesisEvent>()
            let job = piper.speak(
                SynthesisRequest(text: "slow parole che nessuno sente", language: "it", format: .l16(.wideband))
            ) { heard.append($0) }
            for _ in 0..<5000 where heard.all.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
            job.cancel()
            let before = heard.all.count
            let (audio, events) = await self.speak("bene bene", piper)
            #expect(events.last == .finished && audio.count == 6400)
            #expect(heard.all.count == before && heard.all.first == .started)
            #expect(self.starts(starts) == 1)
        }
        try await self.withStandIn(patience: .milliseconds(50)) { piper, starts in
            #expect(await self.speak("bene", piper).events.last == .finished)
            let heard = Voices.Box<SynthesisEvent>()
            let job = piper.speak(
                SynthesisRequest(text: "slow", language: "it", format: .l16(.wideband))
            ) { heard.append($0) }
            for _ in 0..<5000 where heard.all.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
            job.cancel()
            #expect(await self.speak("bene", piper).events.last == .finished)
            // Not waited for: ended and replaced. (A new one that a busy machine starts late is replaced again.)
            #expect(self.starts(starts) >= 2)
        }
    }

    @Test(
        "Text is one line and no phoneme codes, whatever it holds",
        arguments: ["a\nb\r\nc", "[[x]] y", "--help", "\u{0}"])
    func hostileText(text: String) async throws {
        try await self.withStandIn { piper, _ in
            #expect(await self.speak(text, piper).events.last == .finished)
            let (audio, _) = await self.speak("una", piper)
            #expect(audio.count == 3200)
        }
    }

    @Test("Without a voice of the language nothing is spoken by another's")
    func language() async throws {
        try await self.withStandIn { piper, _ in
            #expect(await self.speak("hello", piper, language: "en").events == [.failed(slug: "no-voice")])
        }
    }

    @Test("What is wrong with the program shows at the start, in the program's own words")
    func check() async throws {
        try await self.withStandIn { piper, starts in
            try piper.check()
            #expect(await self.speak("bene", piper).events.last == .finished)
            #expect(self.starts(starts) == 1)
        }
        try await self.withStandIn(processes: 3) { piper, starts in
            try piper.check()
            for _ in 0..<500 where self.starts(starts) < 3 { try await Task.sleep(for: .milliseconds(10)) }
            async let first = self.speak("slow bene", piper)
            async let second = self.speak("slow bene bene", piper)
            let sizes = await [first.audio.count, second.audio.count]
            #expect(sizes == [6400, 9600])
            #expect(self.starts(starts) == 3, "none was started when two spoke at a time")
        }
        try await withTemporaryFolder { folder in
            let voice: String = folder + "/broken.onnx"
            try Data().write(to: URL(fileURLWithPath: voice))
            try #"{"audio":{"sample_rate":16000}}"#.write(toFile: voice + ".json", atomically: true, encoding: .utf8)
            let piper = PiperSynthesizer(.init(program: Self.program, voices: try VoiceFiles([voice])))
            defer { piper.stop() }
            let error = #expect(throws: SpeechEngineError.self) { try piper.check() }
            #expect("\(try #require(error))".contains("No module named onnxruntime"))
            let missing = PiperSynthesizer(.init(program: "/nowhere/piper", voices: try VoiceFiles([voice])))
            defer { missing.stop() }
            #expect(throws: SpeechEngineError.programMissing(path: "/nowhere/piper")) { try missing.check() }
        }
    }

    /// Ends children of this process whose command line holds `text`.
    private static func killChildren(holding text: String) throws -> Int {
        var ended = 0
        for pid in try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap({ pid_t($0) }) {
            guard let line = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8), line.contains(text),
                let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                let close = stat.lastIndex(of: ")"),
                stat[close...].split(separator: " ").dropFirst(2).first == "\(getpid())"
            else { continue }
            if kill(pid, SIGKILL) == 0 { ended += 1 }
        }
        return ended
    }
}

/// The same with the real program and a real voice.
@Suite(
    .serialized,
    .enabled(if: LocalModels.hasPiper, "no Piper here: scripts/install --with-piper --with-models"))
struct RealPiperTests {
    @Test("The real Piper speaks clause after clause, and is cut off at once")
    func speaks() async throws {
        let piper = PiperSynthesizer(
            .init(
                program: LocalModels.piper, voices: try VoiceFiles([LocalModels.voice]), processes: 1, cacheBytes: 0))
        defer { piper.stop() }
        try piper.check()
        func say(_ text: String) async -> (audio: [UInt8], events: [SynthesisEvent]) {
            await Voices.collect { piper.speak(SynthesisRequest(text: text, language: "en", format: .pcmu), $0) }
        }
        for text in ["Good morning.", "We are open from nine to five. Is there anything else?", "Yes!"] {
            let (audio, events) = await say(text)
            #expect(events.first == .started && events.last == .finished)
            let seconds: Double = AudioFormat.pcmu.duration(ofBytes: audio.count).inSeconds
            #expect((0.2...8).contains(seconds))
            let level: Double = audio.withUnsafeBytes { Level(of: $0, encoding: .pcmu).rms }
            #expect((-40.0 ... -8.0).contains(level))
        }
        // Marks without a word have no sound, and the next text has its own.
        #expect(await say("…").events.last == .finished)
        let heard = Voices.Box<SynthesisEvent>()
        let long = Array(repeating: "This is one more sentence of a long answer.", count: 20).joined(separator: " ")
        let job = piper.speak(SynthesisRequest(text: long, language: "en", format: .pcmu)) { heard.append($0) }
        for _ in 0..<2000 where heard.all.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
        job.cancel()
        let count: Int = heard.all.count
        let (audio, events) = await say("Yes!")
        // One piece may have been on its way.
        #expect(heard.all.count <= count + 1)
        #expect(events.last == .finished)
        #expect((0.2...3).contains(AudioFormat.pcmu.duration(ofBytes: audio.count).inSeconds))
    }

    @Test("A voice that is no model is refused at the start, in Piper's words")
    func badVoice() async throws {
        try await withTemporaryFolder { folder in
            let voice: String = folder + "/broken.onnx"
            try Data("no model".utf8).write(to: URL(fileURLWithPath: voice))
            try FileManager.default.copyItem(atPath: LocalModels.voice + ".json", toPath: voice + ".json")
            let piper = PiperSynthesizer(.init(program: LocalModels.piper, voices: try VoiceFiles([voice])))
            defer { piper.stop() }
            let error = #expect(throws: SpeechEngineError.self) { try piper.check() }
            let text = "\(try #require(error))"
            #expect(text.contains("broken.onnx") && text.contains("ended with"))
        }
    }
}
