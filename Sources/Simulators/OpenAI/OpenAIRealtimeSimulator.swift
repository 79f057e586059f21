import Assistants
import Networking
import Synchronization
import Telephony

/// The OpenAI Realtime simulator on a real socket: `ws://127.0.0.1:<port>/v1/realtime?model=…`, in either shape, also
/// under Azure's two paths. It serves until `stop`.
package final class OpenAIRealtimeSimulator: Sendable {
    private let server: SimulatorServer<OpenAIRealtimeSimulatorCore>
    /// Where it listens.
    package var port: Int { self.server.port }

    /// Why it could not start: the address cannot be listened on, or is none.
    package enum Failure: Error {
        case badAddress(String)
        case listen(ListenError)
    }

    /// Serves `script` to everybody who connects, on a loop of its own unless one is given. `port` 0: any free one.
    package static func start(
        host: String = "127.0.0.1", port: Int = 0, script: OpenAIRealtimeScript, on loop: EventLoop? = nil
    ) throws(Failure) -> OpenAIRealtimeSimulator {
        try OpenAIRealtimeSimulator(host: host, port: port, script: script, on: loop)
    }

    private init(host: String, port: Int, script: OpenAIRealtimeScript, on loop: EventLoop?) throws(Failure) {
        let count = Counter()
        self.server = try SimulatorServer(host: host, port: port, name: "openai-simulator", on: loop) {
            request, responder, _ in
            Self.admit(request, responder, script, count).map { ($0, nil) }
        }
    }

    /// What each connection was sent, in the order in which they came. From outside the loop.
    package func records() async throws -> [OpenAIRealtimeRecord] { try await self.server.records() }

    /// Stops listening, cuts what is open, and ends the loop when it is its own. From outside the loop.
    package func stop() { self.server.stop() }

    private static func admit(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ given: OpenAIRealtimeScript, _ count: Counter
    ) -> OpenAIRealtimeSimulatorCore? {
        func refuse(_ status: Int, _ text: String) -> OpenAIRealtimeSimulatorCore? {
            responder.respond(HTTPResponse(status: status, text: text))
            return nil
        }
        let path = String(request.path)
        guard path.hasSuffix("/realtime") else { return refuse(404, "not found") }
        let authorization = request.headers["authorization"]
        let key: String? =
            authorization.flatMap { $0.hasPrefix("Bearer ") ? String($0.dropFirst(7)) : nil }
            ?? request.headers["api-key"]
        guard let key, !key.isEmpty, given.key ?? key == key else { return refuse(401, "invalid api key") }
        if let status = given.handshakeStatus { return refuse(status, "refused by script") }
        let isLegacy = path == "/openai/realtime"
        guard let model = request.queryValue(isLegacy ? "deployment" : "model"), !model.isEmpty,
            !isLegacy || request.queryValue("api-version") != nil
        else { return refuse(400, "missing model") }
        let asksForBeta = isLegacy || request.headers["openai-beta"]?.contains("realtime=v1") ?? false
        var script = given
        if asksForBeta, !script.acceptsBeta {
            let refusal = OpenAIRealtimeScript.Fault.error(
                code: "beta_api_shape_disabled", type: "invalid_request_error",
                message: "The Realtime Beta API is no longer supported.", closing: true)
            script.mishaps = [OpenAIRealtimeScript.Mishap(.opened, refusal)]
        }
        return OpenAIRealtimeSimulatorCore(
            script: script, dialect: asksForBeta ? .beta : .ga, model: model, seed: count.next())
    }
}

/// Numbers the connections of a simulator.
final class Counter: Sendable {
    private let count = Atomic(0)
    func next() -> Int { self.count.add(1, ordering: .relaxed).newValue }
}
