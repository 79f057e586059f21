import Telephony
import Testing

@testable import Assistants

/// The pipeline with engines of this machine: what it asks of them, and when.
@Suite struct LocalStagesTests {
    /// The machine with its clock, driven by hand.
    private struct Desk {
        var machine: SpeechPipelineMachine
        var output = AssistantOutput()
        var now: Duration = .zero
        var detector: ChannelID?
        /// Recordings asked for and not answered, with their length.
        var recordings: [(channel: ChannelID, length: Duration)] = []
        var spoken: [SpeechRequest] = []
        var closed: [ChannelID] = []
        var events: [AssistantEvent] = []
        var requests = 0

        init(
            speaker: SpeakerConfiguration.Service = .piper, silence: Duration = .milliseconds(500),
            padding: Duration = .milliseconds(300)
        ) {
            var setup = AssistantSetup(instructions: "Be brief.", greeting: "Hello.", language: "en", legFormat: .pcmu)
            setup.turns.silence = silence
            setup.turns.prefixPadding = padding
            let configuration = SpeechPipelineConfiguration(
                recogniser: RecogniserConfiguration(.sherpa),
                writer: WriterConfiguration(.compatible, baseURL: "http://127.0.0.1:1/v1", model: "m"),
                speaker: SpeakerConfiguration(speaker, voice: "en_US-joe-medium"))
            self.machine = SpeechPipelineMachine(configuration: configuration, setup: setup)
            self.machine.start(at: self.now, &self.output)
            self.drain()
        }

        mutating func drain() {
            for effect in self.output.effects {
                switch effect {
                case .detect(let id, _): self.detector = id
                case .transcribe(let id, let request):
                    self.recordings.append((id, request.format.duration(ofBytes: request.audio.count)))
                case .synthesise(_, let request): self.spoken.append(request)
                case .close(let id, _):
                    self.closed.append(id)
                    self.recordings.removeAll { $0.channel == id }
                case .request: self.requests += 1
                case .event(let event): self.events.append(event)
                default: break
                }
            }
            self.output.removeAll()
        }

        mutating func speech(_ isSpeaking: Bool) {
            guard let detector = self.detector else { return }
            self.machine.received(.speech(detector, isSpeaking: isSpeaking), at: self.now, &self.output)
            self.drain()
        }

        /// Frames of the caller, and the clock with them.
        mutating func hear(_ time: Duration) {
            let end = self.now + time
            let frame = [UInt8](repeating: 1, count: 320)
            while self.now < end {
                self.now += .milliseconds(20)
                frame.withUnsafeBytes { self.machine.callerAudio($0, at: self.now, &self.output) }
                self.machine.wake(at: self.now, &self.output)
                self.drain()
            }
        }

        mutating func write(_ words: String) {
            guard let recording = self.recordings.first else { return }
            self.recordings.removeFirst()
            self.machine.received(.transcribed(recording.channel, Redacted(words)), at: self.now, &self.output)
            self.drain()
        }

        var turns: [String] {
            self.events.compactMap {
                if case .callerTranscript(_, let text, true) = $0 { text.value } else { nil }
            }
        }
    }

    @Test("Ready at once: no address, no key, and the first words go to the engine and voice of the configuration")
    func ready() {
        var desk = Desk()
        #expect(desk.events.contains(.ready(input: .l16(.narrowband), output: .pcmu)))
        desk.machine.perform(.respond(.greeting), at: desk.now, &desk.output)
        desk.drain()
        #expect(desk.spoken.map(\.text.value) == ["Hello."])
        #expect(desk.spoken.map(\.engine) == [.piper])
        #expect(desk.spoken.map(\.voice) == ["en_US-joe-medium"])
        var plain = Desk(speaker: .local)
        plain.machine.perform(.respond(.greeting), at: plain.now, &plain.output)
        plain.drain()
        #expect(plain.spoken.map(\.engine) == [nil])
    }

    @Test("The words are written while the silence still lasts, and the turn ends when it is long enough")
    func eager() {
        var desk = Desk()
        desk.hear(.milliseconds(400))
        desk.speech(true)
        desk.hear(.milliseconds(1000))
        desk.speech(false)
        #expect(desk.recordings.count == 1)
        // From just before the speech: half a second of lead, and the speech itself.
        #expect((.milliseconds(1000) ... .milliseconds(2000)).contains(desk.recordings.first?.length ?? .zero))
        desk.hear(.milliseconds(100))
        desk.write("When do you open")
        #expect(desk.turns.isEmpty)
        desk.hear(.milliseconds(500))
        #expect(desk.turns == ["When do you open"])
        #expect(desk.requests == 1 && desk.recordings.isEmpty)
    }

    @Test(
        "Whatever lead a row asks for, a recording begins two seconds before the speech at most",
        arguments: [.milliseconds(315_360_000_000), .seconds(60), .milliseconds(-1)] as [Duration])
    func padding(asked: Duration) {
        var desk = Desk(padding: asked)
        desk.hear(.seconds(6))
        desk.speech(true)
        desk.hear(.milliseconds(1000))
        desk.speech(false)
        let most: Duration = asked < .zero ? .milliseconds(1300) : .milliseconds(3300)
        #expect((.milliseconds(1100)...most).contains(desk.recordings.first?.length ?? .zero))
    }

    @Test("A caller who goes on is written down again as a whole, and the first writing is called off")
    func goesOn() {
        var desk = Desk()
        desk.speech(true)
        desk.hear(.milliseconds(800))
        desk.speech(false)
        let first = desk.recordings.first
        desk.hear(.milliseconds(60))
        desk.speech(true)
        #expect(first.map { desk.closed.contains($0.channel) } == true)
        desk.hear(.milliseconds(600))
        desk.speech(false)
        #expect(desk.recordings.count == 1)
        #expect((desk.recordings.first?.length ?? .zero) > (first?.length ?? .zero) + .milliseconds(500))
        desk.write("When do you open on Sundays?")
        // Written already, and then more: the whole turn is asked for again.
        desk.hear(.milliseconds(40))
        desk.speech(true)
        desk.hear(.milliseconds(400))
        desk.speech(false)
        #expect(desk.recordings.count == 1 && desk.turns.isEmpty)
        desk.write("When do you open on Sundays and holidays?")
        desk.hear(.milliseconds(700))
        #expect(desk.turns == ["When do you open on Sundays and holidays?"])
    }

    @Test("Slow writing holds the turn open until it is there, then the turn ends at once")
    func slow() {
        var desk = Desk()
        desk.speech(true)
        desk.hear(.milliseconds(800))
        desk.speech(false)
        desk.hear(.milliseconds(1500))
        #expect(desk.turns.isEmpty && desk.recordings.count == 1)
        desk.write("Hello.")
        #expect(desk.turns == ["Hello."])
        // The next turn begins without the sound of this one.
        desk.hear(.milliseconds(2000))
        desk.speech(true)
        desk.hear(.milliseconds(300))
        desk.speech(false)
        #expect((desk.recordings.first?.length ?? .zero) < .milliseconds(2000))
    }

    @Test("Noise without a word is no turn")
    func noise() {
        var desk = Desk()
        desk.speech(true)
        desk.hear(.milliseconds(200))
        desk.speech(false)
        desk.write("")
        desk.hear(.milliseconds(800))
        #expect(desk.turns.isEmpty)
        #expect(!desk.events.contains { if case .callerTurnCommitted = $0 { true } else { false } })
    }

    @Test(
        "An engine that cannot serve is passed over; one that may recover is tried again",
        arguments: [
            ("no-language", AssistantFailure.Verdict.failOver), ("no-recogniser", .failOver), ("engine", .failOver),
            ("overflow", .retry),
        ])
    func failures(slug: String, verdict: AssistantFailure.Verdict) {
        var desk = Desk()
        desk.speech(true)
        desk.hear(.milliseconds(300))
        desk.speech(false)
        if let recording = desk.recordings.first {
            desk.machine.received(
                .closed(recording.channel, .failed(slug: slug)), at: desk.now, &desk.output)
        }
        desk.drain()
        let failure = desk.events.compactMap { if case .failed(let failure) = $0 { failure } else { nil } }.last
        #expect(failure?.slug == "recogniser-" + slug && failure?.verdict == verdict)
    }
}
