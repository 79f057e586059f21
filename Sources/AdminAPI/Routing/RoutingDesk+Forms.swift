import Networking
import Records
import Routing
import Telephony

// How an answer is written: requirements 2's JSON, requirements 1's lines.
extension RoutingDesk {
    private static let headers: HTTPHeaders = ["Cache-Control": "no-store"]

    // MARK: JSON

    func json(_ answer: Answer) -> HTTPResponse {
        if let (status, detail) = answer.refusal { return Self.problem(status, detail, answer) }
        let decision = answer.decision
        var fields: [(String, String)] = []
        if let tenant = decision.tenant { fields.append(("tenant_id", JSONText.quoted(tenant.text))) }
        fields.append(("mode", decision.isAI ? "\"ai\"" : "\"human\""))
        fields.append(("reason", JSONText.quoted(decision.reason.rawValue)))
        if decision.isAI, let tenant = decision.tenant {
            fields.append(("agent", self.agent(decision, tenant, answer.parameters)))
        }
        let fallback = decision.fallback ?? RoutingFallback(kind: .extension, reference: self.failover)
        fields.append(
            (
                "fallback",
                Self.object([
                    ("target_type", JSONText.quoted(fallback.kind.rawValue)),
                    ("target_ref", JSONText.quoted(fallback.reference)),
                ])
            ))
        var headers = Self.headers
        headers.add("Content-Type", "application/json")
        return HTTPResponse(status: 200, headers: headers, body: Array((Self.object(fields) + "\n").utf8))
    }

    private func agent(_ decision: RoutingDecision, _ tenant: TenantID, _ parameters: RoutingParameters) -> String {
        var fields: [(String, String)] = []
        if let agent = decision.agent {
            fields.append(("agent_id", JSONText.quoted(agent.id.text)))
            fields.append(("name", JSONText.quoted(agent.name)))
        }
        fields.append(
            ("gateway_url", JSONText.quoted(self.address(decision, tenant, parameters, "/rt/\(tenant.text)"))))
        if let agent = decision.agent, let assistant = self.assistant(agent, tenant) {
            fields.append(("language", JSONText.quoted(assistant.language)))
            if let voice = assistant.voice { fields.append(("tts_voice", JSONText.quoted(voice))) }
            if let bargeIn = assistant.bargeIn.isEnabled { fields.append(("barge_in", bargeIn ? "true" : "false")) }
            if let limit = assistant.maximumDuration, limit > .zero {
                fields.append(("max_ai_minutes", String(max(1, limit.components.seconds / 60))))
            }
            let recording = assistant.isRecorded.map { $0 ? "on" : "off" } ?? "policy"
            fields.append(("recording", JSONText.quoted(agent.recording?.rawValue ?? recording)))
        }
        if let call = parameters.call, let token = self.token(tenant, call, decision.agent?.assistant, decision.route) {
            fields.append(("token", JSONText.quoted(token)))
        }
        return Self.object(fields)
    }

    private static func object(_ fields: [(String, String)]) -> String {
        "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }

    /// RFC 9457. `fields` names what is wrong with the question, one member a parameter.
    private static func problem(_ status: Int, _ detail: String, _ answer: Answer) -> HTTPResponse {
        let titles = [
            400: "The question is not well formed", 401: "Not authenticated", 403: "Not permitted",
            404: "Unknown tenant",
            429: "Too many questions",
        ]
        var fields: [(String, String)] = [
            ("type", "\"about:blank\""), ("title", JSONText.quoted(titles[status] ?? "Refused")),
            ("status", String(status)), ("detail", JSONText.quoted(detail)), ("mode", "\"human\""),
            ("reason", JSONText.quoted(answer.decision.reason.rawValue)),
        ]
        let problems = answer.parameters.problems
        if status == 400, !problems.isEmpty {
            fields.append(("fields", Self.object(problems.map { ($0.name, JSONText.quoted($0.repair)) })))
        }
        var headers = Self.headers
        headers.add("Content-Type", "application/problem+json")
        if status == 401 { headers.add("WWW-Authenticate", "Bearer") }
        if let pause = answer.retryAfter { headers.add("Retry-After", String(max(1, pause.components.seconds))) }
        return HTTPResponse(status: status, headers: headers, body: Array((Self.object(fields) + "\n").utf8))
    }

    // MARK: Lines

    /// Always 200 for whoever may ask, so that the dialplan goes on to the human that the answer names.
    func text(_ answer: Answer) -> HTTPResponse {
        if let (status, detail) = answer.refusal, status == 401 {
            return HTTPResponse(status: 401, headers: ["WWW-Authenticate": "Bearer"], body: Array((detail + "\n").utf8))
        }
        let decision = answer.decision
        let fallback = decision.fallback ?? RoutingFallback(kind: .extension, reference: self.failover)
        var lines = ["FAILOVER_EXT=\(fallback.reference)", "FAILOVER_TYPE=\(fallback.kind.rawValue)"]
        if decision.isAI, let tenant = decision.tenant, let call = answer.parameters.call {
            let path = "/api/voip/ai-gateway/route"
            let address = self.address(decision, tenant, answer.parameters, path)
            lines += ["AI_ENABLED=true", "REASON=\(decision.reason.rawValue)", "WS_URL=\(address)"]
            // For dialplans that bring the call by Event Socket: an address carries nothing there.
            lines.append("TENANT=\(tenant.text)")
            if let route = decision.route { lines.append("ROUTE=\(route.text)") }
            if let token = self.token(tenant, call, decision.agent?.assistant, decision.route) {
                lines.append("TOKEN=\(token)")
            }
        } else if decision.isAI {
            // Without the channel's id the stream could be controlled by nobody.
            lines += ["AI_ENABLED=false", "REASON=bad_parameter_call_id"]
        } else {
            let field = decision.reason == .badParameter ? answer.parameters.problems.first.map { "_\($0.name)" } : nil
            lines += ["AI_ENABLED=false", "REASON=\(decision.reason.rawValue)\(field ?? "")"]
        }
        var headers = Self.headers
        headers.add("Content-Type", "text/plain; charset=utf-8")
        return HTTPResponse(status: 200, headers: headers, body: Array((lines.joined(separator: "\n") + "\n").utf8))
    }

    // MARK: The stream's address

    /// The agent's own gateway, or this installation's media port; with what the call is, each value encoded.
    private func address(
        _ decision: RoutingDecision, _ tenant: TenantID, _ parameters: RoutingParameters, _ path: String
    ) -> String {
        var address = self.streamBase + path
        if let own = decision.agent?.gatewayURL {
            let domain = self.table().domain(of: tenant) ?? tenant.text
            address = own.replacing(":tenant_id", with: tenant.text)
                .replacing(":tenant", with: PercentEncoding.encoded(domain))
        }
        var separator = address.contains("?") ? "&" : "?"
        func add(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            address += "\(separator)\(name)=\(PercentEncoding.encoded(value))"
            separator = "&"
        }
        add("callId", parameters.call?.text)
        add("tenantId", tenant.text)
        add("storeId", parameters.store)
        // The stream's address takes 64 bytes of each; a longer one is nobody's number.
        add("did", parameters.did.flatMap { $0.utf8.count <= 64 ? $0 : nil })
        add("caller", parameters.caller)
        add("aiAgentRef", decision.agent?.assistant.text)
        // What the trunk's row says about this call is looked up by it where the call arrives, on whichever node.
        add("route", decision.route?.text)
        return address
    }
}
