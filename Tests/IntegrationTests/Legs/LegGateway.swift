import Audio
import EventSocket
import Foundation
import Networking
import Observability
import PhoneServer
import Records
import SIPSignalling
import Simulators
import Telephony
import Testing

/// A `TestGateway` that also takes calls by the outbound Event Socket and by SIP, and phones for both.
final class LegGateway: Sendable {
    enum Leg: String, Sendable, CaseIterable { case unicast, rtp }

    let base: TestGateway
    let ports: DatagramPorts
    let switchPorts: DatagramPorts
    let sipPorts: DatagramPorts
    let log: Observed<[String]>
    private let socketServer: TCPServer
    private let sipServer: SIPServer
    let sipAddress: SocketAddress
    /// What the simulated switch was made to do.
    let notices: Observed<[FreeSwitchSimulatorCore.Notice]>

    /// - Parameters:
    ///   - calls: how many calls the ranges of ports hold.
    ///   - plan: of the dialplan's `socket` line; the port is filled in.
    ///   - real: a real switch's Event Socket, and the ports that its dialplan calls us at.
    init(
        script: OpenAIRealtimeScript = OpenAIRealtimeScript(), loops: Int = 1, calls: Int = 60,
        others: (any OtherNodes)? = nil,
        configure: (inout GatewayConfiguration) -> Void = { _ in },
        listener change: (inout SwitchListenerConfiguration) -> Void = { _ in },
        plan: (inout FreeSwitchSimulatorCore.Socket) -> Void = { _ in },
        real: (eventSocket: UInt16, password: String, socket: UInt16, sip: UInt16, phones: UInt16)? = nil
    ) async throws {
        let log = Observed<[String]>([])
        self.log = log
        let logger = Logger(level: .info, form: .text) { line in log.change { $0.append(line) } }
        let notices = Observed<[FreeSwitchSimulatorCore.Notice]>([])
        self.notices = notices
        self.base = try await TestGateway(
            scripts: [script], loops: loops, logger: logger,
            eventSocket: .init(password: real?.password ?? "secret"), switchPort: real?.eventSocket,
            phonePort: real?.phones ?? 0, others: others,
            configure: { configuration in
                configuration.ringTime = .seconds(5)
                configure(&configuration)
            },
            change: { _, defaults in
                // A busy machine is no silent provider.
                defaults.deadlines.ready = .seconds(10)
                defaults.deadlines.firstAudio = .seconds(8)
                defaults.deadlines.stall = .seconds(8)
                defaults.deadlines.mediaReturn = .seconds(5)
            }, noticed: { notice in notices.change { $0.append(notice) } })
        let gateway = self.base.gateway
        let group = self.base.group
        self.ports = try Self.range(calls, step: 2)
        self.switchPorts = try Self.range(calls, step: 1)
        self.sipPorts = try Self.range(calls, step: 2)
        let sip = SIPListener(gateway: gateway, group: group, configuration: .init(ports: self.sipPorts))
        self.sipServer = SIPServer(
            SIPConfiguration(address: SocketAddress("127.0.0.1", port: Int(real?.sip ?? 0))!, listensOnTCP: false),
            logger: logger,
            invited: sip.invited)
        self.sipAddress = try self.sipServer.start().plain
        var configuration = SwitchListenerConfiguration()
        configuration.session = OutboundSession.Configuration(linger: .seconds(1))
        configuration.ports = self.ports
        configuration.switchPorts = self.switchPorts
        configuration.streamURL = "ws://127.0.0.1:\(self.base.port)"
        configuration.sipAddress = self.sipAddress.description
        change(&configuration)
        let (shared, fixed) = (SwitchListener.Shared(), configuration)
        self.socketServer = try TCPServer(
            on: group.loops, address: SocketAddress("127.0.0.1", port: Int(real?.socket ?? 0))!
        ) { loop in
            let listener = SwitchListener(gateway: gateway, loop: loop, configuration: fixed, shared: shared)
            return { listener.accept($0) }
        }
        var line = FreeSwitchSimulatorCore.Socket(port: self.socketServer.address.port)
        plan(&line)
        let socket = line
        try await self.base.freeSwitch.change { core, _ in core.dialplan["8000"] = socket }
    }

    /// A range that is free of others' sockets as far as chance goes: steps over what is not.
    private static func range(_ calls: Int, step: Int) throws -> DatagramPorts {
        let first = Int.random(in: 20_000...30_000) / 2 * 2
        let range = try #require(PortRange(first...(first + calls * step - 1), step: step, rest: .milliseconds(50)))
        return DatagramPorts(host: "127.0.0.1", range: range)
    }

    func stop() async throws {
        self.socketServer.close()
        self.sipServer.stop(within: .milliseconds(200))
        try await self.base.stop()
    }

    /// SIP alone ends, with a BYE to every call, and is gone when this returns.
    func stopSIP() { self.sipServer.stop(within: .milliseconds(200)) }

    // MARK: Phones

    /// Calls over `leg`; the phone stays on the line when its script is over.
    func call(
        _ leg: Leg, _ script: [PhoneStep] = [], channel: CallID? = nil, sip address: String? = nil,
        headers: [(name: String, value: String)] = [], variables: [String: String] = [:]
    ) async throws -> LegPhone {
        var configuration = PhoneConfiguration(
            dialect: leg == .rtp ? .rtp : .unicast, rate: .narrowband, script: script)
        configuration.ending = .stay
        configuration.reportsAudio = true
        configuration.maximumDuration = .seconds(60)
        let fixed = configuration
        let channel = channel ?? CallID(UUID().uuidString)!
        let number = variables["pronto_mode"] == nil ? "8000" : "5900"
        let loop = self.base.group.loops[0]
        let all = ["domain_uuid": TestGateway.tenant.text, "read_rate": "8000"].merging(variables) { $1 }
        let exchange = self.base.freeSwitch.exchange
        let url = address ?? "sip:8000@\(self.sipAddress);tenant=\(TestGateway.tenant)"
        let given = headers
        let events = Observed(LegPhone.Events())
        let phone = try await loop.run {
            let phone: PhoneSimulator
            switch leg {
            case .unicast:
                phone = PhoneSimulator(
                    configuration: fixed, channel: channel, number: number, variables: all, of: exchange.value)
            case .rtp:
                phone = PhoneSimulator(
                    configuration: fixed, target: PhoneTarget(url: url, headers: given, timeout: .seconds(5)),
                    on: loop)
            }
            phone.start(
                onEvent: { report, samples in LegPhone.note(report, samples, events) },
                onEnd: { result in events.change { $0.result = result } })
            return LoopBound(phone, on: loop)
        }
        return LegPhone(channel: channel, loop: loop, phone: phone, events: events)
    }

    /// Calls, and waits until the greeting is heard.
    func greeted(_ leg: Leg, _ script: [PhoneStep] = [], variables: [String: String] = [:]) async throws -> LegPhone {
        let phone = try await self.call(leg, script, variables: variables)
        try await eventually("a greeting over \(leg)") { phone.events.value.voiced > .milliseconds(100) }
        return phone
    }

    /// Answers what a real switch parks.
    func serveRealParkedCalls() {
        ParkedCalls(
            gateway: self.base.gateway, group: self.base.group, ports: self.ports, switchPorts: self.switchPorts
        ).serve(self.base.control)
    }

    /// Answers what the dialplan parks at 5900, by the inbound Event Socket alone.
    func serveParkedCalls() async throws {
        let parked = ParkedCalls(
            gateway: self.base.gateway, group: self.base.group, ports: self.ports, switchPorts: self.switchPorts)
        parked.serve(self.base.control)
        try await self.base.freeSwitch.change { core, _ in core.parks = ["5900"] }
        try await eventually("CHANNEL_PARK is asked for") {
            try await self.base.freeSwitch.commands().contains { $0.contains("CHANNEL_PARK") }
        }
    }

    /// The datagrams that FreeSWITCH would have choked on.
    func badDatagrams() async throws -> Int {
        let exchange = self.base.freeSwitch.exchange
        return try await self.base.group.loops[0].run {
            exchange.value.emptyDatagrams + exchange.value.misshapenDatagrams
        }
    }

    var unicastAsks: Int {
        self.notices.value.count { if case .unicastStarted = $0 { true } else { false } }
    }
    /// What may never happen to a FreeSWITCH.
    var isSwitchHarmed: Bool {
        self.notices.value.contains {
            switch $0 {
            case .crashed, .unicastWasted: true
            default: false
            }
        }
    }
}

/// A phone of `LegGateway`, from any thread.
final class LegPhone: Sendable {
    struct Events: Sendable {
        var isConnected = false
        /// Sound of the agent's so far.
        var voiced: Duration = .zero
        /// All that was heard, silence too.
        var heard: Duration = .zero
        var isAgentSpeaking = false
        /// How long the agent was heard after an interruption.
        var interrupted: Duration?
        var result: PhoneResult?
    }

    let channel: CallID
    let events: Observed<Events>
    private let loop: EventLoop
    private let phone: LoopBound<PhoneSimulator>

    init(channel: CallID, loop: EventLoop, phone: LoopBound<PhoneSimulator>, events: Observed<Events>) {
        self.channel = channel
        self.loop = loop
        self.phone = phone
        self.events = events
    }

    static func note(_ report: PhoneReport, _ samples: UnsafeBufferPointer<Int16>, _ events: Observed<Events>) {
        switch report {
        case .connected: events.change { $0.isConnected = true }
        case .agentSpeaking(let isSpeaking): events.change { $0.isAgentSpeaking = isSpeaking }
        case .interrupted(let after): events.change { $0.interrupted = after }
        case .heard:
            let isVoiced = samples.contains { abs(Int($0)) > 1000 }
            events.change {
                $0.heard += .milliseconds(20)
                if isVoiced { $0.voiced += .milliseconds(20) }
            }
        default: break
        }
    }

    func perform(_ steps: [PhoneStep]) {
        self.loop.execute { [phone] in phone.value.append(steps) }
    }
    func say(for time: Duration = .milliseconds(500)) { self.perform([.speak(Self.tone(time))]) }
    func hangUp() { self.loop.execute { [phone] in phone.value.hangUp() } }

    static func tone(_ time: Duration) -> [Int16] {
        var tone = Tone(440, amplitude: 0.5, rate: .narrowband)
        var samples: [Int16] = []
        tone.append(samples: SampleRate.narrowband.samples(in: time), to: &samples)
        return samples
    }

    /// Waits until the agent has been silent for a moment.
    func quiet() async throws {
        try await eventually("silence") {
            let before = self.events.value.voiced
            try await Task.sleep(for: .milliseconds(200))
            return self.events.value.voiced == before
        }
    }

    func ended(_ sourceLocation: SourceLocation = #_sourceLocation) async throws -> PhoneResult {
        try await eventually("the end of the call", sourceLocation: sourceLocation) {
            self.events.value.result != nil
        }
        return try #require(self.events.value.result, sourceLocation: sourceLocation)
    }
}
