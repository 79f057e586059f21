import Assistants
import Networking
import Simulators
import Telephony
import Testing

/// The simulator on real sockets of 127.0.0.1: paths, keys, shapes, and what it remembers.
@Suite(.timeLimit(.minutes(1))) struct OpenAIRealtimeSimulatorTests {
    /// What came of one attempt to connect.
    private enum Outcome: Sendable, Equatable {
        case refused(WebSocketConnectError)
        /// Types of the first messages, up to the wanted number or the end.
        case messages([String], WebSocketEnd?)
    }

    private static func target(
        _ simulator: OpenAIRealtimeSimulator, service: OpenAIRealtimeConfiguration.Service = .openAI,
        dialect: OpenAIRealtimeConfiguration.Dialect? = nil, key: String = "sk-test"
    ) throws -> WebSocketTarget {
        let base = "http://127.0.0.1:\(simulator.port)" + (service == .openAI ? "/v1" : "")
        let credential: OpenAIRealtimeConfiguration.Credential =
            service == .openAI ? .bearer(Redacted(key)) : .apiKey(Redacted(key))
        return try OpenAIRealtimeConfiguration(
            baseURL: base, service: service, dialect: dialect, credential: credential
        ).target(model: "m")
    }

    /// Connects, sends `texts` after the first message, and collects `count` messages.
    private static func visit(_ target: WebSocketTarget, sending texts: [String] = [], count: Int) async -> Outcome {
        let loop = EventLoop(name: "test-client")
        loop.start()
        defer { loop.stop() }
        return await withCheckedContinuation { continuation in
            loop.execute {
                WebSocketClient.connect(url: target.url, headers: target.headers, on: loop) { result in
                    let socket: WebSocket
                    switch result {
                    case .failure(let error): return continuation.resume(returning: .refused(error))
                    case .success(let opened): socket = opened
                    }
                    var types: [String] = []
                    socket.onMessage = { _, bytes in
                        types.append((try? JSONScan(bytes))?["type"]?.string ?? "?")
                        if types.count == 1 { for text in texts { _ = socket.send(text: text) } }
                        guard types.count == count else { return }
                        socket.abort()
                        continuation.resume(returning: .messages(types, nil))
                    }
                    socket.onClose = { end in continuation.resume(returning: .messages(types, end)) }
                }
            }
        }
    }

    @Test(
        "Every way in that is documented is open",
        arguments: [
            (OpenAIRealtimeConfiguration.Service.openAI, OpenAIRealtimeConfiguration.Dialect.ga), (.openAI, .beta),
            (.azure, .ga), (.azureLegacy(apiVersion: "2025-04-01-preview"), .beta),
        ])
    func waysIn(service: OpenAIRealtimeConfiguration.Service, dialect: OpenAIRealtimeConfiguration.Dialect) async throws
    {
        let simulator = try OpenAIRealtimeSimulator.start(script: OpenAIRealtimeScript())
        defer { simulator.stop() }
        let target = try Self.target(simulator, service: service, dialect: dialect)
        let item =
            #"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}}"#
        let outcome = await Self.visit(target, sending: [item], count: 2)
        let told = dialect == .ga ? "conversation.item.added" : "conversation.item.created"
        #expect(outcome == .messages(["session.created", told], nil))
        let records = try await simulator.records()
        #expect(records.map { $0.items.map(\.text) } == [["hi"]])
    }

    @Test("A wrong key, a missing one, a status by script and the refused shape")
    func refusals() async throws {
        var script = OpenAIRealtimeScript()
        script.key = "sk-right"
        script.acceptsBeta = false
        let simulator = try OpenAIRealtimeSimulator.start(script: script)
        defer { simulator.stop() }
        let wrong = await Self.visit(try Self.target(simulator), count: 1)
        #expect(wrong == .refused(.refused(status: 401)))
        var keyless = try Self.target(simulator)
        keyless.headers = []
        let missing = await Self.visit(keyless, count: 1)
        #expect(missing == .refused(.refused(status: 401)))
        var elsewhere = try Self.target(simulator, key: "sk-right")
        elsewhere.url = elsewhere.url.replacing("/realtime", with: "/chat")
        let lost = await Self.visit(elsewhere, count: 1)
        #expect(lost == .refused(.refused(status: 404)))
        let beta = await Self.visit(try Self.target(simulator, dialect: .beta, key: "sk-right"), count: 9)
        #expect(beta == .messages(["error"], .closed(code: 1011, reason: "beta_api_shape_disabled")))
        script.handshakeStatus = 429
        let busy = try OpenAIRealtimeSimulator.start(script: script)
        defer { busy.stop() }
        let limited = await Self.visit(try Self.target(busy, key: "sk-right"), count: 1)
        #expect(limited == .refused(.refused(status: 429)))
    }

    @Test("A client that reads what is faster than memory gets all of it, and the server lives on")
    func flood() async throws {
        var script = OpenAIRealtimeScript()
        script.mishaps = [.init(.response(1), .flood(.seconds(120)))]
        let simulator = try OpenAIRealtimeSimulator.start(script: script)
        defer { simulator.stop() }
        // created, 4 to begin, 1200 pieces of 100 ms with a transcript piece here and there.
        let outcome = await Self.visit(
            try Self.target(simulator), sending: [#"{"type":"response.create"}"#], count: 1200)
        guard case .messages(let types, nil) = outcome else {
            Issue.record("cut short")
            return
        }
        #expect(types.filter { $0 == "response.output_audio.delta" }.count > 1000)
        let again = await Self.visit(try Self.target(simulator), count: 1)
        #expect(again == .messages(["session.created"], nil))
    }

    @Test("A port in use is an error that says so")
    func portInUse() throws {
        let simulator = try OpenAIRealtimeSimulator.start(script: OpenAIRealtimeScript())
        defer { simulator.stop() }
        #expect(throws: OpenAIRealtimeSimulator.Failure.self) {
            try OpenAIRealtimeSimulator.start(port: simulator.port, script: OpenAIRealtimeScript())
        }
    }
}
