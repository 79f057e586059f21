import Assistants
import Networking
import Telephony

/// The Gemini Live simulator on a real socket, under the Developer API's path (any version) and Vertex's. It serves
/// until `stop`.
package final class GeminiLiveSimulator: Sendable {
    private let server: SimulatorServer<GeminiLiveSimulatorCore>
    /// Where it listens.
    package var port: Int { self.server.port }

    /// Serves `script` to everybody who connects, on a loop of its own unless one is given. `port` 0: any free one.
    package static func start(
        host: String = "127.0.0.1", port: Int = 0, script: AssistantScript, on loop: EventLoop? = nil
    ) throws(SimulatorFailure) -> GeminiLiveSimulator {
        try GeminiLiveSimulator(host: host, port: port, script: script, on: loop)
    }

    private init(host: String, port: Int, script: AssistantScript, on loop: EventLoop?) throws(SimulatorFailure) {
        let count = Counter()
        self.server = try SimulatorServer(host: host, port: port, name: "gemini-simulator", on: loop) {
            request, responder, served in
            Self.admit(request, responder, script, served, count).map { ($0, nil) }
        }
    }

    /// What each connection was sent, in the order in which they came. From outside the loop.
    package func records() async throws -> [GeminiLiveRecord] { try await self.server.records() }

    /// Stops listening, cuts what is open, and ends the loop when it is its own. From outside the loop.
    package func stop() { self.server.stop() }

    private static func admit(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ script: AssistantScript,
        _ served: [(core: GeminiLiveSimulatorCore, isOpen: Bool)], _ count: Counter
    ) -> GeminiLiveSimulatorCore? {
        let path = String(request.path)
        let isDeveloper =
            path.hasPrefix("/ws/google.ai.generativelanguage.v")
            && path.hasSuffix(".GenerativeService.BidiGenerateContent")
        let isVertex =
            path.hasPrefix("/ws/google.cloud.aiplatform.v") && path.hasSuffix(".LlmBidiService/BidiGenerateContent")
        guard isDeveloper || isVertex else {
            responder.respond(HTTPResponse(status: 404, text: "not found"))
            return nil
        }
        if let status = script.handshakeStatus {
            responder.respond(HTTPResponse(status: status, text: "refused by script"))
            return nil
        }
        let bearer = request.headers["authorization"].flatMap { header in
            ["Bearer ", "Token "].first { header.hasPrefix($0) }.map { String(header.dropFirst($0.count)) }
        }
        let key = request.headers["x-goog-api-key"] ?? request.queryValue("key") ?? bearer ?? ""
        // A wrong key is told after the handshake: 1007 (providers.md §3.6).
        let isKeyRight = !key.isEmpty && (script.key ?? key) == key
        // A handle of a connection that still stands ends with 1011: the client must close the old one first.
        let inUse = served.filter(\.isOpen).flatMap { $0.core.memories.map(\.handle) }
        return GeminiLiveSimulatorCore(
            script: script, seed: count.next(), known: served.flatMap(\.core.memories), inUse: Set(inUse),
            isKeyRight: isKeyRight)
    }
}
