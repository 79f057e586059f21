import Configuration
import Foundation
import Simulators

/// `pronto simulate openai|elevenlabs|gemini`: a provider on loopback, for tests and for trying things without a key.
enum SimulateCommand {
    static func run(_ arguments: [String]) async throws -> Int32 {
        let parsed = try Arguments(arguments, options: ["--port", "--key", "--script"], flags: ["--announce"])
        guard parsed.words.count == 1, let service = Service(rawValue: parsed.words[0]) else {
            throw ArgumentError.missing("what to simulate: openai, elevenlabs or gemini")
        }
        let port = try parsed.optional("--port", allowed: "a port number") { Int($0) } ?? 0
        var script = OpenAIRealtimeScript()
        if let path = try parsed.optional("--script") {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw StartError("--script: \(path) cannot be read")
            }
            script = try OpenAIRealtimeScript(json: String(decoding: data, as: UTF8.self))
        }
        if let key = try parsed.optional("--key") { script.key = key }
        let running = try Self.start(service, port, script)
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

    private enum Service: String { case openai, elevenlabs, gemini }

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
        }
    }
}
