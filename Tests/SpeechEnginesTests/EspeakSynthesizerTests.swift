import Audio
import Foundation
import Telephony
import Testing

@testable import SpeechEngines

@Suite struct EspeakSynthesizerTests {
    @Test(
        "A sentence becomes audible audio in the wanted format",
        arguments: [
            AudioFormat.pcmu, .pcma, .l16(.narrowband), .l16(.wideband), .l16(.realtime),
        ])
    func speaks(format: AudioFormat) async {
        let (audio, events) = await Voices.speak("Buongiorno, come posso aiutarla?", language: "it", format: format)
        #expect(events.first == .started && events.last == .finished)
        #expect(audio.count % format.bytesPerSample == 0)
        #expect((1.0...4.0).contains(format.duration(ofBytes: audio.count).inSeconds))
        let level: Double = audio.withUnsafeBytes { Level(of: $0, encoding: format.encoding).rms }
        #expect((-35.0 ... -8.0).contains(level))
    }

    @Test("The same prompt again comes from the cache, byte for byte, even when the program is gone")
    func cached() async throws {
        let link: String = NSTemporaryDirectory() + "pronto-espeak-\(UUID().uuidString)"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "/usr/bin/espeak-ng")
        let speaker = EspeakSynthesizer(.init(program: link, processes: 1))
        defer { speaker.stop() }
        let (first, _) = await Voices.speak("One moment.", language: "en", format: .pcmu, with: speaker)
        try FileManager.default.removeItem(atPath: link)
        let (again, events) = await Voices.speak("One moment.", language: "en", format: .pcmu, with: speaker)
        #expect(again == first && events.count == 3)
        let (_, other) = await Voices.speak("Another.", language: "en", format: .pcmu, with: speaker)
        #expect(other == [.failed(slug: "program-missing")])
    }

    @Test(
        "Text is never an option, a path, phoneme codes or markup",
        arguments: [
            "--help", "-f /etc/passwd", "[[h@l'oU]]", "<speak>hello</speak>", "a\u{0}b\u{1B}c", "\u{1F600}",
        ])
    func hostileText(text: String) async {
        let (_, events) = await Voices.speak(text, language: "en", format: .pcmu)
        #expect(events.last == .finished)
    }

    @Test("A long text is cut and still spoken")
    func long() async {
        let speaker = EspeakSynthesizer(.init(processes: 1, maximumText: 60))
        defer { speaker.stop() }
        let text = String(repeating: "again and ", count: 10_000)
        let (audio, events) = await Voices.speak(text, language: "en", format: .pcmu, with: speaker)
        #expect(events.last == .finished)
        #expect(audio.count < 8 * 8000)
    }

    @Test(
        "Voices follow the language; a hostile voice name is not passed on",
        arguments: [
            ("it-IT", nil, "it"), ("pt-BR", nil, "pt-br"), ("pt-PT", nil, "pt"), ("en", nil, "en-us"),
            ("en-GB", nil, "en-gb"), ("it", "it+f2", "it+f2"), ("it", "-v/etc/passwd", "it"), ("it", "../x", "it"),
            ("", nil, "en-us"), ("../../etc", nil, "en-us"),
        ] as [(String, String?, String)])
    func voices(language: String, voice: String?, name: String) {
        #expect(EspeakSynthesizer.voice(language: language, voice: voice) == name)
    }

    @Test("An unknown voice is a failure and not silence")
    func unknownVoice() async {
        let (_, events) = await Voices.speak("hello", language: "en", voice: "nobody-here", format: .pcmu)
        #expect(events.last == .failed(slug: "engine"))
    }

    @Test("A program that hangs is killed at its time, one that is cancelled at once; neither is left behind")
    func hangs() async throws {
        let script: String = NSTemporaryDirectory() + "pronto-hang-\(UUID().uuidString)"
        try "#!/bin/sh\nexec sleep 60\n".write(toFile: script, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
        defer { try? FileManager.default.removeItem(atPath: script) }
        let speaker = EspeakSynthesizer(.init(program: script, processes: 1, timeout: .milliseconds(100)))
        var events: [SynthesisEvent] = []
        // Another test's child may hold the script open for an instant (ETXTBSY).
        for _ in 0..<50 where events.first != .started {
            events = await Voices.speak("hello", language: "en", format: .pcmu, with: speaker).events
            if events.first != .started { try await Task.sleep(for: .milliseconds(50)) }
        }
        #expect(events == [.started, .failed(slug: "timeout")])
        speaker.stop()

        let patient = EspeakSynthesizer(.init(program: script, processes: 1, timeout: .seconds(30)))
        let heard = Voices.Box<SynthesisEvent>()
        let request = SynthesisRequest(text: "hello", language: "en", format: .pcmu)
        let job: SpeechJob = patient.speak(request) { heard.append($0) }
        job.cancel()
        // Returns when the thread is free again: not after 30 s.
        patient.stop()
        #expect(heard.all == [] || heard.all == [.started])
        #expect(Self.children().isEmpty)
    }

    /// Children of this process that have ended and were not waited for, or that still sleep.
    private static func children() -> [String] {
        let names: [String] = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.filter { $0.allSatisfy(\.isNumber) }.compactMap { pid in
            guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                let close = stat.lastIndex(of: ")")
            else { return nil }
            let fields = stat[close...].split(separator: " ")
            guard fields.count > 2, fields[2] == "\(getpid())" else { return nil }
            return stat.contains("(sleep)") ? stat : nil
        }
    }

    @Test("The cache is bounded in bytes, and forgets what was longest unused")
    func cacheBounds() {
        func key(_ text: String) -> UtteranceCache.Key { .init(text: text, voice: "it", format: .pcmu) }
        var cache = UtteranceCache(capacity: 100)
        cache.keep([UInt8](repeating: 1, count: 40), for: key("a"))
        cache.keep([UInt8](repeating: 2, count: 40), for: key("b"))
        #expect(cache.audio(for: key("a")) != nil)
        cache.keep([UInt8](repeating: 3, count: 40), for: key("c"))
        #expect(cache.bytes == 80)
        #expect(cache.audio(for: key("b")) == nil && cache.audio(for: key("a")) != nil)
        cache.keep([UInt8](repeating: 4, count: 101), for: key("d"))
        #expect(cache.bytes == 80)
    }
}
