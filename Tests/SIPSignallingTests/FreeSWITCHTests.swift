import Foundation
import Networking
import SIPSignalling
import Synchronization
import Telephony
import Testing

/// Calls from a real FreeSWITCH: its `fs_cli` with the options to reach it in PRONTO_FREESWITCH_CLI, and the port of its
/// SIP profile on 127.0.0.1 in PRONTO_FREESWITCH_SIP. The dialplan answers 2000.
@Suite(
    .serialized,
    .enabled(
        if: ProcessInfo.processInfo.environment["PRONTO_FREESWITCH_CLI"] != nil
            && ProcessInfo.processInfo.environment["PRONTO_FREESWITCH_SIP"] != nil,
        "needs a running FreeSWITCH: PRONTO_FREESWITCH_CLI and PRONTO_FREESWITCH_SIP"))
struct FreeSWITCHTests {
    private static let environment = ProcessInfo.processInfo.environment

    /// One API command and its answer.
    private func api(_ command: String) async throws -> String {
        let words = (Self.environment["PRONTO_FREESWITCH_CLI"] ?? "").split(separator: " ").map(String.init)
        let folder = try Program.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let program = try Program(try #require(words.first), Array(words.dropFirst()) + ["-x", command], in: folder)
        _ = try await program.finish()
        return program.text
    }

    /// Originates `&bridge` of extension 2000 with us; our leg has the id `uuid`.
    private func bridge(_ listener: SIPListener, _ uuid: String, _ variables: String = "") async throws {
        let port = Self.environment["PRONTO_FREESWITCH_SIP"] ?? ""
        let leg = "[origination_uuid=\(uuid)\(variables)]sofia/internal/ai@\(listener.address)"
        let answer = try await self.api(
            "originate {origination_caller_id_number=0612345678,origination_caller_id_name=Ann,absolute_codec_string=PCMA}"
                + "sofia/internal/2000@127.0.0.1:\(port) &bridge(\(leg))")
        #expect(answer.contains("+OK"), "\(answer)")
    }

    @Test("A bridged call: headers, hold both ways, and its end with a cause", .timeLimit(.minutes(1)))
    func bridgedCall() async throws {
        try await SIPListener(answer: {
            $0.dialog.ring()
            $0.dialog.accept(SIPListener.media)
        }).run { listener in
            let uuid = UUID().uuidString.lowercased()
            try await self.bridge(listener, uuid, ",sip_h_X-Pronto-Call=\(uuid)")
            let call = try await listener.call()
            try await call.confirmed()
            #expect(call.invitation.headers.value("X-Pronto-Call") == .one(Redacted(uuid)))
            // The far end of the bridge is the extension that was called.
            #expect(call.invitation.identity?.number.value == "2000")
            #expect(call.invitation.request.user.value == "ai")
            #expect(call.invitation.agreement?.packetTime == .milliseconds(20))

            func reoffered(_ direction: MediaDirection, from index: Int) async throws {
                _ = try await eventually("\(direction)") {
                    call.events.dropFirst(index).first { event in
                        if case .reoffered(let agreement) = event { agreement.direction == direction } else { false }
                    }
                }
            }
            var seen = call.events.count
            _ = try await self.api("uuid_hold \(uuid)")
            try await reoffered(.receiveOnly, from: seen)
            seen = call.events.count
            _ = try await self.api("uuid_hold off \(uuid)")
            try await reoffered(.sendReceive, from: seen)

            call.dialog.hold()
            _ = try await call.event("our hold") {
                if case .modified(let it) = $0 { !it.direction.receives } else { false }
            }
            call.dialog.resume()
            _ = try await call.event("our resume") { event in
                if case .modified(let agreement) = event { agreement.direction == .sendReceive } else { false }
            }

            _ = try await self.api("uuid_kill \(uuid) SWITCH_CONGESTION")
            #expect(try await call.ending() == .ended(SIPEnding(.peer, .congestion)))
        }
    }

    @Test("REFER takes the caller to another extension, and FreeSWITCH ends our leg", .timeLimit(.minutes(1)))
    func refer() async throws {
        try await SIPListener().run { listener in
            try await self.bridge(listener, UUID().uuidString.lowercased())
            let call = try await listener.call()
            try await call.confirmed()
            call.dialog.refer(to: try #require(SIPTransferTarget(number: "2000", host: "127.0.0.1")))
            _ = try await call.event("the transfer") { $0 == .transferred }
            guard case .ended(let ending) = try await call.ending() else {
                Issue.record("\(call.events)")
                return
            }
            #expect(ending.initiator == .peer)
            _ = try await self.api("hupall")
        }
    }

    @Test("Our refusals reach the dialplan as its causes, and CANCEL reaches us", .timeLimit(.minutes(1)))
    func refusals() async throws {
        let rejection = Mutex<SIPRejection?>(.full())
        try await SIPListener(answer: { record in
            if let rejection = rejection.withLock({ $0 }) {
                record.dialog.reject(rejection)
            } else {
                record.dialog.ring()
            }
        }).run { listener in
            let target = "sofia/internal/ai@\(listener.address) &park()"
            #expect(try await self.api("originate \(target)").contains("USER_BUSY"))
            rejection.withLock { $0 = .draining() }
            #expect(try await self.api("originate \(target)").contains("NORMAL_TEMPORARY_FAILURE"))
            rejection.withLock { $0 = nil }
            _ = try await self.api("originate {originate_timeout=1}\(target)")
            guard case .cancelled = try await listener.call(2).ending() else {
                Issue.record("\(try await listener.call(2).events)")
                return
            }
            let codec = try await self.api("originate {absolute_codec_string=G722}\(target)")
            #expect(codec.contains("-ERR"), "\(codec)")
            #expect(listener.server.counters.refusedRequest.value == 1)
        }
    }

    @Test("TCP", .timeLimit(.minutes(1)))
    func overTCP() async throws {
        try await SIPListener().run { listener in
            let uuid = UUID().uuidString.lowercased()
            let answer = try await self.api(
                "originate {origination_uuid=\(uuid)}sofia/internal/ai@\(listener.address);transport=tcp &park()")
            #expect(answer.contains("+OK"), "\(answer)")
            let call = try await listener.call()
            try await call.confirmed()
            #expect(call.invitation.transport == .tcp)
            call.dialog.bye()
            _ = try await call.ending()
        }
    }
}
