import Assistants
import Configuration
import Foundation
import Networking
import Observability
import PhoneServer
import Records
import Stores
import Synchronization
import Telephony

/// `pronto provider test NAME`: opens a real session with the configured key, asks for a greeting, and says how long it
/// took or what is wrong, in plain words.
enum ProviderCommand {
    /// What can be tried: back ends as an assistant names them, and the pipeline's services one by one.
    enum Target: String, CaseIterable {
        case openai, elevenlabs, gemini, pipeline
        case turnBased = "turn-based"
        case local
        case deepgram, groq, anthropic, compatible
        case openaiChat = "openai-chat"
        case openaiSpeech = "openai-tts"
        case elevenlabsSpeech = "elevenlabs-tts"

        var isPipeline: Bool { self == .pipeline || self == .turnBased }
    }

    /// What came of one trial.
    struct Report: Sendable {
        /// What was tried: `session`, `recogniser`, `writer`, `speaker`.
        var what: String
        var model: String?
        var connected: Duration?
        var ready: Duration?
        var firstSound: Duration?
        var input: AudioFormat?
        var output: AudioFormat?
        var failure: AssistantFailure?
        var warnings: [String] = []
    }

    static let usage = """
        pronto provider test NAME [--assistant NAME] [--tenant T] [--seconds N] [--json]
        NAME: \(Target.allCases.map(\.rawValue).joined(separator: ", "))
        With --assistant its model, voice and tenant's keys are tried, otherwise the settings and the environment's keys.
        A trial costs what one short greeting costs. Exit status: 0 it works, 1 it does not, 64 the command is wrong.
        """

    /// The text and the exit status.
    static func test(
        _ words: [String], folder: String, environment: [String: String]
    ) async throws -> (text: String, status: Int32) {
        if words.contains("--help") { return (Self.usage, 0) }
        let arguments = try Arguments(
            words, options: ["--assistant", "--tenant", "--seconds", "--config"], flags: ["--json"])
        guard arguments.words.count == 2, let target = Target(rawValue: arguments.words[1]) else {
            throw ArgumentError.missing("what to try.\n\(Self.usage)")
        }
        let settings = try Settings.load(
            folder: folder, file: try arguments.optional("--config"), environment: environment,
            arguments: arguments.settings)
        let seconds = try arguments.optional("--seconds", allowed: "1 to 120 seconds") { text in
            Int(text).flatMap { (1...120).contains($0) ? $0 : nil }
        }
        let bench = try await ProviderBench(
            settings, tenant: try arguments.optional("--tenant"), assistant: try arguments.optional("--assistant"),
            patience: .seconds(seconds ?? 20))
        defer { bench.stop() }
        let reports = await bench.reports(of: target)
        let works = reports.allSatisfy { $0.failure == nil }
        let text = arguments.has("--json") ? Self.json(target, reports) : Self.text(target, reports)
        return (text, works ? 0 : 1)
    }

    // MARK: What is printed

    private static func text(_ target: Target, _ reports: [Report]) -> String {
        reports.map { report in
            var lines: [String] = []
            let model = report.model.map { " (\($0))" } ?? ""
            lines.append(
                "\(target.rawValue) \(report.what)\(model): \(report.failure == nil ? "works" : "does not work")")
            func time(_ what: String, _ time: Duration?) {
                if let time { lines.append("  \(what) \(time.milliseconds) ms") }
            }
            time("connected after  ", report.connected)
            time("ready after      ", report.ready)
            time(report.what == "writer" ? "first words after" : "first sound after", report.firstSound)
            if let input = report.input, let output = report.output {
                lines.append("  formats           \(input) in, \(output) out")
            }
            if let failure = report.failure {
                let diagnosis = ProviderDiagnosis(failure)
                lines.append("  what is wrong     \(diagnosis.meaning)")
                lines.append("  what to do        \(diagnosis.repair)")
                lines.append("  reason            \(failure.slug)")
                let said = Self.printable(failure.detail.value)
                if !said.isEmpty { lines.append("  it said           \(said)") }
            }
            lines += report.warnings.map { "  warning           \($0)" }
            return lines.joined(separator: "\n")
        }.joined(separator: "\n")
    }

    private static func json(_ target: Target, _ reports: [Report]) -> String {
        func milliseconds(_ time: Duration?) -> JSONValue { time.map { .integer($0.milliseconds) } ?? .null }
        let trials = reports.map { report -> JSONValue in
            var value: JSONValue = [
                "what": .string(report.what), "works": .bool(report.failure == nil),
                "model": report.model.map { .string($0) } ?? .null,
                "connected_ms": milliseconds(report.connected), "ready_ms": milliseconds(report.ready),
                "first_sound_ms": milliseconds(report.firstSound),
                "warnings": .array(report.warnings.map { .string($0) }),
            ]
            if let failure = report.failure {
                let diagnosis = ProviderDiagnosis(failure)
                value.set(.string(diagnosis.cause.rawValue), at: ["cause"])
                value.set(.string(diagnosis.meaning), at: ["meaning"])
                value.set(.string(diagnosis.repair), at: ["repair"])
                value.set(.string(failure.slug), at: ["reason"])
                value.set(.string(Self.printable(failure.detail.value)), at: ["said"])
            }
            return value
        }
        let value: JSONValue = [
            "provider": .string(target.rawValue), "works": .bool(reports.allSatisfy { $0.failure == nil }),
            "trials": .array(trials),
        ]
        return value.json
    }

    /// A provider's text for a terminal: one line, no control characters, and no word that looks like a key.
    static func printable(_ text: String) -> String {
        let line = String(
            text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }.prefix(400))
        return line.split(separator: " ").map { word in
            word.utf8.count >= 20 && !word.contains("/") && word.contains { $0.isNumber } && !word.contains("{")
                ? "‹…›" : String(word)
        }.joined(separator: " ")
    }
}

/// What a trial needs, made as `pronto serve` makes it: machines, keys, clients, trust.
final class ProviderBench: Sendable {
    private let settings: Settings
    private let services: PipelineServices
    private let assistants: StandardAssistants
    private let entry: AssistantDirectory.Entry
    private let assistant: Assistant
    private let hasAssistant: Bool
    private let group = EventLoopGroup(count: 1, name: "trial")
    private let http: ProviderHTTP
    private let tls: TLSContext?
    private let patience: Duration

    init(_ settings: Settings, tenant: String?, assistant name: String?, patience: Duration) async throws {
        self.settings = settings
        self.patience = patience
        self.tls = try GatewayProcess.makeTrust(settings)
        self.http = ProviderHTTP(authorities: settings.caFile)
        self.services = try PipelineSettings.services(settings)
        self.hasAssistant = name != nil
        let directory = AssistantDirectory()
        if let name {
            (self.entry, self.assistant) = try await Self.stored(settings, tenant: tenant, name)
        } else {
            guard let id = TenantID(UUID().uuidString), let own = AssistantID(UUID().uuidString) else {
                throw CommandFailure("no id")
            }
            let assistant = Assistant(id: own, tenant: id, name: "trial")
            self.assistant = assistant
            self.entry = AssistantDirectory.Entry(tenant: Tenant(id: id, name: "trial"), assistants: [assistant])
        }
        directory.replace(with: [self.entry])
        self.assistants = StandardAssistants(
            directory: directory, defaults: AssistantDefaults(), openAI: GatewayProcess.openAI(settings),
            elevenLabs: GatewayProcess.elevenLabs(settings), gemini: GatewayProcess.gemini(settings),
            pipeline: self.services, local: LocalAssistants.make)
    }

    func stop() { self.group.stop() }

    private static func stored(
        _ settings: Settings, tenant: String?, _ name: String
    ) async throws -> (AssistantDirectory.Entry, Assistant) {
        let store = try await StoreOpening.open(settings, connections: 1)
        let directory = AssistantDirectory()
        do throws(StoreError) { try await directory.reload(from: store) } catch {
            await store.close()
            throw error
        }
        let tenants: [Tenant]
        do throws(StoreError) { tenants = try await store.tenants() } catch {
            await store.close()
            throw error
        }
        await store.close()
        let wanted = tenants.filter { tenant == nil || $0.id.text == tenant?.lowercased() || $0.name == tenant }
        let found = wanted.compactMap { directory.entry(of: $0.id) }.flatMap { entry in
            entry.assistants.filter { $0.name == name }.map { (entry, $0) }
        }
        guard let only = found.first else { throw CommandFailure("there is no such assistant: pronto assistant list") }
        guard found.count == 1 else { throw CommandFailure("several tenants have it: say which with --tenant") }
        return only
    }

    // MARK: Trials

    func reports(of target: ProviderCommand.Target) async -> [ProviderCommand.Report] {
        switch target {
        case .openai, .elevenlabs, .gemini, .pipeline, .turnBased, .local: return [await self.session(target)]
        case .deepgram:
            return [
                await self.recogniser(.deepgramBatch, .deepgram, self.settings.deepgramBaseURL),
                await self.speaker(.deepgram),
            ]
        case .groq: return [await self.writer(.groq)]
        case .anthropic: return [await self.writer(.anthropic)]
        case .compatible: return [await self.writer(.compatible)]
        case .openaiChat: return [await self.writer(.openAI)]
        case .openaiSpeech: return [await self.speaker(.openAI)]
        case .elevenlabsSpeech: return [await self.speaker(.elevenLabs)]
        }
    }

    private func session(_ target: ProviderCommand.Target) async -> ProviderCommand.Report {
        var report = ProviderCommand.Report(what: "session", model: self.model(of: target))
        report.warnings = self.warnings(report.model)
        if target.isPipeline {
            report.warnings += self.warnings(self.services.writerModel ?? self.services.writer.defaultModel)
        }
        guard let call = CallID(UUID().uuidString) else { return report }
        let identity = CallIdentity(
            call: call, tenant: self.entry.tenant.id, assistant: self.assistant.id,
            assistantName: self.assistant.name)
        let machine: any AssistantMachine
        let speech: (any SpeechServices)?
        do {
            machine = try self.assistants.make(
                provider: target.rawValue, identity: identity, legFormat: .pcmu, history: [])
            speech =
                target == .local || (target.isPipeline && [.local, .piper, .sherpa].contains(self.services.speaker))
                ? try LocalSpeechServices(settings: self.settings, logger: .silent) : nil
        } catch {
            report.failure =
                error as? AssistantFailure ?? AssistantFailure("not-made", .failOver, detail: "\(error)")
            return report
        }
        let loop = self.group.loops[0]
        let (tls, http, patience) = (self.tls, self.http, self.patience)
        let outcome: SessionProbe.Outcome = await withCheckedContinuation { continuation in
            loop.execute {
                SessionProbe.run(machine, on: loop, tls: tls, http: http, speech: speech, timeout: patience) {
                    continuation.resume(returning: $0)
                }
            }
        }
        report.connected = outcome.connected
        report.ready = outcome.ready
        report.firstSound = outcome.firstAudio
        report.input = outcome.input
        report.output = outcome.output
        report.failure = outcome.failure
        return report
    }

    private func writer(_ service: WriterConfiguration.Service) async -> ProviderCommand.Report {
        var services = self.services
        services.writer = service
        if service != self.services.writer { services.writerModel = nil }
        var report = ProviderCommand.Report(what: "writer", model: services.writerModel ?? service.defaultModel)
        report.warnings = self.warnings(report.model)
        let setup = AssistantSetup(instructions: "You answer in one word.", language: "en", legFormat: .pcmu)
        do {
            let configuration = try services.makeWriter(self.entry)
            let exchange = try ChatExchange(
                configuration, setup: setup, message: "Say hello.", timeout: self.patience)
            let watch = Mutex(exchange)
            return await self.exchange(exchange.target, report) { event in
                watch.withLock { $0.received(event) }.map { result in
                    switch result {
                    case .success: nil
                    case .failure(let failure): failure
                    }
                }
            }
        } catch {
            report.failure = Self.failure(error, "writer")
            return report
        }
    }

    private func speaker(_ service: SpeakerConfiguration.Service) async -> ProviderCommand.Report {
        var services = self.services
        services.speaker = service
        if service != self.services.speaker {
            services.speakerModel = nil
            services.voice = service == .elevenLabs ? self.settings.elevenLabsVoice : nil
        }
        var report = ProviderCommand.Report(what: "speaker", model: services.voice ?? services.speakerModel)
        do {
            var configuration = try services.makeSpeaker(self.entry)
            try configuration.check()
            // Deepgram's voices are models; a family's name alone is none.
            if service == .deepgram, configuration.voice == nil { configuration.voice = "aura-2-thalia-en" }
            report.model = configuration.voice ?? configuration.model
            let target = try SpeechSynthesis(configuration: configuration, language: "en")
                .target("Hello.", format: configuration.format(for: .pcmu), timeout: self.patience)
            let reading = HTTPReading(stage: .speaker)
            return await self.exchange(target, report) { reading.received($0) }
        } catch {
            report.failure = Self.failure(error, "speaker")
            return report
        }
    }

    /// A second of silence is sent: what is understood of it does not matter.
    private func recogniser(
        _ service: RecogniserConfiguration.Service, _ company: PipelineServices.Company, _ base: String?
    ) async -> ProviderCommand.Report {
        let access = self.services.access[company]
        let configuration = RecogniserConfiguration(service, baseURL: access?.baseURL ?? base, key: access?.key)
        var report = ProviderCommand.Report(what: "recogniser", model: configuration.model)
        do {
            try configuration.check()
            let target = try BatchTranscription(configuration: configuration, language: "en")
                .target(pcm: [UInt8](repeating: 0, count: 16_000), rate: .narrowband, timeout: self.patience)
            let reading = HTTPReading(stage: .recogniser)
            return await self.exchange(target, report) { reading.received($0) }
        } catch {
            report.failure = Self.failure(error, "recogniser")
            return report
        }
    }

    private static func failure(_ error: any Error, _ stage: String) -> AssistantFailure {
        if let error = error as? SpeechPipelineError {
            return AssistantFailure("\(stage)-\(error.slug)", .failOver, detail: error.message)
        }
        return AssistantFailure("\(stage)-not-made", .failOver, detail: "\(error)")
    }

    /// Performs one HTTP exchange. `read` gives the outcome (nil in it: success), once it is known.
    private func exchange(
        _ target: HTTPTarget, _ given: ProviderCommand.Report,
        _ read: @escaping @Sendable (ChannelEvent) -> AssistantFailure??
    ) async -> ProviderCommand.Report {
        let loop = self.group.loops[0]
        let http = self.http
        return await withCheckedContinuation { continuation in
            loop.execute {
                var report = given
                var isOver = false
                let startedAt = loop.now
                _ = http.start(target, as: .main, on: loop) { event in
                    guard !isOver else { return }
                    switch event {
                    case .responseHead: report.connected = loop.now - startedAt
                    case .bytes: report.firstSound = report.firstSound ?? loop.now - startedAt
                    default: break
                    }
                    guard let outcome = read(event) else { return }
                    isOver = true
                    report.failure = outcome
                    if outcome != nil { report.firstSound = nil }
                    continuation.resume(returning: report)
                }
            }
        }
    }

    // MARK: Models

    private func model(of target: ProviderCommand.Target) -> String? {
        let own = self.hasAssistant ? self.assistant.model : nil
        switch target {
        case .openai: return own ?? self.settings.openAIModel
        case .gemini: return own ?? self.settings.geminiModel
        default: return own
        }
    }

    private func warnings(_ model: String?) -> [String] {
        guard let model, let date = ModelRetirements.announcedShutdown(of: model) else { return [] }
        return ["\(model) will be switched off on \(date): name another model"]
    }
}

/// One HTTP answer whose content does not matter, only that it is one.
private final class HTTPReading: Sendable {
    private struct State {
        var status = 0
        var body: [UInt8] = []
    }
    private let stage: ProviderStage
    private let state = Mutex(State())

    init(stage: ProviderStage) { self.stage = stage }

    func received(_ event: ChannelEvent) -> AssistantFailure?? {
        switch event {
        case .responseHead(_, let status, _):
            self.state.withLock { $0.status = status }
            return nil
        case .bytes(_, let bytes):
            return self.state.withLock { state in
                if state.status == 200, !bytes.isEmpty { return .some(nil) }
                if state.body.count < 16 * 1024 { state.body.append(contentsOf: bytes.prefix(4096)) }
                return nil
            }
        case .closed(_, let end):
            return .some(self.state.withLock { self.stage.failure(status: $0.status, body: $0.body, end: end) })
        default: return nil
        }
    }
}
