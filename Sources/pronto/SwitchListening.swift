import Configuration
import EventSocket
import Networking
import Observability
import PhoneServer
import Records
import Telephony

/// The listener for the dialplan's `socket` application, from settings.
enum SwitchListening {
    /// Nil: no setting asks for it.
    static func listen(
        _ settings: Settings, _ gateway: Gateway, _ group: EventLoopGroup, media: SocketAddress, sip: SocketAddress?,
        unicast: Unicast
    ) throws -> TCPServer? {
        guard let port = settings.socketPort ?? (settings.audioMode == .websocket ? nil : 8022) else { return nil }
        guard let address = SocketAddress(settings.socketHost, port: port) else {
            throw StartError("ESL_SERVER_HOST: a listener needs an IP address, such as 127.0.0.1 or 0.0.0.0")
        }
        let configuration = self.configuration(settings, media, sip, unicast)
        let shared = SwitchListener.Shared()
        do throws(ListenError) {
            let server = try TCPServer(on: group.loops, address: address) { loop in
                let listener = SwitchListener(
                    gateway: gateway, loop: loop, configuration: configuration, shared: shared)
                return { listener.accept($0) }
            }
            gateway.logger.info(
                "Calls by `socket` are taken",
                [
                    "esl.address": .string(server.address.description),
                    "unicast.calls": .integer(
                        min(configuration.ports?.capacity ?? 0, configuration.switchPorts?.capacity ?? 0)),
                ])
            return server
        } catch {
            throw GatewayProcess.startError(error, "ESL_SERVER_HOST", "ESL_SERVER_PORT")
        }
    }

    static func configuration(
        _ settings: Settings, _ media: SocketAddress, _ sip: SocketAddress?, _ unicast: Unicast
    ) -> SwitchListenerConfiguration {
        var configuration = SwitchListenerConfiguration()
        let peers = settings.socketPeers
        configuration.isTrustedPeer = { peer in peers.contains { $0.contains(peer.host) } }
        configuration.maximumConnections = settings.socketConnections
        configuration.audio = CallAudio(rawValue: settings.audioMode.rawValue) ?? .esl
        configuration.matchTimeout = settings.matchTimeout
        // The media port speaks TLS to everybody, or to nobody.
        configuration.streamURL = settings.streamURL ?? "\(settings.certificate == nil ? "ws" : "wss")://\(media)"
        configuration.sipAddress = sip?.description
        configuration.sipProfile = settings.sipProfile
        configuration.ports = unicast.ours
        configuration.switchPorts = unicast.switches
        return configuration
    }

    /// Both ends of every unicast: shared by the calls that come by `socket` and those that are parked.
    struct Unicast: Sendable {
        let ours: DatagramPorts
        let switches: DatagramPorts
    }

    static func unicastPorts(_ settings: Settings, _ logger: Logger) throws -> Unicast {
        try self.checkUnicast(settings, logger)
        return Unicast(
            ours: try self.ports(
                settings.unicastHost, settings.datagramFirst, settings.datagramLast, step: 2, "RTP_PORT_MIN",
                "RTP_PORT_MAX"),
            switches: try self.ports(
                settings.unicastHost, settings.unicastFirst, settings.unicastLast, step: 1, "UNICAST_PORT_MIN",
                "UNICAST_PORT_MAX"))
    }

    private static func checkUnicast(_ settings: Settings, _ logger: Logger) throws {
        guard let address = SocketAddress(settings.unicastHost, port: 0) else {
            throw StartError("UNICAST_ADDRESS: an IP address, such as 127.0.0.1")
        }
        guard !address.isLoopback else { return }
        guard settings.isUnicastAnywhere else {
            throw StartError(
                "UNICAST_ADDRESS: unicast has no authentication; use a loopback address, or set PRONTO_UNICAST_ANYWHERE=true "
                    + "behind a firewall")
        }
        logger.warning("PRONTO_UNICAST_ANYWHERE is on: whoever reaches the unicast ports is heard by callers")
    }

    static func ports(
        _ host: String, _ first: Int, _ last: Int, step: Int, _ firstName: String, _ lastName: String
    ) throws -> DatagramPorts {
        guard first <= last, let range = PortRange(first...last, step: step) else {
            throw StartError(
                "\(lastName): \(last) must lie above \(firstName) (\(first)), with room for a call (\(step) ports)")
        }
        return DatagramPorts(host: host, range: range)
    }
}
