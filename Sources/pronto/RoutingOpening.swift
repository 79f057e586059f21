import AdminAPI
import Configuration
import Foundation
import Networking
import PhoneServer
import Stores
import Telephony

/// The routing question's desk, as the settings say.
enum RoutingOpening {
    /// Nil: PRONTO_AI_ROUTING is unset.
    static func desk(
        _ settings: Settings, _ gateway: Gateway, _ directory: AssistantDirectory, media: SocketAddress
    ) throws -> RoutingDesk? {
        guard let routing = settings.aiRouting else { return nil }
        guard DialplanParameters.isNumber(settings.aiRoutingFailover) else {
            throw StartError("PRONTO_AI_ROUTING_FAILOVER: an extension of 1 to 32 digits, letters, +, * and #")
        }
        let base = settings.aiRoutingStream ?? "\(settings.certificate == nil ? "ws" : "wss")://\(media)"
        guard Self.isStreamBase(base) else {
            throw StartError(
                "PRONTO_AI_ROUTING_URL: ws:// or wss:// with a host and no path, such as ws://10.0.0.7:8085")
        }
        let keys: TokenKeys?
        do throws(KeyListError) {
            keys = try settings.tokenKeys.map { text throws(KeyListError) in try TokenKeys(text) }
        } catch {
            throw StartError("PRONTO_TOKEN_KEYS: \(error); `pronto token new-key` makes one")
        }
        let peers = settings.allowedPeers
        return RoutingDesk(
            isEnabled: routing == .ai, failover: settings.aiRoutingFailover, streamBase: base,
            onlyTenant: { directory.onlyTenant },
            refusal: { tenant in
                guard directory.answers(tenant) else { return "no-assistant" }
                if gateway.isDraining { return "draining" }
                return gateway.liveCalls >= gateway.configuration.maximumCalls ? "full" : nil
            },
            token: { tenant, call in
                // A minute: the call that asked is being connected now.
                keys.map {
                    StreamToken(tenant: tenant, call: call, issuedAt: Date(), lifetime: .seconds(60)).signed(with: $0)
                        .value
                }
            },
            isTrustedPeer: { peer in peers.contains { $0.contains(peer.host) } })
    }

    static func isStreamBase(_ text: String) -> Bool {
        for scheme in ["ws://", "wss://"] where text.hasPrefix(scheme) {
            let rest = text.dropFirst(scheme.count)
            return !rest.isEmpty
                && rest.utf8.allSatisfy {
                    (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                        || $0 == 0x2D || $0 == 0x2E || $0 == 0x3A
                }
        }
        return false
    }
}
