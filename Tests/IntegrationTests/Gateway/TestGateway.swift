import Assistants
import Audio
import Conversation
import EventSocket
import Foundation
import MediaDialects
import Networking
import Observability
import PhoneServer
import Records
import Simulators
import Stores
import Synchronization
import Telephony
import Testing

/// What happened so far, from any thread; tests wait on it with a deadline.
final class Observed<Value: Sendable>: Sendable {
    private let state: Mutex<Value>
    init(_ value: Value) { self.state = Mutex(value) }
    var value: Value { self.state.withLock { $0 } }
    func change(_ body: @Sendable (inout Value) -> Void) { self.state.withLock { body(&$0) } }
}

/// Waits until `condition` holds; records a failure after the deadline. The pause between looks is no part of a test.
func eventually(
    within limit: Duration = .seconds(10), _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let end = clock.now + limit
    while clock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(2))
    }
    Issue.record("not within \(limit): \(what)", sourceLocation: sourceLocation)
}

/// What the calls of one gateway noted, for tests that wait until something was heard and not for a number of bytes.
final class CallNotes: CallObserver {
    struct Entry: Sendable {
        var call: CallID
        var at: ContinuousClock.Instant
        var note: SessionNote
    }
    private let notes = Observed<[Entry]>([])

    var all: [SessionNote] { self.notes.value.map(\.note) }

    /// The calls that noted anything, in the order of their first notes.
    var calls: [CallID] {
        self.notes.value.reduce(into: []) { calls, entry in
            if !calls.contains(entry.call) { calls.append(entry.call) }
        }
    }

    func entries(of call: CallID) -> [Entry] { self.notes.value.filter { $0.call == call } }

    /// Replies that are complete and were heard to their end; those of all calls, greetings included.
    ///
    /// Some back ends tell a reply's whole text when all of its audio has come, others before the first: both the text
    /// and the sound must have been there, and nothing may sound or wait any more.
    var repliesHeard: Int {
        var texts = 0
        var sounds = 0
        var isSounding = false
        for entry in self.notes.value {
            switch entry.note {
            case .agentSaid(_, isFinal: true): texts += 1
            case .agentSpeaking(let speaks):
                isSounding = speaks
                if !speaks { sounds += 1 }
            default: break
            }
        }
        return isSounding ? 0 : min(texts, sounds)
    }

    func call(_ identity: CallIdentity, noted note: SessionNote, at sinceStart: Duration) {
        self.notes.change { $0.append(Entry(call: identity.call, at: .now, note: note)) }
    }
    func callEnded(_ identity: CallIdentity, record: CallRecord) {}
}

/// A house voice that beeps for 200 ms instead of speaking, on no thread of its own.
struct BeepingVoice: SpeechServices {
    private struct Job: SpeechJob {
        func cancel() {}
    }
    let spoken = Observed<[String]>([])

    func synthesise(_ request: SpeechRequest, report: @escaping @Sendable (SpeechReport) -> Void) -> any SpeechJob {
        let text = request.text.value
        self.spoken.change { $0.append(text) }
        report(.audio([UInt8](repeating: 1, count: request.format.bytes(in: .milliseconds(200)))))
        report(.ended(.finished))
        return Job()
    }
    func listen(
        _ request: DetectionRequest, report: @escaping @Sendable (ListeningReport) -> Void
    ) throws -> any ListeningJob { throw AssistantFailure("no-ears", .failOver) }
    func transcribe(
        _ request: TranscriptionRequest, report: @escaping @Sendable (TranscriptionReport) -> Void
    ) -> any SpeechJob {
        report(.failed(slug: "no-recogniser"))
        return Job()
    }
}

/// A gateway on loopback with the OpenAI simulator behind it and a simulated FreeSWITCH beside it.
final class TestGateway: Sendable {
    static let tenant = TenantID("11111111-2222-3333-4444-555555555555")!
    static let assistant = AssistantID("aaaaaaaa-0000-4000-8000-000000000001")!
    static let otherTenant = TenantID("99999999-2222-3333-4444-555555555555")!
    static let tokenKeys = "k1:" + Data(repeating: 7, count: 32).base64EncodedString()

    let group: EventLoopGroup
    let simulators: [OpenAIRealtimeSimulator]
    let gateway: Gateway
    let server: HTTPServer
    let proxy: HTTPServer
    let freeSwitch: FreeSwitchSimulator
    let control: ControlLink
    let voice = BeepingVoice()
    let notes = CallNotes()
    let finished = Observed<[FinishedCall]>([])
    /// How many calls had a place when each record came.
    let livedWhenFinished = Observed<[Int]>([])
    var port: UInt16 { self.server.address.port }

    /// One simulator a script, in the order of the ladder. `change` may alter the assistant and the defaults.
    /// `controls`: what is asked in place of the one Event Socket. `switchPort`: a real switch's Event Socket, which then controls the calls in place of the simulated one's.
    init(
        scripts: [OpenAIRealtimeScript] = [OpenAIRealtimeScript()], loops: Int = 1, logger: Logger = .silent,
        eventSocket: InboundClient.Configuration = .init(password: "secret"), switchPort: UInt16? = nil,
        phonePort: UInt16 = 0,
        pipeline: PipelineServices? = nil, providers: [String]? = nil, speech: (any SpeechServices)? = nil,
        others: (any OtherNodes)? = nil, controls: (@Sendable (ControlLink) -> any CallControl)? = nil,
        configure: (inout GatewayConfiguration) -> Void = { _ in },
        backEnds: (names: [String], make: @Sendable (AssistantDirectory, AssistantDefaults) -> any AssistantMaking)? =
            nil,
        change: (inout Assistant, inout AssistantDefaults) -> Void = { _, _ in },
        noticed: @escaping @Sendable (FreeSwitchSimulatorCore.Notice) -> Void = { _ in }
    ) async throws {
        let group = EventLoopGroup(count: loops, name: "gateway")
        self.group = group
        self.simulators = try scripts.map { script in try OpenAIRealtimeSimulator.start(script: script) }
        self.freeSwitch = try await FreeSwitchSimulator.start(
            core: FreeSwitchSimulatorCore(password: "secret"), on: group.loops[0], noticed: noticed)
        self.control = ControlLink(
            host: "127.0.0.1", port: switchPort ?? self.freeSwitch.port, configuration: eventSocket, seed: 1,
            jobPrefix: "test", loop: group.loops[0], logger: .silent)
        var assistant = Assistant(id: Self.assistant, tenant: Self.tenant, name: "reception")
        assistant.fallback = FallbackDestination(number: "100", context: "default")
        assistant.noInput.isEnabled = false
        var defaults = AssistantDefaults()
        defaults.endsWithLocal = false
        defaults.deadlines.ready = .seconds(2)
        defaults.deadlines.firstAudio = .milliseconds(400)
        defaults.deadlines.stall = .milliseconds(400)
        defaults.deadlines.mediaReturn = .milliseconds(800)
        defaults.resumeWindow = .zero
        change(&assistant, &defaults)
        let several = ["openai"] + (1..<max(2, scripts.count)).map { "openai\($0 + 1)" }
        let names = backEnds?.names ?? providers ?? Array(several.prefix(scripts.count))
        assistant.providers = names.compactMap { ProviderName($0) }
        let directory = AssistantDirectory()
        var destination = DestinationRecord(
            id: DestinationID("dddddddd-0000-4000-8000-000000000001")!, tenant: Self.tenant, name: "Sales",
            number: "200", context: "internal")
        // A real switch really waits.
        destination.ringTimeout = .seconds(4)
        directory.replace(with: [
            .init(
                tenant: Tenant(id: Self.tenant, name: "one"), assistants: [assistant], destinations: [destination]),
            .init(
                tenant: Tenant(id: Self.otherTenant, name: "two"),
                assistants: [
                    Assistant(
                        id: AssistantID("bbbbbbbb-0000-4000-8000-000000000001")!, tenant: Self.otherTenant, name: "a"),
                    Assistant(
                        id: AssistantID("bbbbbbbb-0000-4000-8000-000000000002")!, tenant: Self.otherTenant, name: "b"),
                ]),
        ])
        var configuration = GatewayConfiguration()
        // Plain transfers; those that ring and come back are in Legs.
        configuration.ringTime = .zero
        var dialects = DialectSelection.Defaults(dialect: .binaryDown, format: .l16(.narrowband))
        dialects.flushText = "{\"type\":\"stopAudio\"}"
        configuration.dialects = DialectSelection(defaults: dialects)
        let keys = try TokenKeys(Self.tokenKeys)
        configuration.verifyToken = { text, tenant, call in
            do throws(StreamTokenError) {
                let token = try StreamToken.verified(text, keys: keys, tenant: tenant, call: call, at: Date())
                return .success(VerifiedToken(tenant: token.tenant, call: token.call, assistant: token.assistant))
            } catch {
                return .failure(TokenRefusal(slug: error.rawValue))
            }
        }
        configure(&configuration)
        let voice = self.voice
        let (finished, lived) = (self.finished, self.livedWhenFinished)
        let live = Observed<@Sendable () -> Int?>({ nil })
        self.gateway = Gateway(
            configuration: configuration, directory: directory, logger: logger, metrics: GatewayMetrics(),
            speech: speech ?? voice,
            assistants: backEnds?.make(directory, defaults)
                ?? SeveralOpenAIs(directory, defaults, self.simulators.map(\.port), pipeline),
            plans: StandardPlans(defaults: defaults), control: { [control] _ in controls?(control) ?? control },
            observer: self.notes, others: others, sentences: { sentence, _ in sentence.slug },
            finished: { call in
                if let count = live.value() { lived.change { $0.append(count) } }
                finished.change { $0.append(call) }
            })
        let gateway = self.gateway
        live.change { $0 = { [weak gateway] in gateway?.liveCalls } }
        self.server = try HTTPServer(
            on: group.loops, address: SocketAddress("127.0.0.1", port: Int(phonePort))!
        ) { loop in
            let listener = PhoneListener(gateway: gateway, loop: loop)
            return { listener.handle($0, $1) }
        }
        self.proxy = try HTTPServer(on: group.loops, address: SocketAddress("127.0.0.1", port: 0)!) { loop in
            let listener = PhoneListener(gateway: gateway, loop: loop, isBehindProxy: true)
            return { listener.handle($0, $1) }
        }
        self.control.start()
        // A real switch loads its modules first.
        try await eventually(within: .seconds(40), "Event Socket ready") { self.control.isAvailable }
    }

    /// The channel of a call, known to the simulated switch.
    func makeChannel(variables: [String: String] = [:]) async throws -> CallID {
        let call = CallID(UUID().uuidString)!
        try await self.freeSwitch.change { core, _ in core.addChannel(call, variables: variables) }
        return call
    }

    func record(of simulator: Int = 0) async throws -> OpenAIRealtimeRecord? {
        try await self.simulators[simulator].records().last
    }

    /// Commands of the switch that are about `call`, without those that every call causes.
    func commands(about call: CallID) async throws -> [String] {
        try await self.freeSwitch.commands().filter {
            $0.contains(call.text) && !$0.hasPrefix("filter")
        }
    }

    func stop() async throws {
        self.server.close()
        self.proxy.close()
        self.control.stop()
        try await self.freeSwitch.stop()
        for simulator in self.simulators { simulator.stop() }
        self.group.stop()
    }
}

/// OpenAI machines, each towards a simulator of its own.
private struct SeveralOpenAIs: AssistantMaking {
    private let standard: StandardAssistants
    private let ports: [Int]

    init(
        _ directory: AssistantDirectory, _ defaults: AssistantDefaults, _ ports: [Int], _ pipeline: PipelineServices?
    ) {
        self.ports = ports
        self.standard = StandardAssistants(
            directory: directory, defaults: defaults, openAI: OpenAIRealtimeConfiguration(credential: .none),
            pipeline: pipeline
        ) { _, _, _ in throw AssistantFailure("no-local-assistant", .failOver) }
    }

    func make(
        provider: String, identity: CallIdentity, legFormat: AudioFormat, history: [ConversationEntry]
    ) throws -> any AssistantMachine {
        guard provider.hasPrefix("openai") else {
            return try self.standard.make(
                provider: provider, identity: identity, legFormat: legFormat, history: history)
        }
        let index = (provider.last?.wholeNumberValue ?? 1) - 1
        var standard = self.standard
        standard.openAI = OpenAIRealtimeConfiguration(
            baseURL: "http://127.0.0.1:\(self.ports[index])/v1", credential: .bearer(Redacted("test")))
        return try standard.make(
            provider: "openai", identity: identity, legFormat: legFormat, history: history)
    }
}
