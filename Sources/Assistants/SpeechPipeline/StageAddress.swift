import Telephony

/// Where a stage's service is: a base URL of the configuration, checked, with paths and queries put behind it.
package struct StageAddress: Sendable, Equatable {
    private let address: ServiceAddress

    /// Throws what is wrong with `base`. Both `http(s)` and `ws(s)` are understood: the stage knows which it needs.
    package init(_ base: String) throws(SpeechPipelineError) {
        do throws(ServiceAddress.Failure) { self.address = try ServiceAddress(base) } catch {
            switch error {
            case .malformed: throw .malformedBaseURL
            case .credentials: throw .credentialsInBaseURL
            }
        }
    }

    /// Whether the service is on this machine, where no key is needed.
    package var isLoopback: Bool {
        ["127.", "localhost", "[::1]"].contains {
            self.address.httpOrigin.drop { $0 != "/" }.dropFirst(2).hasPrefix($0)
        }
    }

    /// The URL of `suffix` for an HTTP request. A base that already ends with it is taken as it is.
    package func http(_ suffix: String, _ query: [(String, String)] = []) -> String {
        self.url(self.address.httpOrigin, suffix, query)
    }

    /// The URL of `suffix` for a WebSocket.
    package func socket(_ suffix: String, _ query: [(String, String)] = []) -> String {
        self.url(self.address.webSocketOrigin, suffix, query)
    }

    private func url(_ origin: String, _ suffix: String, _ query: [(String, String)]) -> String {
        var path = self.address.path
        // `/v1` is in some people's base URL and not in others'.
        if let version = suffix.split(separator: "/").first.map({ "/" + $0 }), path.hasSuffix(version) {
            path = String(path.dropLast(version.count))
        }
        let text = query.map { PercentEncoding.encoded($0.0) + "=" + PercentEncoding.encoded($0.1) }.joined(
            separator: "&")
        return origin + path + suffix + (text.isEmpty ? "" : "?" + text)
    }
}
