import Telephony

/// What a WebSocket request's target says: path and query, read strictly. Everything in it is hostile until checked.
///
/// Paths: `/stream/{domain_uuid or secretary_uuid}/{call_uuid}[/{caller}]` (requirements 5, field.md §3.1),
/// `/api/voip/ai-gateway/route?callId&tenantId&storeId&did&caller&aiAgentRef` (requirements 1), `/rt/{tenant}`
/// (requirements 2). With any of them: `rate`, `encoding`, `channels`, `dialect`, `token`. Keys that we do not know are
/// stepped over: modules pass what they were given. An empty value is an absent one. `+` is itself and no space, since
/// numbers begin with it.
package struct StreamRequest: Sendable, Equatable {
    /// Which of the paths it is.
    package enum Route: Sendable, Equatable {
        /// `/stream/…`: the first id is a tenant or an assistant; who knows both decides.
        case stream(first: String)
        /// `/api/voip/ai-gateway/route`.
        case gateway
        /// `/rt/{tenant}`: the tenant by name or id.
        case realtime(tenant: String)
    }

    package var route: Route
    /// Ids and numbers, from path and query. `format` is nil here: see `rate`, `encoding`, `channels`.
    package var metadata = LegMetadata()
    /// Document 1's `storeId`.
    package var store: String?
    /// The row of routing that sent the call here: what it says about this call is looked up by its id.
    package var routing: RouteID?
    package var dialect: DialectName?
    package var rate: SampleRate?
    package var encoding: AudioEncoding?
    package var channels: Int?

    /// Bytes of a target at most, and keys of a query.
    package static let targetLimit = 4096
    package static let keyLimit = 32

    /// Reads a request target in origin form (RFC 9112 §3.2.1).
    package init(target: String) throws(StreamRequestError) {
        guard target.utf8.count <= Self.targetLimit else { throw .tooLong }
        guard target.utf8.first == UInt8(ascii: "/"),
            target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") })
        else { throw .malformed(.path) }
        let mark: String.Index = target.firstIndex(of: "?") ?? target.endIndex
        let segments: [String] = try Self.segments(of: target[..<mark])
        let query: Query = try Query(target[mark...].dropFirst())

        switch (segments.first, segments.count) {
        case ("stream", 3...4):
            guard isUUID(segments[1]) else { throw .invalid("domain_uuid or secretary_uuid") }
            guard let call = CallID(segments[2]) else { throw .invalid("call_uuid") }
            self.route = .stream(first: segments[1].lowercased())
            self.metadata.call = call
            if segments.count == 4 { self.metadata.caller = Redacted(try Self.number(segments[3], "caller")) }
        case ("stream", 1): throw .missing("domain_uuid or secretary_uuid")
        case ("stream", 2): throw .missing("call_uuid")
        case ("api", 4) where segments[1...] == ["voip", "ai-gateway", "route"]:
            self.route = .gateway
            guard query["callId"] != nil else { throw .missing("callId") }
            guard query["tenantId"] != nil else { throw .missing("tenantId") }
        case ("rt", 2):
            guard CallID(segments[1]) != nil else { throw .invalid("tenant") }
            self.route = .realtime(tenant: segments[1])
            self.metadata.tenant = TenantID(segments[1])
        case ("rt", 1): throw .missing("tenant")
        default: throw .unknownPath
        }
        try self.readIdentity(query)
        try self.readFormat(query)
    }

    private mutating func readIdentity(_ query: Query) throws(StreamRequestError) {
        if let text = query["callId"] {
            guard let call = CallID(text) else { throw .invalid("callId") }
            guard self.metadata.call == nil || self.metadata.call == call else { throw .contradiction("callId") }
            self.metadata.call = call
        }
        if let text = query["tenantId"] {
            guard let tenant = TenantID(text) else { throw .invalid("tenantId") }
            guard self.metadata.tenant == nil || self.metadata.tenant == tenant else {
                throw .contradiction("tenantId")
            }
            self.metadata.tenant = tenant
        }
        if let text = query["aiAgentRef"] {
            self.metadata.assistant = AssistantID(text)
            if self.metadata.assistant == nil { self.metadata.assistantName = text }
        }
        if let text = query["caller"] {
            let caller = Redacted(try Self.number(text, "caller"))
            guard self.metadata.caller == nil || self.metadata.caller == caller else { throw .contradiction("caller") }
            self.metadata.caller = caller
        }
        if let text = query["did"] { self.metadata.dialed = Redacted(try Self.number(text, "did")) }
        self.metadata.token = query["token"].map { Redacted($0) }
        self.store = query["storeId"]
        if let text = query["route"] {
            self.routing = RouteID(text)
            if self.routing == nil { throw .invalid("route") }
        }
    }

    private mutating func readFormat(_ query: Query) throws(StreamRequestError) {
        if let text = query["rate"] {
            guard let rate = StatedFormat.rate(text) else { throw .invalid("rate") }
            self.rate = rate
        }
        if let text = query["encoding"] {
            guard let encoding = StatedFormat.encoding(text) else { throw .invalid("encoding") }
            self.encoding = encoding
        }
        if let text = query["channels"] {
            guard let channels = StatedFormat.channels(text) else { throw .invalid("channels") }
            self.channels = channels
        }
        if let text = query["dialect"] {
            guard let dialect = DialectName(stated: text) else { throw .invalid("dialect") }
            self.dialect = dialect
        }
    }

    /// The parts between the slashes, decoded; one slash at the end is forgiven.
    private static func segments(of path: Substring) throws(StreamRequestError) -> [String] {
        var parts: [Substring] = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if parts.count > 1, parts.last == "" { parts.removeLast() }
        guard parts.count <= 8 else { throw .unknownPath }
        var segments: [String] = []
        for part in parts {
            let segment: String = try PercentDecoding.decode(part, in: .path, limit: 256)
            // What decodes to a separator or a step upwards was written to be read differently by somebody else.
            guard !segment.contains("/"), segment != ".", segment != ".." else { throw .malformed(.path) }
            segments.append(segment)
        }
        return segments
    }

    /// A caller's or a dialed number as a switch writes it; a name or a SIP user is one too.
    private static func number(_ text: String, _ key: String) throws(StreamRequestError) -> String {
        guard (1...64).contains(text.utf8.count) else { throw .invalid(key) }
        return text
    }
}
