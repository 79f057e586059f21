import Audio
import Configuration
import EventSocket
import Foundation
import Networking
import Telephony

/// `pronto doctor --call`: one call through the real dialplan, heard as a caller would hear it.
///
/// FreeSWITCH calls the extension itself (a loopback channel, so no phone and no carrier is needed), parks our side of
/// it, and unicast brings what our side hears as raw audio. So it listens only where FreeSWITCH is on this machine.
enum DoctorCall {
    static func place(
        _ number: String, context: String, listening: Duration, _ settings: Settings
    ) async -> [DoctorFinding] {
        let loop = EventLoop(name: "doctor")
        loop.start()
        defer { loop.stop() }
        guard let password = settings.switchPassword else {
            return [.failed("call", "ESL_PASSWORD is unset: FreeSWITCH cannot be told to call", "set ESL_PASSWORD")]
        }
        do {
            let console = try await SwitchConsole.open(
                host: settings.switchHost, port: UInt16(settings.switchPort), password: Redacted(password),
                timeout: settings.switchConnectTimeout, on: loop)
            defer { console.close() }
            return try await Self.call(number, context, listening, console, settings, loop)
        } catch {
            return [.failed("call", "FreeSWITCH cannot be asked: \(error)", "pronto doctor says more")]
        }
    }

    private static func call(
        _ number: String, _ context: String, _ listening: Duration, _ console: SwitchConsole, _ settings: Settings,
        _ loop: EventLoop
    ) async throws -> [DoctorFinding] {
        var findings: [DoctorFinding] = []
        let id = UUID().uuidString.lowercased()
        guard let channel = CallID(id) else { return [.failed("call", "no channel id", "try again")] }
        let started = ContinuousClock.now
        let variables =
            "origination_uuid=\(id),origination_caller_id_name=pronto-doctor,origination_caller_id_number=0,ignore_early_media=true,originate_timeout=20"
        let answer = try await console.api(
            "originate {\(variables)}loopback/\(number)/\(context) &park()", timeout: .seconds(30))
        guard answer.hasPrefix("+OK") else {
            return [
                .failed(
                    "call-answered", "\(number) in \(context) was not answered: \(answer.prefix(60))",
                    answer.contains("NO_ROUTE_DESTINATION") || answer.contains("UNALLOCATED")
                        ? "no extension of \(context) matches \(number): pronto doctor --context \(context)"
                        : "pronto doctor, and freeswitch.log")
            ]
        }
        let answered = started.duration(to: .now)
        findings.append(.fine("call-answered", "after \(Self.text(answered))"))
        let far = try await console.api("uuid_getvar \(id) other_loopback_leg_uuid")
        let other = CallID(far).map(\.text)

        if settings.switchHost == "127.0.0.1" || settings.switchHost == "localhost" || settings.switchHost == "::1" {
            findings += try await Self.listen(channel, listening, console, loop, started)
        } else {
            findings.append(.skipped("call-heard", "FreeSWITCH is on another machine: run this there to listen too"))
            try? await Task.sleep(for: .seconds(5))
        }

        // Who served it: the dialplan's failover writes down why.
        if let other {
            let reason = try await console.api("uuid_getvar \(other) pronto_failover_reason")
            let dialed = try await console.api("uuid_getvar \(other) destination_number")
            if !reason.hasPrefix("-ERR"), reason != "_undef_", !reason.isEmpty {
                findings.append(
                    .failed("call-served", "the failover served it, not Pronto: \(reason)", Self.repair(of: reason)))
            } else if dialed.hasPrefix("-ERR") {
                findings.append(
                    .warning(
                        "call-served", "the call ended before it was asked who served it",
                        "freeswitch.log and Pronto's log"))
            } else if dialed != number {
                findings.append(
                    .failed(
                        "call-served", "it ended up at another extension (\(dialed)), not with Pronto",
                        "is Pronto running? pronto doctor says which port is closed"))
            } else {
                findings.append(.fine("call-served", "still with what \(number) begins"))
            }
        }
        _ = try await console.api("uuid_kill \(id)")
        return findings
    }

    private static func repair(of reason: String) -> String {
        switch reason {
        case _ where reason.hasPrefix("connect-"):
            "is pronto serve running, and does it take this stream? Its log says why"
        case "mod_audio_stream-not-loaded": "fs_cli -x 'load mod_audio_stream'"
        case "start-refused": "an old stream on the channel, or a wrong address: freeswitch.log"
        case "domain_uuid-unset": "set domain_uuid in the dialplan: --domain-uuid"
        case _ where reason.hasPrefix("lost-") || reason.hasPrefix("disconnected-"):
            "Pronto ended in mid-call: its log says why"
        default: "Pronto's log and freeswitch.log"
        }
    }

    /// What our side hears.
    private static func listen(
        _ channel: CallID, _ listening: Duration, _ console: SwitchConsole, _ loop: EventLoop,
        _ started: ContinuousClock.Instant
    ) async throws -> [DoctorFinding] {
        guard let ear = try await DoctorEar.open(on: loop) else {
            return [.failed("call-heard", "no UDP port can be opened on 127.0.0.1", "free a port")]
        }
        defer { ear.close() }
        let ports = UnicastPorts(
            switchAddress: "127.0.0.1", switchPort: ear.spare, ourAddress: "127.0.0.1", ourPort: ear.port)
        _ = try await console.perform(try .unicast(ports, on: channel))
        let end = ContinuousClock.now + listening
        var heard = await ear.summary()
        // Three seconds of sound are enough to judge by.
        while ContinuousClock.now < end, heard.voicedFrames < 150 {
            try await Task.sleep(for: .milliseconds(100))
            heard = await ear.summary()
        }
        guard heard.frames > 0 else {
            return [
                .failed(
                    "call-heard", "FreeSWITCH sent no audio of the parked channel",
                    "is the call still up? pronto doctor, freeswitch.log (Failure creating unicast connection)")
            ]
        }
        guard let first = heard.firstVoice else {
            return [
                .failed(
                    "call-heard", "only silence in \(Self.text(listening))",
                    "the assistant has a greeting? Its provider answers? Pronto's log; a dialect that plays files needs ESL_PASSWORD"
                )
            ]
        }
        var findings = [
            DoctorFinding.fine("call-heard", "the first sound \(Self.text(started.duration(to: first))) after dialing")
        ]
        findings.append(
            heard.peak > -0.2
                ? .warning(
                    "call-level", "the voice is clipped (peak \(Self.decibels(heard.peak)))",
                    "a lower output level at the assistant's provider")
                : heard.peak < -40
                    ? .warning(
                        "call-level", "the voice is very quiet (peak \(Self.decibels(heard.peak)))",
                        "a louder voice at the assistant's provider")
                    : .fine("call-level", "peak \(Self.decibels(heard.peak))"))
        return findings
    }

    private static func text(_ duration: Duration) -> String {
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        return "\((seconds * 10).rounded() / 10) s"
    }

    private static func decibels(_ level: Double) -> String { "\((level * 10).rounded() / 10) dBFS" }
}

/// A UDP port that hears L16 datagrams and remembers when there was sound.
final class DoctorEar: Sendable {
    struct Summary: Sendable {
        var frames = 0
        var voicedFrames = 0
        var firstVoice: ContinuousClock.Instant?
        /// dBFS.
        var peak = Level.floor
    }

    let port: UInt16
    /// A port that was free a moment ago, for the switch's side.
    let spare: UInt16
    private let loop: EventLoop
    private let state: LoopBound<State>

    private final class State {
        let socket: UDPSocket
        var summary = Summary()
        init(_ socket: UDPSocket) { self.socket = socket }
    }

    private init(port: UInt16, spare: UInt16, loop: EventLoop, state: LoopBound<State>) {
        self.port = port
        self.spare = spare
        self.loop = loop
        self.state = state
    }

    static func open(on loop: EventLoop) async throws -> DoctorEar? {
        try await loop.run {
            guard let any = SocketAddress("127.0.0.1", port: 0), let socket = try? UDPSocket(any, on: loop),
                let other = try? UDPSocket(any, on: loop)
            else { return nil }
            let spare = UInt16(other.address.port)
            other.close()
            let state = State(socket)
            socket.onDatagram = { [unowned state] bytes, _, _ in
                state.summary.frames += 1
                let level = Level(of: bytes, encoding: .l16)
                state.summary.peak = max(state.summary.peak, level.peak)
                // The floor of a quiet line lies around -60 dBFS.
                guard level.rms > -45 else { return }
                state.summary.voicedFrames += 1
                if state.summary.firstVoice == nil { state.summary.firstVoice = .now }
            }
            return DoctorEar(
                port: UInt16(socket.address.port), spare: spare, loop: loop, state: LoopBound(state, on: loop))
        }
    }

    func summary() async -> Summary {
        await withCheckedContinuation { continuation in
            self.loop.execute { [state] in continuation.resume(returning: state.value.summary) }
        }
    }

    func close() { self.loop.execute { [state] in state.value.socket.close() } }
}
