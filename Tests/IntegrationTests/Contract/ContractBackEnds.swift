import Assistants
import Simulators
import Telephony

// The back ends under the contract. A new one adds itself to `all`, with its machine towards its simulator.
extension ContractBackEnd {
    static let all: [ContractBackEnd] = [
        .openAI, .elevenLabs, .elevenLabsInMuLaw, .gemini, .olderGemini, .pipeline, .pipelineOfPieces, .turnBased,
    ]

    /// Each with the one after it, and with the one three further on: every one goes and comes, to its kind and others.
    static let pairs: [(ContractBackEnd, ContractBackEnd)] = Self.all.indices.flatMap { index in
        [1, 3].map { (Self.all[index], Self.all[(index + $0) % Self.all.count]) }
    }

    static let pipeline = Self.pipeline("pipeline", recogniser: .deepgram, writer: .groq, speaker: .deepgram)
    /// A recogniser that decides the turns, Anthropic's protocol, and a voice that speaks a clause a request.
    static let pipelineOfPieces = Self.pipeline(
        "pipeline-flux", recogniser: .flux, writer: .anthropic, speaker: .elevenLabs)
    static let turnBased = Self.pipeline(
        "turn-based", recogniser: .deepgramBatch, writer: .openAI, speaker: .openAI)

    static let openAI = ContractBackEnd(
        name: "openai", canBePaused: true,
        machine: { setup in
            OpenAIRealtimeMachine(
                configuration: OpenAIRealtimeConfiguration(
                    baseURL: "http://127.0.0.1/v1", credential: .bearer(Redacted("k"))), setup: setup)
        },
        server: { script, number, _ in OpenAIRealtimeSimulatorCore(script: script, seed: number) },
        record: { core in
            guard let record = (core as? OpenAIRealtimeSimulatorCore)?.record else { return nil }
            // A race that both sides survive (providers.md §1.8).
            let refusals = record.errors.filter {
                !["response_cancel_not_active", "input_audio_buffer_commit_empty"].contains($0)
            }
            return ContractRecord(
                replies: record.responses.map(\.status), appended: record.appended,
                toolOutputs: record.toolOutputs.map(\.output), texts: record.items.map(\.text),
                refusal: refusals.first)
        })

    static let elevenLabs = Self.elevenLabs("elevenlabs", settings: ElevenLabsAgentSettings(), overrides: [])

    /// An agent set to µ-law both ways, whose first message may be replaced.
    static let elevenLabsInMuLaw: ContractBackEnd = {
        var settings = ElevenLabsAgentSettings()
        settings.inputFormat = "ulaw_8000"
        settings.outputFormat = "ulaw_8000"
        settings.sendsCompletions = true
        return Self.elevenLabs("elevenlabs-ulaw", settings: settings, overrides: [.firstMessage, .prompt])
    }()

    private static func elevenLabs(
        _ name: String, settings: ElevenLabsAgentSettings, overrides: Set<ElevenLabsAgentsConfiguration.Override>
    ) -> ContractBackEnd {
        ContractBackEnd(
            name: name, canBePaused: false,
            machine: { setup in
                ElevenLabsAgentsMachine(
                    configuration: ElevenLabsAgentsConfiguration(
                        baseURL: "http://127.0.0.1", agent: "agent_1", overrides: overrides), setup: setup)
            },
            server: { script, number, _ in
                ElevenLabsAgentsSimulatorCore(script: script, settings: settings, seed: number)
            },
            record: { core in
                guard let record = (core as? ElevenLabsAgentsSimulatorCore)?.record else { return nil }
                return ContractRecord(
                    replies: record.replies.map(\.end), appended: record.appended,
                    toolOutputs: record.toolOutputs.map(\.output), texts: record.context + record.prompts,
                    refusal: record.refusal)
            })
    }

    static let gemini = Self.gemini("gemini", model: "gemini-3.8-live", assumesPlayback: true)
    /// A model that completes its turns at once and takes text in another way.
    static let olderGemini = Self.gemini(
        "gemini-older", model: "gemini-2.5-flash-native-audio-preview-12-2025", assumesPlayback: false)

    private static func gemini(_ name: String, model: String, assumesPlayback: Bool) -> ContractBackEnd {
        ContractBackEnd(
            name: name, canBePaused: false,
            machine: { setup in
                GeminiLiveMachine(
                    configuration: GeminiLiveConfiguration(
                        baseURL: "http://127.0.0.1", credential: .apiKey(Redacted("k")), model: model), setup: setup)
            },
            server: { script, number, earlier in
                var script = script
                script.assumesPlayback = assumesPlayback
                let known = earlier.flatMap { ($0 as? GeminiLiveSimulatorCore)?.memories ?? [] }
                // What is to happen some time after the opening happens once a call, not once a connection.
                if number > 1 {
                    script.mishaps.removeAll { mishap in
                        if case .after = mishap.moment { return true }
                        return false
                    }
                }
                return GeminiLiveSimulatorCore(script: script, seed: number, known: known)
            },
            record: { core in
                guard let record = (core as? GeminiLiveSimulatorCore)?.record else { return nil }
                return ContractRecord(
                    replies: record.replies.map(\.end), appended: record.appended,
                    toolOutputs: record.toolOutputs.map(\.response),
                    texts: record.turns.map(\.text) + record.prompts + record.contextUpdates, refusal: record.refusal)
            })
    }
}
