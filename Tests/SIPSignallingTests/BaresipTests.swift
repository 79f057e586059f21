import Foundation
import Networking
import SIPSignalling
import Telephony
import Testing

/// Calls from baresip, a soft phone: somebody's desk.
@Suite(.serialized) struct BaresipTests {
    /// A phone without sound devices that dials when it starts. Its commands come from `keys` files of its own.
    private func phone(_ listener: SIPListener, in folder: URL, transport: String) throws -> Program {
        let modules = try #require(
            [
                "/usr/lib/x86_64-linux-gnu/baresip/modules", "/usr/lib/aarch64-linux-gnu/baresip/modules",
                "/usr/lib/baresip/modules",
            ]
            .first { FileManager.default.fileExists(atPath: $0) }, "baresip's modules: scripts/install installs them")
        try """
        module_path \(modules)
        sip_listen 127.0.0.1:0
        net_interface 127.0.0.1
        audio_source aufile,\(folder.path)/said.wav
        audio_player aufile,\(folder.path)/heard.wav
        audio_alert aufile,\(folder.path)/alert.wav
        rtp_ports 42000-42100
        module g711.so
        module aufile.so
        module_app account.so
        module_app menu.so
        """.write(to: folder.appendingPathComponent("config"), atomically: true, encoding: .utf8)
        try Self.silence.write(to: folder.appendingPathComponent("said.wav"))
        try "<sip:desk@127.0.0.1;transport=\(transport)>;regint=0\n".write(
            to: folder.appendingPathComponent("accounts"), atomically: true, encoding: .utf8)
        try "".write(to: folder.appendingPathComponent("contacts"), atomically: true, encoding: .utf8)
        return try Program(
            "/usr/bin/baresip",
            ["-f", folder.path, "-t", "20", "-e", "/dial sip:2000@\(listener.address)"], in: folder)
    }

    /// Ten seconds of nothing at 8000 Hz, 16 bits, as a WAV file: what the phone says.
    private static var silence: Data {
        func little(_ value: Int, _ bytes: Int) -> [UInt8] {
            (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        let samples = [UInt8](repeating: 0, count: 160_000)
        let format =
            little(16, 4) + little(1, 2) + little(1, 2) + little(8000, 4) + little(16000, 4) + little(2, 2)
            + little(16, 2)
        return Data(
            Array("RIFF".utf8) + little(36 + samples.count, 4) + Array("WAVEfmt ".utf8) + format + Array("data".utf8)
                + little(samples.count, 4) + samples)
    }

    @Test(
        "A soft phone calls, is held and let go, and is hung up on", .timeLimit(.minutes(1)), arguments: ["udp", "tcp"])
    func call(transport: String) async throws {
        let folder = try Program.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        try await SIPListener(answer: {
            $0.dialog.ring()
            $0.dialog.accept(SIPListener.media)
        }).run { listener in
            let phone = try self.phone(listener, in: folder, transport: transport)
            defer { phone.kill() }
            let call: CallRecord
            do { call = try await listener.call() } catch {
                Issue.record("baresip did not call: \(phone.text)")
                throw error
            }
            try await call.confirmed()
            #expect(call.invitation.caller.number.value == "desk")
            call.dialog.hold()
            _ = try await call.event("our hold") {
                if case .modified(let it) = $0 { !it.direction.receives } else { false }
            }
            call.dialog.resume()
            _ = try await call.event("our resume") { event in
                if case .modified(let agreement) = event { agreement.direction == .sendReceive } else { false }
            }
            call.dialog.bye()
            #expect(try await call.ending() == .ended(SIPEnding(.us, .normalClearing)))
        }
    }
}
