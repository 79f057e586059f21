import Assistants
import Networking
import Synchronization
import Telephony

/// The HTTP clients with which machines reach their providers: one a loop, so that calls share its kept connections.
package final class ProviderHTTP: Sendable {
    private let authorities: String?
    private let clients = Mutex<[ObjectIdentifier: LoopBound<HTTPClient>]>([:])

    let reach: ProviderReach

    /// - Parameters:
    ///   - authorities: a PEM file that is trusted besides the system's (PRONTO_CA_FILE).
    ///   - reach: which addresses may be connected to.
    package init(authorities: String? = nil, reach: ProviderReach = .everywhere) {
        self.authorities = authorities
        self.reach = reach
    }

    /// The client of `loop`, on which this must be called.
    package func client(on loop: EventLoop) -> HTTPClient {
        let key = ObjectIdentifier(loop)
        if let client = self.clients.withLock({ $0[key] }) { return client.value }
        let client = HTTPClient(on: loop, authorities: self.authorities)
        let bound = LoopBound(client, on: loop)
        self.clients.withLock { $0[key] = bound }
        return client
    }

    /// Performs a machine's request. `tell` gets its head, its bytes (borrowed) and its end, on the loop.
    package func start(
        _ target: HTTPTarget, as id: ChannelID, on loop: EventLoop, tell: @escaping (ChannelEvent) -> Void
    ) -> HTTPTransfer {
        var request = HTTPClientRequest(
            method: target.method, url: target.url, headers: target.headers, body: target.body,
            timeout: target.timeout, connectTimeout: min(target.timeout, .seconds(5)))
        request.accepts = self.reach.accepts(target.url)
        return self.client(on: loop).start(
            request, head: { status, headers in tell(.responseHead(id, status: status, headers: headers.fields)) },
            bytes: { tell(.bytes(id, $0)) },
            end: { error in tell(.closed(id, error.map { .failed(slug: $0.slug) } ?? .finished)) })
    }
}
