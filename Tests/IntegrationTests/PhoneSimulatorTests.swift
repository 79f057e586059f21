import Audio
import MediaDialects
import Networking
import Synchronization
import Telephony
import Testing

@testable import Simulators

/// A gateway of a few lines: it selects the dialect as the real one does, greets with a tone as soon as it is called,
/// and keeps what it hears.
private final class SmallGateway: Sendable {
    /// What becomes of a call.
    enum Behaviour: Sendable { case greet, refuse(status: Int), close(code: UInt16), drop }

    struct Call: Sendable {
        var dialect: String
        var handshake: [String]
        var uplink: AudioFormat
        var heard: [UInt8] = []
        var digits = 0
        var problems: [String] = []
        var metadata: LegMetadata?
        var end: WebSocketEnd?
    }

    let calls = Mutex<[String: Call]>([:])
    private let behaviour: Behaviour
    private let options: WebSocketOptions

    init(_ behaviour: Behaviour, _ options: WebSocketOptions) {
        self.behaviour = behaviour
        self.options = options
    }

    /// Confined to the loop that serves.
    private final class Leg {
        var dialect: any MediaDialect
        var input = DialectInput()
        let call: String
        init(_ dialect: any MediaDialect, call: String) {
            self.dialect = dialect
            self.call = call
        }
    }

    func answer(_ request: HTTPRequest, _ responder: HTTPResponder) {
        if case .refuse(let status) = self.behaviour { return responder.respond(HTTPResponse(status: status)) }
        let selection = DialectSelection(defaults: DialectSelection.Defaults(format: .l16(.narrowband)))
        guard let stream = try? StreamRequest(target: request.target), let id = stream.metadata.call,
            let choice = try? selection.choose(subprotocols: request.subprotocols, request: stream),
            let socket = responder.upgradeToWebSocket(subprotocol: choice.subprotocol, options: self.options)
        else { return responder.respond(HTTPResponse(status: 400)) }
        let leg = Leg(choice.dialect, call: id.text)
        self.calls.withLock { calls in
            calls[id.text] = Call(
                dialect: choice.name.rawValue, handshake: request.headers.fields.map(\.name),
                uplink: choice.dialect.uplink)
        }
        socket.onClose = { [self] end in self.calls.withLock { $0[leg.call]?.end = end } }
        socket.onMessage = { [self] kind, bytes in self.received(kind, bytes, leg) }
        switch self.behaviour {
        case .greet: self.greet(socket, leg)
        case .close(let code): socket.close(code: code, reason: "test")
        case .drop: socket.abort()
        case .refuse: break
        }
    }

    /// 600 ms of 700 Hz and 200 ms of silence, all at once.
    private func greet(_ socket: WebSocket, _ leg: Leg) {
        let format: AudioFormat = leg.dialect.downlink
        var samples: [Int16] = Tone(700, rate: format.rate).samples(for: .milliseconds(600))
        samples += [Int16](repeating: 0, count: format.rate.samples(in: .milliseconds(200)))
        let frame: Int = format.rate.samples(in: .milliseconds(leg.dialect.playsThroughControl == nil ? 20 : 800))
        for start in stride(from: 0, to: samples.count, by: frame) {
            var audio: [UInt8] = []
            samples[start..<min(samples.count, start + frame)].withUnsafeBufferPointer { samples in
                if let law = format.encoding.law {
                    G711.encode(samples, as: law, into: &audio)
                } else {
                    audio.append(contentsOf: UnsafeRawBufferPointer(samples))
                }
            }
            var message: [UInt8] = []
            let kind: MessageKind? = audio.withUnsafeBytes { leg.dialect.encode(frame: $0, into: &message) }
            message.withUnsafeBytes { bytes in
                _ = kind == .binary ? socket.send(binary: bytes) : socket.send(text: bytes)
            }
        }
    }

    private func received(_ kind: WebSocketMessageKind, _ bytes: UnsafeRawBufferPointer, _ leg: Leg) {
        leg.input.removeAll()
        leg.dialect.received(kind == .text ? .text : .binary, bytes, &leg.input)
        self.calls.withLock { calls in
            calls[leg.call]?.heard += leg.input.audio
            if let problem = leg.input.problem { calls[leg.call]?.problems.append(problem) }
            for event in leg.input.events {
                switch event {
                case .phone(.digit): calls[leg.call]?.digits += 1
                case .metadata(let metadata): calls[leg.call]?.metadata = metadata
                case .phone: break
                }
            }
        }
    }
}

/// A `SmallGateway` that serves on loopback.
private struct RunningGateway {
    let gateway: SmallGateway
    let port: Int
    private let server: HTTPServer
    private let loop: EventLoop

    init(_ behaviour: SmallGateway.Behaviour = .greet, options: WebSocketOptions = WebSocketOptions()) throws {
        let gateway = SmallGateway(behaviour, options)
        self.gateway = gateway
        self.loop = EventLoop(name: "small-gateway")
        self.loop.start()
        let address = try #require(SocketAddress("127.0.0.1", port: 0))
        self.server = try HTTPServer(on: [self.loop], address: address) { _ in
            { request, responder in gateway.answer(request, responder) }
        }
        self.port = Int(self.server.address.port)
    }

    func stop() {
        self.server.close()
        self.loop.stop()
    }
}

@Suite("The software phone calls a gateway", .timeLimit(.minutes(1)))
struct PhoneSimulatorTests {
    private static let domain = "11111111-2222-3333-4444-555555555555"

    /// Counts what a phone reports, on whatever loop.
    private final class Reports: Sendable {
        private let reports = Mutex<[PhoneReport]>([])
        private let heard = Mutex(0)
        func add(_ report: PhoneReport, samples: Int) {
            if case .heard = report {
                self.heard.withLock { $0 += samples }
            } else {
                self.reports.withLock { $0.append(report) }
            }
        }
        var all: [PhoneReport] { self.reports.withLock { $0 } }
        var heardSamples: Int { self.heard.withLock { $0 } }
    }

    private static func call(
        _ configuration: PhoneConfiguration, _ target: PhoneTarget, on loop: EventLoop, _ reports: Reports? = nil
    ) async -> PhoneResult {
        await withCheckedContinuation { continuation in
            loop.execute {
                PhoneSimulator(configuration: configuration, target: target, on: loop).start(
                    onEvent: reports.map { reports in { reports.add($0, samples: $1.count) } },
                    onEnd: { continuation.resume(returning: $0) })
            }
        }
    }

    private static func url(_ gateway: RunningGateway, _ configuration: PhoneConfiguration, call: String) -> String {
        let format: AudioFormat = configuration.uplink
        return
            "ws://127.0.0.1:\(gateway.port)/stream/\(Self.domain)/\(call)?dialect=\(configuration.dialect.name?.rawValue ?? "")"
            + "&encoding=\(format.encoding.rawValue)&rate=\(format.rate.hertz)&channels=\(format.channels)"
    }

    private static func script(_ rate: SampleRate) -> [PhoneStep] {
        [
            .waitForAgent(quietFor: .milliseconds(100), timeout: .seconds(5)),
            .speak(Tone(1000, rate: rate).samples(for: .milliseconds(200))), .digit(Redacted("5")),
            .silence(.milliseconds(100)), .hangUp,
        ]
    }

    @Test("In every dialect it is understood, hears the greeting and is heard", arguments: PhoneModule.webSockets)
    func everyDialect(_ dialect: PhoneModule) async throws {
        let gateway = try RunningGateway()
        defer { gateway.stop() }
        let loop = EventLoop(name: "phone")
        loop.start()
        defer { loop.stop() }
        var configuration = PhoneConfiguration(dialect: dialect, rate: .wideband)
        configuration.script = Self.script(configuration.uplink.rate)
        configuration.metadata = Redacted(#"{"domain_uuid":"\#(Self.domain)"}"#)
        configuration.reportsAudio = true
        configuration.records = true
        let reports = Reports()
        let target = PhoneTarget(url: Self.url(gateway, configuration, call: "call-1"))
        let result: PhoneResult = await Self.call(configuration, target, on: loop, reports)

        #expect(result.failure == nil)
        #expect(result.end == .hungUp)
        #expect(result.firstAudio != nil)
        #expect(result.agentHeard >= .milliseconds(560) && result.agentHeard <= .milliseconds(660))
        #expect(result.gaps == 0)
        #expect(result.ignoredMessages == 0)
        #expect(reports.all.contains(.agentSpeaking(true)))
        #expect(reports.all.contains(.callerSpeaking(false)))
        #expect(reports.heardSamples > 0)
        #expect((result.recording?.duration ?? .zero) >= .milliseconds(900))

        try await eventually("the gateway has seen the end") {
            gateway.gateway.calls.withLock { $0["call-1"]?.end } != nil
        }
        let call: SmallGateway.Call = try #require(gateway.gateway.calls.withLock { $0["call-1"] })
        #expect(call.dialect == dialect.name?.rawValue ?? "")
        #expect(call.problems.isEmpty)
        #expect(call.digits == 1)
        #expect(call.metadata?.tenant?.text == Self.domain)
        #expect(call.end == .closed(code: 1000, reason: "Normal closure"))
        var linear: [Int16] = []
        call.heard.withUnsafeBytes { heard in
            if let law = call.uplink.encoding.law {
                G711.decode(heard, as: law, into: &linear)
            } else {
                linear.appendLittleEndian(heard)
            }
        }
        let first: Int = try #require(linear.firstIndex { abs(Int($0)) > 50 })
        let last: Int = try #require(linear.lastIndex { abs(Int($0)) > 50 })
        let spoken: Int = last + 1 - first
        #expect(abs(spoken - call.uplink.rate.samples(in: .milliseconds(200))) <= 4)
        #expect(Goertzel.amplitude(of: 1000, in: Array(linear[first...last]), rate: call.uplink.rate) > 0.2)
    }

    @Test("A hundred phones share one loop")
    func many() async throws {
        let gateway = try RunningGateway()
        defer { gateway.stop() }
        let loop = EventLoop(name: "phones")
        loop.start()
        defer { loop.stop() }
        var configuration = PhoneConfiguration(dialect: .binary, rate: .narrowband)
        configuration.script = Self.script(.narrowband)
        let results: [PhoneResult] = await withTaskGroup(of: PhoneResult.self) { group in
            for index in 0..<100 {
                let target = PhoneTarget(
                    url: Self.url(gateway, configuration, call: "call-\(index)"), timeout: .seconds(10))
                let configuration: PhoneConfiguration = configuration
                group.addTask { await Self.call(configuration, target, on: loop) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let summary = PhoneSummary(results)
        #expect(summary.calls == 100)
        #expect(summary.failures == [:])
        #expect(gateway.gateway.calls.withLock { $0.count } == 100)
        #expect(summary.json.hasPrefix(#"{"calls":100,"failed":0,"failures":{},"connect_ms":{"n":100,"#))
        #expect(summary.table.hasPrefix("calls 100, failed 0\n"))
    }

    @Test("A gateway that accepts the fork's offer of compression is understood")
    func compressed() async throws {
        var options = WebSocketOptions()
        options.deflate = DeflateOptions()
        let gateway = try RunningGateway(options: options)
        defer { gateway.stop() }
        let loop = EventLoop(name: "phone")
        loop.start()
        defer { loop.stop() }
        var configuration = PhoneConfiguration(dialect: .forkPCMU)
        configuration.script = Self.script(.narrowband)
        let target = PhoneTarget(url: Self.url(gateway, configuration, call: "call-1"))
        let result: PhoneResult = await Self.call(configuration, target, on: loop)
        #expect(result.failure == nil)
    }

    @Test("Refusals and losses are told apart")
    func failures() async throws {
        let loop = EventLoop(name: "phone")
        loop.start()
        defer { loop.stop() }
        let configuration = PhoneConfiguration(dialect: .forkPCMU, script: [.silence(.seconds(5))])
        let cases: [(SmallGateway.Behaviour, PhoneEnd)] = [
            (.refuse(status: 403), .refused(status: 403)), (.close(code: 1011), .closedByGateway(code: 1011)),
            (.drop, .lost),
        ]
        var lastPort = 0
        for (behaviour, end) in cases {
            let gateway = try RunningGateway(behaviour)
            lastPort = gateway.port
            let target = PhoneTarget(url: Self.url(gateway, configuration, call: "call-1"))
            let result: PhoneResult = await Self.call(configuration, target, on: loop)
            #expect(result.end == end)
            #expect(result.failure == end.name)
            gateway.stop()
        }
        // The last gateway has stopped: nobody listens there.
        let nobody: PhoneResult = await Self.call(
            configuration, PhoneTarget(url: "ws://127.0.0.1:\(lastPort)/stream"), on: loop)
        #expect(nobody.end == .unreachable("connect"))
        let nonsense: PhoneResult = await Self.call(configuration, PhoneTarget(url: "http://nowhere"), on: loop)
        #expect(nonsense.end == .unreachable("protocol"))
    }
}
