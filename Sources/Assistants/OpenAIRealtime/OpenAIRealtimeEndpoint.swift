import Telephony

extension OpenAIRealtimeConfiguration {
    /// The WebSocket that a session of `model` (Azure: the deployment's name) is opened on, with its headers.
    package func target(model: String) throws(OpenAIRealtimeConfigurationError) -> WebSocketTarget {
        guard !model.isEmpty else { throw .emptyModel }
        let base = try self.splitBase()
        let name = percentEncoded(model)
        let path: String
        switch self.service {
        case .openAI:
            let prefix = base.path.isEmpty ? "/v1" : base.path
            path = (prefix.hasSuffix("/realtime") ? prefix : prefix + "/realtime") + "?model=\(name)"
        case .azure:
            path = azurePrefix(base.path, "/openai/v1") + "/realtime?model=\(name)"
        case .azureLegacy(let version):
            path =
                azurePrefix(base.path, "/openai")
                + "/realtime?api-version=\(percentEncoded(version))&deployment=\(name)"
        }
        return WebSocketTarget(url: base.origin + path, headers: try self.headers())
    }

    private func headers() throws(OpenAIRealtimeConfigurationError) -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        switch self.credential {
        case .bearer(let key): headers.append(("Authorization", "Bearer " + key.value))
        case .apiKey(let key): headers.append(("api-key", key.value))
        case .none: break
        }
        if let organisation = self.organisation { headers.append(("OpenAI-Organization", organisation)) }
        if let project = self.project { headers.append(("OpenAI-Project", project)) }
        // A GA model with this header answers everything with `unknown_parameter`.
        if self.dialect == .beta { headers.append(("OpenAI-Beta", "realtime=v1")) }
        headers += self.extraHeaders
        for header in headers where !isHeaderName(header.name) || !isHeaderValue(header.value) {
            throw .malformedHeader(name: header.name)
        }
        return headers
    }

    /// The base in two parts: `ws(s)://host[:port]` and a path without its last slash.
    private func splitBase() throws(OpenAIRealtimeConfigurationError) -> (origin: String, path: String) {
        let schemes: [(given: String, used: String)] = [
            ("https://", "wss://"), ("wss://", "wss://"), ("http://", "ws://"), ("ws://", "ws://"),
        ]
        let lowered = self.baseURL.lowercased()
        guard let scheme = schemes.first(where: { lowered.hasPrefix($0.given) }),
            self.baseURL.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
            !self.baseURL.contains("?"), !self.baseURL.contains("#")
        else { throw .malformedBaseURL }
        let rest = self.baseURL.dropFirst(scheme.given.count)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        guard !authority.isEmpty, !authority.hasPrefix(":") else { throw .malformedBaseURL }
        guard !authority.contains("@") else { throw .credentialsInBaseURL }
        var path = rest[slash...]
        while path.hasSuffix("/") { path = path.dropLast() }
        return (scheme.used + authority.lowercased(), String(path))
    }
}

/// Azure's portal shows the resource's address with and without parts of the path: each is accepted once.
private func azurePrefix(_ path: String, _ wanted: String) -> String {
    if path.isEmpty || path == "/openai" || path == wanted { return wanted }
    return path.hasSuffix(wanted) ? path : path + wanted
}

/// RFC 3986 §2.3: everything but the unreserved characters is escaped.
private func percentEncoded(_ text: String) -> String {
    let digits: [Character] = Array("0123456789ABCDEF")
    var result = ""
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
            UInt8(ascii: "~"):
            result.append(Character(Unicode.Scalar(byte)))
        default:
            result.append("%")
            result.append(digits[Int(byte >> 4)])
            result.append(digits[Int(byte & 15)])
        }
    }
    return result
}

/// RFC 9110 §5.6.2, without the rarer signs.
private func isHeaderName(_ text: String) -> Bool {
    !text.isEmpty
        && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
}

/// Visible ASCII and spaces: a key with a line break from a careless copy is refused, not sent as two headers.
private func isHeaderValue(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
}
