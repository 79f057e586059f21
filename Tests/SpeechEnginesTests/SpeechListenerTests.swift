import Audio
import Dispatch
import Foundation
import Telephony
import Testing

@testable import SpeechEngines

@Suite struct SpeechListenerTests {
    /// Feeds µ-law frames as a call would (without its pace), quiet at the end, and waits for a result.
    private func listen(
        to speech: [UInt8], grammar: RecognitionGrammar?, detectors: SileroDetectors?
    ) async throws -> [ListeningEvent] {
        let pool = WorkerPool(name: "ears", threads: 1, limit: 64)
        let recognizer = try PocketSphinxRecognizer()
        let heard = Voices.Box<ListeningEvent>()
        let (stream, continuation) = AsyncStream.makeStream(of: ListeningEvent.self)
        var listener = try SpeechListener(
            format: .pcmu,
            engines: ListeningEngines(recognizer: recognizer, detectors: detectors, pool: pool)
        ) { event in
            heard.append(event)
            continuation.yield(event)
        }
        var events = stream.makeAsyncIterator()
        if let grammar {
            listener.recognise(grammar)
            _ = await events.next()
        }
        let audio: [UInt8] =
            [UInt8](repeating: 0xFF, count: 4000) + speech + [UInt8](repeating: 0xFF, count: 16_000)
        for start in stride(from: 0, to: audio.count - 159, by: 160) {
            audio[start..<(start + 160)].withUnsafeBytes { listener.hear($0) }
            // Faster than a call, but not faster than the lane.
            while listener.backlog > 16_000 { await Task.yield() }
        }
        while let event = await events.next() {
            if case .recognised = event { break }
            if grammar == nil, event == .speech(isSpeaking: false) { break }
            if heard.all.first == .recognitionFailed(.badGrammar), event == .speech(isSpeaking: false) { break }
        }
        listener.close()
        pool.stop()
        recognizer.stop()
        return heard.all
    }

    private func check(_ detectors: SileroDetectors?) async throws {
        let (speech, _) = await Voices.speak("technical support please", language: "en", format: .pcmu)
        let events: [ListeningEvent] = try await self.listen(
            to: speech, grammar: try Voices.grammar("en"), detectors: detectors)
        #expect(events.prefix(3) == [.recognitionReady, .speech(isSpeaking: true), .speech(isSpeaking: false)])
        guard case .recognised(let result)? = events.last else {
            Issue.record("nothing was recognised")
            return
        }
        // "the" may be heard in the breath before.
        #expect(result.words.value.contains("support"))
    }

    @Test("A caller is heard to begin and end, and understood, by the energy gate alone")
    func energy() async throws { try await self.check(nil) }

    @Test(
        "The same with Silero",
        .enabled(if: SileroDetector.isBuiltIn, "built without the trait LocalSpeech"))
    func silero() async throws {
        #expect(SileroDetector.checkModel(path: Voices.sileroModel))
        try await self.check(try SileroDetectors(model: Voices.sileroModel, maximum: 2))
    }

    @Test(
        "A tone opens the gate and is no speech to Silero",
        .enabled(if: SileroDetector.isBuiltIn, "built without the trait LocalSpeech"))
    func tone() async throws {
        let pool = WorkerPool(name: "ears", threads: 1, limit: 64)
        let heard = Voices.Box<ListeningEvent>()
        var listener = try SpeechListener(
            format: .l16(.wideband),
            engines: ListeningEngines(
                recognizer: nil, detectors: try SileroDetectors(model: Voices.sileroModel), pool: pool)
        ) { heard.append($0) }
        let tone: [UInt8] = (0..<32_000).flatMap { index -> [UInt8] in
            let value = Int16(8000 * sin(Double(index) * 2 * .pi * 440 / 16_000))
            return [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
        }
        for start in stride(from: 0, to: tone.count, by: 640) {
            tone[start..<(start + 640)].withUnsafeBytes { listener.hear($0) }
        }
        listener.close()
        pool.stop()
        #expect(heard.all == [])
    }

    @Test("A missing detector model is an error that names the path, and a child that fails is one too")
    func missing() throws {
        #expect(throws: SpeechEngineError.self) { _ = try SileroDetectors(model: "/nowhere.onnx") }
        #expect(throws: SpeechEngineError.self) {
            try SileroDetector.validateInChild(executable: "/bin/false", arguments: [])
        }
        #expect(throws: SpeechEngineError.programMissing(path: "/nowhere")) {
            try SileroDetector.validateInChild(executable: "/nowhere", arguments: [])
        }
        try SileroDetector.validateInChild(executable: "/bin/true", arguments: [])
    }

    @Test("A bad grammar is told, and detection goes on")
    func badGrammar() async throws {
        let (speech, _) = await Voices.speak("hello there", language: "en", format: .pcmu)
        let bad = RecognitionGrammar(text: "nonsense", language: "en")
        let events: [ListeningEvent] = try await self.listen(to: speech, grammar: bad, detectors: nil)
        #expect(events.first == .recognitionFailed(.badGrammar))
    }

    /// One character is one 20 ms frame: `S` speech at −20 dBFS, `n` noise at −45, `.` silence.
    @Test(
        "The gate hears speech above the line's noise, after its onset and until its hangover",
        arguments: [
            ("....SSSSSS..........", "......<......>......"), ("....S...SS..........", "...................."),
            ("....SSSSS..SSS......", "......<..........>.."), ("nnnnnnnnnnnnnnnnnnnn", "...................."),
        ])
    func gate(heard: String, reported: String) {
        var gate = SpeechGate(.init(onset: .milliseconds(40), hangover: .milliseconds(80)))
        // A line's first second, to learn its noise.
        for index in 0..<100 {
            _ = gate.frame(levelDBFS: heard.contains("n") ? -45 : -70, at: .milliseconds(20) * index)
        }
        let events: [Character] = heard.enumerated().map { index, frame in
            let level: Double = frame == "S" ? -20 : frame == "n" ? -45 : -70
            switch gate.frame(levelDBFS: level, at: .milliseconds(20) * (100 + index)) {
            case .speechStarted: return "<"
            case .speechStopped: return ">"
            case nil: return "."
            }
        }
        #expect(String(events) == reported)
    }
}
