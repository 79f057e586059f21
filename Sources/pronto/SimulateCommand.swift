import Configuration
import Foundation
import Simulators

/// `pronto simulate openai`: a provider on loopback, for tests and for trying things without a key.
enum SimulateCommand {
    static func run(_ arguments: [String]) async throws -> Int32 {
        let parsed = try Arguments(arguments, options: ["--port", "--key", "--script"], flags: ["--announce"])
        guard parsed.words == ["openai"] else { throw ArgumentError.missing("what to simulate: openai") }
        let port = try parsed.optional("--port", allowed: "a port number") { Int($0) } ?? 0
        var script = OpenAIRealtimeScript()
        if let path = try parsed.optional("--script") {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw StartError("--script: \(path) cannot be read")
            }
            script = try OpenAIRealtimeScript(json: String(decoding: data, as: UTF8.self))
        }
        if let key = try parsed.optional("--key") { script.key = key }
        let simulator = try OpenAIRealtimeSimulator.start(port: port, script: script)
        if parsed.has("--announce") {
            print("{\"port\":\(simulator.port)}")
            // Whoever started us waits for this line, and a pipe would keep it in the buffer.
            fflush(nil)
        } else {
            print("OpenAI Realtime simulator: ws://127.0.0.1:\(simulator.port)/v1/realtime (Ctrl-C ends it)")
        }
        for await _ in Signals.stream([SIGTERM, SIGINT]) { break }
        simulator.stop()
        return 0
    }
}
