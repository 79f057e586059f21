import Configuration
import Foundation
import Simulators

/// `pronto simulate openai|elevenlabs|gemini|deepgram|chat`: a provider on loopback, for tests and for trying things without a key.
enum SimulateCommand {
    static func run(_ arguments: [String]) async throws -> Int32 {
        let parsed = try Arguments(arguments, options: ["--port", "--key", "--script"], flags: ["--announce"])
        guard parsed.words.count == 1, let service = Service(rawValue: parsed.words[0]) else {
            throw ArgumentError.missing("what to simulate: openai, elevenlabs, gemini, deepgram or chat")
        }
        let port = try parsed.optional("--port", allowed: "a port number") { Int($0) } ?? 0
        let key = try parsed.optional("--key")
        var script = OpenAIRealtimeScript()
        var text: String?
        if let path = try parsed.optional("--script") {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw StartError("--script: \(path) cannot be read")
            }
            text = String(decoding: data, as: UTF8.self)
            if ![.deepgram, .chat].contains(service) {
                script = try OpenAIRealtimeScript(json: String(decoding: data, as: UTF8.self))
            }
        }
        if let key { script.key = key }
        let running =
            [.deepgram, .chat].contains(service)
            ? try Self.startStage(service, port, key, text) : try Self.start(service, port, script)
        if parsed.has("--announce") {
            print("{\"port\":\(running.port)}")
            // Whoever started us waits for this line, and a pipe would keep it in the buffer.
            fflush(nil)
        } else {
            print("\(running.what) (Ctrl-C ends it)")
        }
        for await _ in Signals.stream([SIGTERM, SIGINT]) { break }
        running.stop()
        return 0
    }

    private enum Service: String { case openai, elevenlabs, gemini, deepgram, chat }

    private static func start(
        _ service: Service, _ port: Int, _ script: AssistantScript
    ) throws -> (port: Int, what: String, stop: () -> Void) {
        switch service {
        case .openai:
            let simulator = try OpenAIRealtimeSimulator.start(port: port, script: script)
            let what = "OpenAI Realtime simulator: ws://127.0.0.1:\(simulator.port)/v1/realtime"
            return (simulator.port, what, simulator.stop)
        case .elevenlabs:
            let simulator = try ElevenLabsAgentsSimulator.start(port: port, script: script)
            let what = "ElevenLabs Agents simulator: ELEVENLABS_BASE_URL=http://127.0.0.1:\(simulator.port)"
            return (simulator.port, what, simulator.stop)
        case .gemini:
            let simulator = try GeminiLiveSimulator.start(port: port, script: script)
            let what = "Gemini Live simulator: GEMINI_BASE_URL=http://127.0.0.1:\(simulator.port)"
            return (simulator.port, what, simulator.stop)
        case .deepgram, .chat: return try Self.startStage(service, port, nil, nil)
        }
    }

    /// The services of the pipeline's stages, whose scripts are their own.
    private static func startStage(
        _ service: Service, _ port: Int, _ key: String?, _ text: String?
    ) throws -> (port: Int, what: String, stop: () -> Void) {
        if service == .deepgram {
            var script = DeepgramScript()
            if let text {
                guard let read = DeepgramScript(json: text) else { throw StartError("--script: no JSON object") }
                script = read
            }
            script.key = key
            let simulator = try DeepgramSimulator.start(port: port, script: script)
            let what = "Deepgram simulator: DEEPGRAM_BASE_URL=http://127.0.0.1:\(simulator.port)"
            return (simulator.port, what, simulator.stop)
        }
        var script = ChatScript()
        if let text {
            guard let read = ChatScript(json: text) else { throw StartError("--script: no JSON object") }
            script = read
        }
        script.key = key
        let simulator = try ChatSimulator.start(port: port, script: script)
        let what = "Text models, speech and transcription: GROQ_BASE_URL=http://127.0.0.1:\(simulator.port)/openai/v1"
        return (simulator.port, what, simulator.stop)
    }
}
