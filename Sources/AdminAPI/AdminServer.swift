import Networking
import Observability
import Telephony

/// The listener for health, metrics and (later) the API: a port of its own, never the media port.
package enum AdminServer {
    /// What `/health` says.
    package struct Health: Sendable {
        package var isDraining: Bool
        package var activeCalls: Int
        package var eventSockets: [EventSocket]
        package init(isDraining: Bool, activeCalls: Int, eventSockets: [EventSocket] = []) {
            self.isDraining = isDraining
            self.activeCalls = activeCalls
            self.eventSockets = eventSockets
        }

        /// One switch's Event Socket.
        package struct EventSocket: Sendable {
            package var address: String
            /// `ready`, `connecting`, `interrupted`, `down`.
            package var status: String
            package var reason: String?
            package init(address: String, status: String, reason: String?) {
                self.address = address
                self.status = status
                self.reason = reason
            }
        }

        /// A node with a switch that is down still answers 200: it serves the other tenants, and refuses by itself what
        /// it cannot serve.
        var json: String {
            let isDown = self.eventSockets.contains { $0.status == "down" }
            let status = self.isDraining ? "draining" : isDown ? "degraded" : "healthy"
            var text = "{\"status\":\"\(status)\",\"service\":\"pronto\",\"active_sessions\":\(self.activeCalls)"
            if !self.eventSockets.isEmpty {
                let links = self.eventSockets.map { link in
                    var fields = [("address", link.address), ("status", link.status)]
                    if let reason = link.reason { fields.append(("reason", reason)) }
                    return "{" + fields.map { "\"\($0.0)\":" + JSONText.quoted($0.1) }.joined(separator: ",") + "}"
                }
                text += ",\"event_sockets\":[" + links.joined(separator: ",") + "]"
            }
            return text + "}\n"
        }
    }

    /// Binds and serves. Throws `ListenError`, or `AdminAddressError` when `host` is no IP address.
    ///
    /// `tls`: nil: plain HTTP, for loopback or behind a proxy that does TLS. `seesMetrics`: the peers that see `/metrics` without a credential; others need one of the installation.
    package static func start(
        host: String, port: Int, loops: [EventLoop], tls: TLSContext? = nil, health: @escaping @Sendable () -> Health,
        registry: MetricsRegistry, routing: RoutingDesk? = nil,
        speech: (@Sendable (HTTPRequest, HTTPResponder) -> Bool)? = nil, api: APIServer? = nil,
        seesMetrics: @escaping @Sendable (SocketAddress) -> Bool = { $0.isLoopback }
    ) throws -> HTTPServer {
        guard let address = SocketAddress(host, port: port) else { throw AdminAddressError() }
        return try HTTPServer(on: loops, address: address, tls: tls) { _ in
            { request, responder in
                if speech?(request, responder) ?? false { return }
                if let routing, let form = RoutingDesk.Form.of(request.path) {
                    return routing.handle(request, as: form, responder)
                }
                if api?.handle(request, responder) ?? false { return }
                guard request.path == "/metrics", request.isForwarded || !seesMetrics(request.peer) else {
                    return responder.respond(self.answer(request, health, registry))
                }
                self.admit(request, responder, api?.gate) { self.answer(request, health, registry) }
            }
        }
    }

    /// Answers a stranger who shows a credential of the installation.
    private static func admit(
        _ request: HTTPRequest, _ responder: HTTPResponder, _ gate: APIGate?,
        _ answer: @escaping @Sendable () -> HTTPResponse
    ) {
        guard let gate else { return responder.respond(APIProblem.unauthenticated(shown: false).response) }
        let (loop, now, held) = (responder.loop, responder.loop.now, LoopBound(responder, on: responder.loop))
        let task = Task {
            let response: HTTPResponse
            do throws(APIProblem) {
                let asker = try await gate.asker(of: request, at: now)
                guard asker.scope == .installation else {
                    throw .forbidden("Metrics are the installation's: this token is a tenant's.")
                }
                response = answer()
            } catch {
                response = error.response
            }
            loop.execute { held.value.respond(response) }
        }
        responder.onCancel = { task.cancel() }
    }

    private static func answer(
        _ request: HTTPRequest, _ health: () -> Health, _ registry: MetricsRegistry
    ) -> HTTPResponse {
        guard request.method == "GET" || request.method == "HEAD" else {
            var problem = APIProblem(
                405, "method", "The path does not take this method", detail: "It takes GET and HEAD.")
            problem.allow = "GET, HEAD"
            return problem.response
        }
        switch request.path {
        case "/health":
            let now = health()
            // HAProxy keeps the connections of a server that answers 404, and cuts those of one that does not answer:
            // what tells a node that is leaving from one that is dead (deploy/haproxy.cfg).
            let leaving = request.target == "/health?leaving=404" ? 404 : 503
            return HTTPResponse(status: now.isDraining ? leaving : 200, text: now.json, type: "application/json")
        case "/metrics":
            return HTTPResponse(status: 200, text: registry.text, type: "text/plain; version=0.0.4; charset=utf-8")
        default:
            return APIProblem.notFound(
                "There is /health, /metrics, the routing question (docs/routing.md), and what /api/openapi.json describes."
            ).response
        }
    }
}

/// PRONTO_ADMIN_HOST is not an IP address.
package struct AdminAddressError: Error, CustomStringConvertible {
    package var description: String { "PRONTO_ADMIN_HOST is not an IP address" }
}
