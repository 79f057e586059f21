import Telephony

extension OpenAIRealtimeConfiguration {
    /// The WebSocket that a session of `model` (Azure: the deployment's name) is opened on, with its headers.
    package func target(model: String) throws(OpenAIRealtimeConfigurationError) -> WebSocketTarget {
        guard !model.isEmpty else { throw .emptyModel }
        let base = try self.splitBase()
        let name = PercentEncoding.encoded(model)
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
                + "/realtime?api-version=\(PercentEncoding.encoded(version))&deployment=\(name)"
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
        for header in headers where !isHeaderName(header.name) || !ServiceAddress.isHeaderValue(header.value) {
            throw .malformedHeader(name: header.name)
        }
        return headers
    }

    /// The base in two parts: `ws(s)://host[:port]` and a path without its last slash.
    private func splitBase() throws(OpenAIRealtimeConfigurationError) -> (origin: String, path: String) {
        do throws(ServiceAddress.Failure) {
            let address = try ServiceAddress(self.baseURL)
            return (address.webSocketOrigin, address.path)
        } catch {
            throw error == .credentials ? .credentialsInBaseURL : .malformedBaseURL
        }
    }
}

/// Azure's portal shows the resource's address with and without parts of the path: each is accepted once.
private func azurePrefix(_ path: String, _ wanted: String) -> String {
    if path.isEmpty || path == "/openai" || path == wanted { return wanted }
    return path.hasSuffix(wanted) ? path : path + wanted
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
