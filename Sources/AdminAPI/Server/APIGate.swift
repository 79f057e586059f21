import Networking
import Records
import Telephony

/// Why a bearer is not let in.
package enum AuthenticationFailure: Error, Sendable, Equatable {
    /// The credential is not good. The slug is for the log; the bearer is told nothing of it.
    case refused(slug: String)
    /// Who it is cannot be found out now.
    case unavailable
}

/// Finds out whose a bearer credential is.
package protocol Authenticating: Sendable {
    func asker(bearer: String) async throws(AuthenticationFailure) -> Asker
    /// Whether this very credential was found good a while ago: it asks, whatever others at its address have tried.
    func remembers(bearer: String) -> Bool
}

extension Authenticating {
    package func remembers(bearer: String) -> Bool { false }
}

/// Lets requests in: who asks, and whether they ask too much.
package struct APIGate: Sendable {
    package var authenticator: any Authenticating
    package var limiter: any RateLimiter
    /// What one client may ask, and what one tenant may ask with all its clients.
    package var clientRate: Rate
    package var tenantRate: @Sendable (TenantID) -> Rate
    /// Wrong credentials from one address: guessing is hopeless, and need not cost us more than that. An address that has
    /// had its share is told so before anything is looked up or verified for it.
    package var refusalRate: Rate
    /// Peers whose address alone is enough for routes that say so.
    package var isTrustedPeer: @Sendable (SocketAddress) -> Bool

    package init(
        authenticator: any Authenticating, limiter: any RateLimiter, clientRate: Rate,
        tenantRate: @escaping @Sendable (TenantID) -> Rate,
        isTrustedPeer: @escaping @Sendable (SocketAddress) -> Bool = { _ in false }
    ) {
        self.authenticator = authenticator
        self.limiter = limiter
        self.clientRate = clientRate
        self.refusalRate = Rate(perSecond: clientRate.perSecond / 20, burst: max(5, clientRate.burst / 20))
        self.tenantRate = tenantRate
        self.isTrustedPeer = isTrustedPeer
    }

    /// Who asks.
    ///
    /// - Parameters:
    ///   - takesPeers: an address of PRONTO_ALLOWED_PEERS needs no more, unless a proxy was between.
    ///   - takesRoutingOnly: credentials for the routing question only are let in too. Everywhere else they are refused.
    package func asker(
        of request: HTTPRequest, takesPeers: Bool = false, takesRoutingOnly: Bool = false, at now: Duration
    ) async throws(APIProblem) -> Asker {
        let address = request.peer.host
        guard let bearer = Self.bearer(request) else {
            if takesPeers, !request.isForwarded, self.isTrustedPeer(request.peer) {
                return Asker(scope: .installation, role: .viewer, credential: .peer, client: "peer " + address)
            }
            throw .unauthenticated(shown: request.headers.contains("Authorization"))
        }
        let refusals = RateKey(.refusals, address)
        if !self.authenticator.remembers(bearer: bearer),
            let wait = await self.limiter.wait(refusals, self.refusalRate, at: now)
        {
            throw .tooMany(after: wait)
        }
        let asker: Asker
        do throws(AuthenticationFailure) {
            asker = try await self.authenticator.asker(bearer: bearer)
        } catch {
            switch error {
            case .unavailable: throw .unavailable("Who asks cannot be found out now.")
            case .refused:
                if let wait = await self.limiter.take(refusals, self.refusalRate, at: now) {
                    throw .tooMany(after: wait)
                }
                throw .unauthenticated(shown: true)
            }
        }
        guard takesRoutingOnly || !asker.asksRoutingOnly else {
            throw .forbidden(
                "The token names one trunk (trunk_id), or no role: it is good for the routing question only. See docs/api.md."
            )
        }
        if let wait = await self.limiter.take(RateKey(.client, asker.client), self.clientRate, at: now) {
            throw .tooMany(after: wait)
        }
        return asker
    }

    /// Counts a request about a tenant.
    package func count(_ tenant: TenantID, at now: Duration) async throws(APIProblem) {
        if let wait = await self.limiter.take(RateKey(.tenant, tenant.text), self.tenantRate(tenant), at: now) {
            throw .tooMany(after: wait)
        }
    }

    /// The credential of `Authorization: Bearer` (RFC 6750 §2.1); the scheme in any case. Never from an address.
    package static func bearer(_ request: HTTPRequest) -> String? {
        let fields = request.headers.all("Authorization")
        guard fields.count == 1, let space = fields[0].firstIndex(of: " "),
            fields[0][..<space].lowercased() == "bearer"
        else { return nil }
        let text = fields[0][space...].drop { $0 == " " }
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        return String(text)
    }
}
