import Assistants
import Networking
import Telephony

/// The ElevenLabs Agents simulator on a real socket: `GET …/conversation/get-signed-url` with a key, and the WebSocket
/// under `…/conversation`, public or signed. It serves until `stop`.
package final class ElevenLabsAgentsSimulator: Sendable {
    private let server: SimulatorServer<ElevenLabsAgentsSimulatorCore>
    /// Where it listens.
    package var port: Int { self.server.port }

    /// Serves `script` to everybody who connects, on a loop of its own unless one is given. `port` 0: any free one.
    package static func start(
        host: String = "127.0.0.1", port: Int = 0, script: AssistantScript,
        settings: ElevenLabsAgentSettings = ElevenLabsAgentSettings(), on loop: EventLoop? = nil
    ) throws(SimulatorFailure) -> ElevenLabsAgentsSimulator {
        try ElevenLabsAgentsSimulator(host: host, port: port, script: script, settings: settings, on: loop)
    }

    private init(
        host: String, port: Int, script: AssistantScript, settings: ElevenLabsAgentSettings, on loop: EventLoop?
    ) throws(SimulatorFailure) {
        let count = Counter()
        self.server = try SimulatorServer(host: host, port: port, name: "elevenlabs-simulator", on: loop) {
            request, responder, _ in
            Self.admit(request, responder, script, settings, count)
        }
    }

    /// What each connection was sent, in the order in which they came. From outside the loop.
    package func records() async throws -> [ElevenLabsAgentsRecord] { try await self.server.records() }

    /// Stops listening, cuts what is open, and ends the loop when it is its own. From outside the loop.
    package func stop() { self.server.stop() }

    private static func admit(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ script: AssistantScript,
        _ settings: ElevenLabsAgentSettings, _ count: Counter
    ) -> (core: ElevenLabsAgentsSimulatorCore, subprotocol: String?)? {
        func refuse(_ status: Int, _ detail: String) -> (core: ElevenLabsAgentsSimulatorCore, subprotocol: String?)? {
            let body: JSONValue = ["detail": ["status": .string(detail), "message": .string(detail)]]
            responder.respond(HTTPResponse(status: status, text: body.json, type: "application/json"))
            return nil
        }
        let agent = request.queryValue("agent_id") ?? ""
        if let status = script.handshakeStatus { return refuse(status, "refused_by_script") }
        switch String(request.path) {
        case "/v1/convai/conversation/get-signed-url", "/v1/convai/conversation/get_signed_url":
            guard let key = request.headers["xi-api-key"], script.key ?? key == key else {
                return refuse(401, "invalid_api_key")
            }
            guard !agent.isEmpty, settings.agent ?? agent == agent else { return refuse(404, "agent_not_found") }
            let host = request.headers["host"] ?? "127.0.0.1"
            let signature = "cvtkn_\(count.next())"
            let url = "ws://\(host)/v1/convai/conversation?agent_id=\(agent)&conversation_signature=\(signature)"
            let body: JSONValue = ["signed_url": .string(url)]
            responder.respond(HTTPResponse(status: 200, text: body.json, type: "application/json"))
            return nil
        case "/v1/convai/conversation":
            guard !agent.isEmpty, settings.agent ?? agent == agent else { return refuse(404, "agent_not_found") }
            let isSigned = request.queryValue("conversation_signature")?.hasPrefix("cvtkn_") ?? false
            guard isSigned || !settings.isPrivate else { return refuse(403, "authorization_required") }
            let core = ElevenLabsAgentsSimulatorCore(script: script, settings: settings, seed: count.next())
            // The JavaScript client asks for one, the Python SDK for none (providers.md §2.1).
            return (core, request.subprotocols.contains("convai") ? "convai" : nil)
        default: return refuse(404, "not_found")
        }
    }
}
