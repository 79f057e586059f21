import Configuration
import Networking
import Observability
import PhoneServer
import RTPMedia
import SIPSignalling
import Telephony

/// The SIP listener, from settings.
enum SIPListening {
    /// A running listener, and where the switch finds it.
    struct Running: Sendable {
        let server: SIPServer
        let address: SocketAddress
    }

    /// Nil: no setting asks for it.
    static func start(_ settings: Settings, _ gateway: Gateway, _ group: EventLoopGroup) throws -> Running? {
        guard let port = settings.sipPort ?? (settings.audioMode == .rtp ? 5090 : nil) else { return nil }
        guard let address = SocketAddress(settings.sipHost, port: port) else {
            throw StartError("PRONTO_SIP_HOST: an IP address of this machine, such as 127.0.0.1")
        }
        try self.checkMedia(settings, sip: address)
        var configuration = SIPListenerConfiguration(
            ports: try SwitchListening.ports(
                settings.datagramHost, settings.datagramFirst, settings.datagramLast, step: 2, "RTP_PORT_MIN",
                "RTP_PORT_MAX"))
        configuration.reachable = address
        do throws(JitterLimitsError) {
            configuration.jitter = try JitterBuffer.Limits(
                minimum: settings.jitterMinimum, maximum: settings.jitterMaximum, target: settings.jitterTarget)
        } catch {
            throw StartError("\(error)")
        }
        let listener = SIPListener(gateway: gateway, group: group, configuration: configuration)
        let server = SIPServer(
            try self.sip(settings, address), logger: gateway.logger, invited: listener.invited)
        do {
            let addresses = try server.start()
            gateway.logger.info(
                "SIP calls are taken",
                [
                    "sip.address": .string(addresses.plain.description), "rtp.calls": .integer(listener.capacity),
                ])
            return Running(server: server, address: addresses.plain)
        } catch {
            throw StartError("PRONTO_SIP_PORT: \(error)")
        }
    }

    /// Where RTP is taken: tried once, so that a wrong address is not found out by each caller.
    private static func checkMedia(_ settings: Settings, sip: SocketAddress) throws {
        guard let address = SocketAddress(settings.datagramHost, port: 0) else {
            throw StartError("RTP_BIND_ADDRESS: an IP address of this machine, such as 127.0.0.1 or 0.0.0.0")
        }
        // Only then does the switch have to be told another address: PRONTO_SIP_HOST's.
        guard !address.isWildcard || address.isIPv6 || !sip.isIPv6 else {
            throw StartError(
                "RTP_BIND_ADDRESS: 0.0.0.0 takes no audio at PRONTO_SIP_HOST's IPv6 address; set :: or that address")
        }
        do throws(ListenError) { try UDPSocket.check(address) } catch {
            throw GatewayProcess.startError(error, "RTP_BIND_ADDRESS", "RTP_BIND_ADDRESS")
        }
    }

    private static func sip(_ settings: Settings, _ address: SocketAddress) throws -> SIPConfiguration {
        var configuration = SIPConfiguration(
            address: address, allowedPeers: settings.sipPeers.compactMap { PeerNetwork($0) },
            mostDialogs: max(1, (settings.datagramLast - settings.datagramFirst) / 2 + 1))
        guard let port = settings.sipTLSPort else { return configuration }
        guard let certificate = settings.certificate, let key = settings.privateKey else {
            throw StartError("PRONTO_SIP_TLS_PORT: needs PRONTO_TLS_CERTIFICATE and PRONTO_TLS_KEY")
        }
        configuration.tls = .init(port: UInt16(port), certificate: certificate, privateKey: key)
        return configuration
    }
}
