import Assistants
import Audio
import Conversation
import Foundation
import Networking
import PhoneServer
import Records
import Simulators
import Synchronization
import Telephony
import Testing

/// A voice that beeps and ears that hear by level: engines of the right shape without their cost.
struct LevelSpeech: SpeechServices {
    private struct Job: PhoneServer.SpeechJob {
        func cancel() {}
    }
    let spoken = Observed<[String]>([])
    /// What the recordings hold, one after another; then nothing.
    let utterances = Observed<[String]>([])
    let recorded = Observed<[Duration]>([])
    let engines = Observed<[LocalVoice?]>([])

    func transcribe(
        _ request: TranscriptionRequest, report: @escaping @Sendable (TranscriptionReport) -> Void
    ) -> any PhoneServer.SpeechJob {
        self.recorded.change { $0.append(request.format.duration(ofBytes: request.audio.count)) }
        let words = self.utterances.value.first ?? ""
        report(words == "‹broken›" ? .failed(slug: "engine") : .words(Redacted(words)))
        return Job()
    }

    func synthesise(
        _ request: SpeechRequest, report: @escaping @Sendable (SpeechReport) -> Void
    ) -> any PhoneServer.SpeechJob {
        let text = request.text.value
        self.spoken.change { $0.append(text) }
        self.engines.change { $0.append(request.engine) }
        report(.started)
        report(.audio([UInt8](repeating: 1, count: request.format.bytes(in: .milliseconds(300)))))
        report(.ended(.finished))
        return Job()
    }

    func listen(
        _ request: DetectionRequest, report: @escaping @Sendable (ListeningReport) -> Void
    ) throws -> any ListeningJob { Ears(request, report) }

    private final class Ears: ListeningJob {
        private let request: DetectionRequest
        private let report: @Sendable (ListeningReport) -> Void
        private var isSpeaking = false
        private var silence: Duration = .zero

        init(_ request: DetectionRequest, _ report: @escaping @Sendable (ListeningReport) -> Void) {
            self.request = request
            self.report = report
        }

        func caller(_ frame: UnsafeRawBufferPointer) {
            let isLoud = Level(of: frame, encoding: self.request.format.encoding).rms > -40
            self.silence = isLoud ? .zero : self.silence + self.request.format.duration(ofBytes: frame.count)
            if isLoud != self.isSpeaking, isLoud || self.silence >= self.request.silence {
                self.isSpeaking = isLoud
                self.report(.speech(isSpeaking: isLoud))
            }
        }
        func recognise(_ request: RecognitionRequest) {}
        func stopRecognising() {}
        func close() {}
    }
}

/// A gateway whose assistant is the speech pipeline, with simulated services behind it.
struct PipelineGateway {
    let deepgram: DeepgramSimulator
    let chat: ChatSimulator
    let gateway: TestGateway
    let speech = LevelSpeech()

    init(
        deepgram: DeepgramScript = DeepgramScript(), chat: ChatScript = ChatScript(),
        providers: [String] = ["pipeline"], openAI: [OpenAIRealtimeScript] = [OpenAIRealtimeScript()],
        services change: (inout PipelineServices) -> Void = { _ in },
        change changeAssistant: (inout Assistant, inout AssistantDefaults) -> Void = { _, _ in }
    ) async throws {
        self.deepgram = try DeepgramSimulator.start(script: deepgram)
        self.chat = try ChatSimulator.start(script: chat)
        let services = Self.services(deepgram: self.deepgram.port, chat: self.chat.port, change)
        self.gateway = try await TestGateway(
            scripts: openAI, pipeline: services, providers: providers, speech: self.speech,
            change: { assistant, defaults in
                assistant.greeting = "Good morning, this is Pronto."
                defaults.deadlines.firstAudio = .seconds(3)
                defaults.deadlines.stall = .seconds(2)
                changeAssistant(&assistant, &defaults)
            })
    }

    static func services(
        deepgram: Int, chat: Int, _ change: (inout PipelineServices) -> Void = { _ in }
    ) -> PipelineServices {
        var services = PipelineServices()
        let key = Redacted("test-key")
        services.access = [
            .deepgram: .init(baseURL: "http://127.0.0.1:\(deepgram)", key: key),
            .groq: .init(baseURL: "http://127.0.0.1:\(chat)/openai/v1", key: key),
            .openai: .init(baseURL: "http://127.0.0.1:\(chat)/v1", key: key),
            .anthropic: .init(baseURL: "http://127.0.0.1:\(chat)", key: key),
            .elevenlabs: .init(baseURL: "http://127.0.0.1:\(chat)", key: key),
            .compatible: .init(baseURL: "http://127.0.0.1:\(chat)/v1", key: key),
        ]
        change(&services)
        return services
    }

    /// Dials, and waits until the greeting was heard to its end.
    func greeted(_ call: CallID) async throws -> TestPhone {
        let phone = try await TestPhone.dial(
            port: self.gateway.port, path: "/stream/\(TestGateway.tenant)/\(call)", on: self.gateway.group.loops[0])
        try await self.heard(replies: 1)
        return phone
    }

    /// Waits until so many replies, the greeting among them, were heard to their ends.
    func heard(replies: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let notes = self.gateway.notes
        try await eventually(within: .seconds(30), "reply \(replies) to be heard", sourceLocation: sourceLocation) {
            notes.repliesHeard >= replies
        }
    }

    func say(_ phone: TestPhone, for time: Duration = .milliseconds(600)) async throws {
        phone.speak(true)
        try await Task.sleep(for: time)
        phone.speak(false)
    }

    func finished(_ phone: TestPhone) async throws -> FinishedCall {
        phone.hangUp()
        let gateway = self.gateway
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        return try #require(gateway.finished.value.first)
    }

    func stop() async throws {
        try await self.gateway.stop()
        self.deepgram.stop()
        self.chat.stop()
    }
}
