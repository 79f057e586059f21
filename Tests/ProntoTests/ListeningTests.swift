import Foundation
import Networking
import PhoneServer
import Simulators
import Synchronization
import Telephony
import Testing

@testable import pronto

/// What a switch is told of where this gateway listens.
@Suite("Where a switch finds us", .timeLimit(.minutes(1)))
struct ListeningTests {
    @Test(
        "Audio bound to every address is announced at the SIP listener's, and flows",
        arguments: ["0.0.0.0", "::", "127.0.0.1"])
    func everyAddress(bound: String) async throws {
        try await withFolder { folder in
            let house = try await House(folder, given: ["PRONTO_SIP_PORT": "0", "RTP_BIND_ADDRESS": bound])
            let sip = try #require(house.process.sipAddress)
            let url = "sip:8000@\(sip);tenant=\(house.tenant)"
            #expect(try await self.announced(url, to: sip, on: house.phones) == "127.0.0.1")
            var configuration = PhoneConfiguration(dialect: .rtp, rate: .narrowband)
            configuration.ending = .stay
            configuration.maximumDuration = .seconds(30)
            let phone = try await DemoPhone.call(
                configuration, PhoneTarget(url: url, timeout: .seconds(10)), on: house.phones
            ) { _ in }
            #expect(await phone.perform([.waitForAgent(quietFor: .milliseconds(200), timeout: .seconds(10))]) == .done)
            phone.hangUp()
            #expect(await phone.result().agentHeard > .milliseconds(500))
            await house.stop()
        }
    }

    /// What stands in `c=` of the answer to an invitation; the call is ended at once.
    private func announced(_ url: String, to peer: SocketAddress, on loop: EventLoop) async throws -> String? {
        let caller = try await loop.run { LoopBound(try Caller(url, peer, on: loop), on: loop) }
        for _ in 0..<1000 {
            if let host = try await loop.run({ caller.value.host }) {
                try await loop.run { caller.value.end() }
                return host
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        return nil
    }

    private final class Caller {
        private let socket: UDPSocket
        private let peer: SocketAddress
        private var core: SIPCallerCore
        private(set) var host: String?

        init(_ url: String, _ peer: SocketAddress, on loop: EventLoop) throws {
            self.socket = try UDPSocket(#require(SocketAddress("127.0.0.1", port: 0)), on: loop)
            self.peer = peer
            self.core = SIPCallerCore(
                target: try #require(SIPCallerCore.Target(url)), local: self.socket.address.description,
                mediaPort: 40_000, identity: "c1", timeout: .seconds(10))
            self.socket.onDatagram = { [unowned self] bytes, _, now in
                self.step { $0.received(bytes, at: now, into: &$1) }
            }
            self.step { $0.start(at: loop.now, into: &$1) }
        }

        func end() {
            self.step { [now = self.socket.loop.now] in $0.hangUp(at: now, into: &$1) }
            self.socket.close()
        }

        private func step(_ body: (inout SIPCallerCore, inout [SIPCallerCore.Effect]) -> Void) {
            var effects: [SIPCallerCore.Effect] = []
            body(&self.core, &effects)
            for effect in effects {
                switch effect {
                case .send(let bytes): _ = bytes.withUnsafeBytes { self.socket.send($0, to: self.peer) }
                case .answered(let media): self.host = media.host
                case .wake, .referred, .ended: break
                }
            }
        }
    }

    @Test("dual: mod_audio_stream is sent to a media port that speaks TLS by wss", arguments: [false, true])
    func streamScheme(hasCertificate: Bool) async throws {
        try await withFolder { folder in
            let pair = ["PRONTO_TLS_CERTIFICATE": "one.pem", "PRONTO_TLS_KEY": "one.key"]
            let media = try #require(SocketAddress("127.0.0.1", port: 8085))
            for (given, expected) in [
                ([:], hasCertificate ? "wss://127.0.0.1:8085" : "ws://127.0.0.1:8085"),
                (["PRONTO_STREAM_URL": "ws://proxy:80"], "ws://proxy:80"),
            ] {
                let settings = try settings(
                    in: folder, (given as [String: String]).merging(hasCertificate ? pair : [:]) { old, _ in old })
                let unicast = try SwitchListening.unicastPorts(settings, .silent)
                #expect(SwitchListening.configuration(settings, media, nil, unicast).streamURL == expected)
            }
        }
    }
}
