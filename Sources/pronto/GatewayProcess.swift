import AdminAPI
import Assistants
import Configuration
import Conversation
import EventSocket
import Foundation
import MediaDialects
import Networking
import Observability
import PhoneServer
import Records
import SharedState
import SpeechEngines
import Stores
import Synchronization
import Telephony

/// A whole gateway in this process: what `pronto serve` and `pronto demo` run.
final class GatewayProcess: Sendable {
    let settings: Settings
    let logger: Logger
    let store: SQLStore
    let directory: AssistantDirectory
    let gateway: Gateway
    let metrics: GatewayMetrics
    let group: EventLoopGroup
    private let loader: ConfigurationLoader
    private let calls: DurableCalls
    private let links: ControlLinks
    private let media: HTTPServer
    private let proxy: HTTPServer?
    private let admin: HTTPServer
    /// The same over TLS; nil: PRONTO_ADMIN_TLS_PORT is unset.
    private let secureAdmin: HTTPServer?
    private let switches: TCPServer?
    private let sip: SIPListening.Running?
    private let parked: ParkedCalls
    private let tls: TLSContext?
    private let records: RecordsQueue
    private let access: APIAccess
    private let spending: TenantSpending
    private let keeper: RecordKeeper
    private let routing: RoutingProcess
    /// The other nodes; nil: REDIS_HOST is unset.
    let nodes: RedisNodes?
    private let background = Mutex<[Task<Void, Never>]>([])

    var mediaAddress: SocketAddress { self.media.address }
    var sipAddress: SocketAddress? { self.sip?.address }
    var switchAddress: SocketAddress? { self.switches?.address }
    var adminAddress: SocketAddress { self.admin.address }
    var secureAdminAddress: SocketAddress? { self.secureAdmin?.address }

    /// Builds everything and binds the ports. Whatever cannot be is an error here, with the name of its setting.
    init(settings: Settings, logger: Logger, observer: (any CallObserver)? = nil) async throws {
        self.settings = settings
        self.logger = logger
        for warning in settings.warnings { Pronto.complain("warning: \(warning)") }
        // First all that is only read: a wrong setting is told before anything runs.
        var planned = try Self.gatewayConfiguration(settings)
        self.tls = try Self.makeTLS(settings)
        let trust = try Self.makeTrust(settings)
        let prices = try Self.prices(settings)
        let speech = try LocalSpeechServices(settings: settings, logger: logger)
        let (turns, faults) = (Turns(), FaultTelling(logger))
        let access = try APIAccess(settings, turns: turns, faults: faults, logger: logger)
        self.access = access
        planned.callLimit = { access.policies.limits(of: $0).calls }
        planned.audio = { access.policies.audio(of: $0) }
        let spending = TenantSpending(logger: logger)
        self.spending = spending
        planned.hasSpentItsLimit = { spending.isOver($0) }
        let configuration = planned
        let copy = StoreOpening.copy(settings)
        self.store = try await StoreOpening.open(settings, mayBeAway: copy?.exists ?? false)
        self.directory = AssistantDirectory(limit: settings.configurationAge > .zero ? settings.configurationAge : nil)
        self.metrics = GatewayMetrics()
        self.loader = ConfigurationLoader(
            store: self.store, directory: self.directory, copy: copy,
            secretKeys: try StoreCommands.secretKeys(settings),
            turns: turns, faults: faults, logger: logger, registry: self.metrics.registry)
        self.routing = try RoutingProcess(settings, self.store, self.directory, self.metrics.registry, logger)
        do {
            try await self.loader.begin()
            try await access.begin(self.store, copy)
            try await self.routing.begin(copy)
        } catch let error as StoreError {
            throw StoreOpening.startError(settings, error)
        }
        let spool = try CallSpool(path: settings.database + ".spool")
        self.calls = DurableCalls(store: self.store, spool: spool)
        let loops = settings.loops > 0 ? settings.loops : max(1, ProcessInfo.processInfo.activeProcessorCount)
        self.group = EventLoopGroup(count: loops)
        for loop in self.group.loops {
            let lag = self.metrics.loopLag
            loop.execute { loop.observeLag { lag.observe($0) } }
        }
        let defaults = Self.defaults(settings)
        self.links = Self.makeLinks(settings, self.group, logger, self.metrics)
        self.links.replace(with: self.directory.switches)
        self.loader.alsoReads { [links, directory, routing, store] tenants throws(StoreError) in
            let keysAndPolicies = try await store.access(of: tenants)
            let rows = try await routing.rows(of: tenants)
            return {
                access.take(keysAndPolicies)
                routing.take(rows)
                links.replace(with: directory.switches)
            }
        }
        let records = RecordsQueue(calls: self.calls, metrics: self.metrics, logger: logger)
        self.records = records
        let node = NodesOpening.name(settings)
        let http = ProviderHTTP(authorities: settings.caFile, reach: Self.reach(settings))
        var services = try PipelineSettings.services(settings)
        services.localVoices = speech.listedVoices
        self.nodes = try NodesOpening.nodes(settings, logger, self.metrics.registry, trust)
        self.keeper = RecordKeeper(
            store: self.store, spool: spool, recordings: RecordingFolder(settings.recordings),
            activities: self.store, node: node,
            elsewhere: self.nodes.map { nodes -> @Sendable ([CallID], TenantID) async -> Int? in
                { calls, tenant in await nodes.forget(calls, of: tenant) }
            })
        let makers = StandardAssistants(
            directory: self.directory, defaults: defaults, openAI: Self.openAI(settings),
            elevenLabs: Self.elevenLabs(settings), gemini: Self.gemini(settings), pipeline: services,
            local: LocalAssistants.make)
        self.gateway = Gateway(
            configuration: configuration, directory: self.directory, logger: logger,
            metrics: self.metrics, speech: speech, assistants: makers, plans: StandardPlans(defaults: defaults),
            control: { [links] in links.control(for: $0) }, observer: observer, others: self.nodes,
            clientTLS: trust, http: http, prices: prices,
            sentences: { HouseVoice.text(of: $0, language: $1) },
            finished: { finished in
                // Whose disk has its recording, and its line if the database is away.
                var finished = finished
                finished.call.node = node
                records.add(finished)
            })
        do {
            self.media = try Self.listen(
                settings.mediaHost, settings.mediaPort, "REALTIME_PORT", self.gateway, self.group, self.tls,
                proxy: false)
            self.proxy = try settings.proxyPort.map { [gateway, group, tls] port in
                try Self.listen(settings.proxyHost, port, "PRONTO_PROXY_PORT", gateway, group, tls, proxy: true)
            }
            self.sip = try SIPListening.start(settings, self.gateway, self.group)
            let unicast = try SwitchListening.unicastPorts(settings, logger)
            self.switches = try SwitchListening.listen(
                settings, self.gateway, self.group, media: self.media.address, sip: self.sip?.address, unicast: unicast)
            self.parked = ParkedCalls(
                gateway: self.gateway, group: self.group, ports: unicast.ours, switchPorts: unicast.switches)
            let limiter: any RateLimiter = self.nodes.map { SharedRateLimiter(nodes: $0) } ?? LocalRateLimiter()
            let gate = access.gate(self.store, self.directory, limiter: limiter)
            let api = APIOpening.server(
                settings, gate, store: self.store, gateway: self.gateway, directory: self.directory, access: access,
                keeper: self.keeper, registry: self.metrics.registry, logger: logger,
                // All of it is followed by the loader, within a second; who changes policies and keys sees it at once.
                changed: { [store] in await access.follow(store) })
            let routing = try self.routing.desk(self.gateway, gate, media: self.media.address)
            let interface = PipelineSettings.interface(
                settings, services, configuration, gate, directory: self.directory, http: http, speech: speech,
                logger: logger)
            let registry = self.metrics.registry
            let administer = { [gateway, links, group] (secure: Int?, tls: TLSContext?) throws -> HTTPServer in
                try Self.administer(
                    settings, secure, tls, api, gateway, links, group.loops[0], registry, routing, interface)
            }
            self.admin = try administer(nil, nil)
            self.secureAdmin = try settings.adminTLSPort.map { [tls] port in try administer(port, tls) }
        } catch {
            // Ends the listeners that there are, and with them their ports: whoever started us may try again.
            self.group.stop()
            await self.records.finish()
            await self.store.close()
            throw error
        }
    }

    /// Starts what runs beside the calls: the Event Socket, the spool, and the look for changed configuration.
    func start() {
        for (setting, model) in Self.namedModels(self.settings) {
            guard let model, let date = ModelRetirements.announcedShutdown(of: model) else { continue }
            self.logger.warning(
                "A setting names a model whose end is announced",
                ["setting": .string(setting), "model.shutdown": .string(date)])
        }
        if self.settings.audioMode == .websocket, self.settings.dialect == .modAudioStream {
            self.logger.info(
                """
                The community mod_audio_stream plays by files, with silence between them: AUDIO_MODE=esl or rtp \
                sounds better and needs no module (docs/freeswitch.md)
                """)
        }
        if self.settings.isDevelopment {
            self.logger.warning("PRONTO_DEVELOPMENT is on: anybody who reaches the media port is answered")
        }
        self.store.unreadable.observe { [logger] finding in
            logger.warning(
                "A row is left out: it cannot be read",
                ["table": .string(finding.table), "problem": .string(finding.message)])
        }
        self.links.observe { [parked] in parked.serve($0) }
        self.links.start()
        let (calls, logger, loader) = (self.calls, self.logger, self.loader)
        let (access, keeper, store) = (self.access, self.keeper, self.store)
        let retention = APIAccess.retention(self.settings)
        self.routing.start()
        let replayed: @Sendable (Result<CallSpool.Outcome, StoreError>) -> Void = { outcome in
            switch outcome {
            case .success(let outcome):
                logger.info(
                    "Spooled calls replayed",
                    [
                        "records.written": .integer(outcome.written), "records.waiting": .integer(outcome.kept),
                        "records.damaged": .integer(outcome.damaged),
                    ])
            case .failure(let error):
                logger.warning(
                    "Spooled calls wait: the database does not take them",
                    ["store.error": .string("\(error.code)")])
            }
        }
        self.background.withLock { tasks in
            tasks.append(Task { await calls.run(report: replayed) })
            tasks.append(
                Task {
                    // What waited for the database waits no longer.
                    await loader.run(returned: { await calls.replayOnce(report: replayed) })
                })
            tasks.append(
                Task {
                    while !Task.isCancelled {
                        // Ends early only by cancellation, which the loop's condition sees.
                        try? await Task.sleep(for: .seconds(1))
                        access.followFile()
                    }
                })
            tasks.append(Task { await APIOpening.sweep(keeper, retention, logger) })
            tasks.append(Task { [spending = self.spending] in await spending.follow(access.policies, store) })
        }
        self.joinNodes()
        self.logger.info(
            "Pronto answers",
            [
                "media.address": .string(self.mediaAddress.description),
                "admin.address": .string(self.adminAddress.description), "loops": .integer(self.group.loops.count),
            ])
    }

    /// Reads the certificate, the keys of signed tokens and the configuration anew (SIGHUP).
    func reload() async {
        do {
            try self.tls?.reload()
            self.access.rereadFile()
            try await self.loader.reload()
            self.logger.info("Reloaded")
        } catch {
            self.logger.error("Not reloaded: what was before stands", ["error": .string("\(error)")])
        }
    }

    /// Connects to the other nodes: what they learn about back ends counts here, and what they change is read anew.
    private func joinNodes() {
        guard let nodes = self.nodes else { return }
        // However many changes come while one is read, one more reading sees them all.
        let (changes, changed) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (loader, logger) = (self.loader, self.logger)
        self.background.withLock { tasks in
            tasks.append(
                Task {
                    for await _ in changes {
                        do throws(StoreError) {
                            try await loader.reload()
                            logger.info("Configuration read anew: another node changed it")
                        } catch {
                            logger.warning(
                                "Configuration not reloaded: the last one stands",
                                ["store.error": .string("\(error.code)")])
                        }
                    }
                })
        }
        nodes.start(address: self.mediaAddress.description) { [gateway] news in
            switch news {
            case .circuit(let change): gateway.learned(change)
            case .configurationChanged: changed.yield()
            }
        }
    }

    /// Leaves in phases, after a notice to the balancer: no new calls; those that live end by themselves; the rest go to
    /// their fallback; and what still lives then ends at once, so that every call has its record.
    ///
    /// - Parameter farewell: the last words have 20 s at most, and a hand-over to the fallback does not ring: as long again
    ///   for the switch to do it.
    func stop(patience: Duration, farewell: Duration = .seconds(40)) async {
        await self.giveNotice()
        // Those that live may still come back: by `socket`, by SIP, by a park.
        self.gateway.drain()
        self.sip?.server.isDraining = true
        self.logger.info("Draining", ["calls": .integer(self.gateway.liveCalls)])
        await self.waitForCalls(patience)
        if self.gateway.liveCalls > 0 {
            self.gateway.handOverRemaining()
            await self.waitForCalls(farewell)
        }
        await self.endRemainingCalls()
        self.parked.stop()
        self.media.close()
        self.proxy?.close()
        self.switches?.close()
        if let sip = self.sip?.server {
            // Waits for the BYEs of the calls that are left.
            await Task.detached { _ = sip.stop() }.value
            // Invitations that were never confirmed end only now.
            await self.waitForCalls(.seconds(1))
        }
        self.admin.close()
        self.secureAdmin?.close()
        self.links.stop()
        for task in self.background.withLock({ $0 }) { task.cancel() }
        await self.records.finish()
        await self.routing.finish()
        RecordingFile.settle()
        await self.store.close()
        await self.nodes?.stop()
        self.group.stop()
        // What a loop has told since: without loops there comes no more.
        await self.records.finish()
    }

    /// Ends what nothing else has ended, while there is still somebody to write it down.
    private func endRemainingCalls() async {
        let left = self.gateway.liveCalls
        guard left > 0 else { return }
        self.logger.warning("Calls are left at the end of the drain: they end now", ["calls": .integer(left)])
        self.gateway.endRemaining()
        await self.waitForCalls(.seconds(2))
        let late = self.gateway.liveCalls
        guard late > 0 else { return }
        // A loop that does not come to it, or a place whose media never came.
        self.logger.error("Calls have not ended", ["calls": .integer(late)])
    }

    /// Says that no new calls should come, while those that do are still taken (PRONTO_DRAIN_NOTICE_SECONDS).
    private func giveNotice() async {
        self.gateway.announceLeaving()
        self.nodes?.drain()
        guard self.settings.drainNotice > .zero else { return }
        self.logger.info("Leaving: new calls should go elsewhere", ["calls": .integer(self.gateway.liveCalls)])
        // Not cancelled by anybody: a cancelled sleep would only end the notice sooner.
        try? await Task.sleep(for: self.settings.drainNotice)
    }

    private func waitForCalls(_ patience: Duration) async {
        let clock = ContinuousClock()
        let end = clock.now + patience
        while self.gateway.liveCalls > 0, clock.now < end {
            // Not cancelled by anybody: a cancelled sleep would only end the wait sooner.
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: From settings

    /// The models that the settings name, by the setting.
    static func namedModels(_ settings: Settings) -> [(setting: String, model: String?)] {
        [
            ("OPENAI_REALTIME_MODEL", settings.openAIModel), ("GEMINI_MODEL", settings.geminiModel),
            ("PRONTO_PIPELINE_STT_MODEL", settings.pipelineRecogniserModel),
            ("PRONTO_PIPELINE_LLM_MODEL", settings.pipelineWriterModel),
            ("PRONTO_PIPELINE_TTS_MODEL", settings.pipelineSpeakerModel),
        ]
    }

    private static func defaults(_ settings: Settings) -> AssistantDefaults {
        var defaults = AssistantDefaults()
        // The first that could answer without anything in the store.
        var own: [String] = []
        if settings.openAIKey != nil {
            own = ["openai"]
        } else if settings.googleKey != nil {
            own = ["gemini"]
        } else if settings.elevenLabsAgent != nil {
            own = ["elevenlabs"]
        }
        defaults.providers = own + settings.fallbackProviders.filter { !own.contains($0) }
        defaults.endsWithLocal = settings.fallbackProviders.contains("local")
        defaults.bargeIn = settings.bargeIn
        defaults.resumeWindow = settings.bargeInConfirmation
        defaults.idleTimeout = settings.idleTimeout
        defaults.vadThreshold = settings.vadThreshold
        defaults.silence = settings.silence
        defaults.prefixPadding = settings.prefixPadding
        defaults.deadlines.firstAudio = settings.firstAudioDeadline
        defaults.maximumDuration = settings.maximumDuration
        // Beyond the ringing and the way back, which have deadlines of their own.
        defaults.deadlines.transfer = max(defaults.deadlines.transfer, settings.ringTime + .seconds(15))
        return defaults
    }

    static func openAI(_ settings: Settings) -> OpenAIRealtimeConfiguration {
        let service: OpenAIRealtimeConfiguration.Service =
            switch settings.openAIService {
            case .openai: .openAI
            case .azure: .azure
            case .azureLegacy: .azureLegacy(apiVersion: settings.azureVersion)
            }
        var credential = OpenAIRealtimeConfiguration.Credential.none
        if let key = settings.openAIKey {
            credential = settings.openAIService == .openai ? .bearer(Redacted(key)) : .apiKey(Redacted(key))
        }
        var configuration = OpenAIRealtimeConfiguration(
            baseURL: settings.openAIBaseURL, service: service,
            dialect: settings.openAIShape.map { $0 == .beta ? .beta : .ga },
            credential: credential, model: settings.openAIModel, voice: settings.openAIVoice)
        configuration.maximumOutputTokens = settings.maximumOutputTokens
        // OpenAI always echoes the session; servers that imitate it may not.
        configuration.requiresFormatEcho = settings.openAIBaseURL.contains("api.openai.com")
        return configuration
    }

    static func elevenLabs(_ settings: Settings) -> ElevenLabsAgentsConfiguration {
        ElevenLabsAgentsConfiguration(
            baseURL: settings.elevenLabsBaseURL, agent: settings.elevenLabsAgent ?? "",
            key: settings.elevenLabsKey.map { Redacted($0) },
            overrides: Set(
                settings.elevenLabsOverrides.compactMap {
                    ElevenLabsAgentsConfiguration.Override(rawValue: $0.rawValue)
                }),
            voice: settings.elevenLabsVoice)
    }

    static func gemini(_ settings: Settings) -> GeminiLiveConfiguration {
        var configuration = GeminiLiveConfiguration(
            baseURL: settings.geminiBaseURL, service: .developer(version: settings.geminiVersion),
            credential: settings.googleKey.map { .apiKey(Redacted($0)) } ?? .none, model: settings.geminiModel,
            voice: settings.geminiVoice)
        configuration.maximumOutputTokens = settings.maximumOutputTokens
        return configuration
    }

    private static func gatewayConfiguration(_ settings: Settings) throws -> GatewayConfiguration {
        var configuration = GatewayConfiguration()
        configuration.breaker = ProviderBreaker.Configuration(
            failures: settings.breakerFailures, pause: settings.breakerPause)
        let encoding = AudioEncoding(rawValue: settings.phoneEncoding.rawValue) ?? .l16
        let rate = encoding == .l16 ? SampleRate(hertz: settings.phoneRate) : .narrowband
        var defaults = DialectSelection.Defaults(
            dialect: DialectName(rawValue: settings.dialect.rawValue), format: AudioFormat(encoding, rate))
        defaults.warmUp = settings.phoneWarmUp
        defaults.binaryStyle = settings.phoneDownlink == .binary ? .binary : .streamAudio
        defaults.flushText = settings.phoneFlush
        configuration.dialects = DialectSelection(defaults: defaults)
        let peers = settings.allowedPeers
        configuration.isTrustedPeer = { peer in peers.contains { $0.contains(peer.host) } }
        configuration.acceptsAnybody = settings.isDevelopment
        configuration.maximumCallsPerTenant = settings.sessionsPerTenant
        configuration.recordings = settings.recordings
        configuration.recordsByDefault = settings.recording
        configuration.ringTime = settings.ringTime
        configuration.fuseSeconds = settings.deadMansSwitch
        configuration.needsControl = settings.needsSwitch
        if let text = settings.tokenKeys {
            let keys: TokenKeys
            do throws(KeyListError) { keys = try TokenKeys(text) } catch {
                throw StartError("PRONTO_TOKEN_KEYS: \(error); `pronto token new-key` makes one")
            }
            configuration.verifyToken = { text, tenant, call in
                do throws(StreamTokenError) {
                    let token = try StreamToken.verified(text, keys: keys, tenant: tenant, call: call, at: Date())
                    return .success(
                        VerifiedToken(
                            tenant: token.tenant, call: token.call, assistant: token.assistant, route: token.route))
                } catch {
                    return .failure(TokenRefusal(slug: error.rawValue))
                }
            }
        }
        return configuration
    }

    /// Without ESL_PASSWORD only tenants that have an Event Socket of their own have one.
    private static func makeLinks(
        _ settings: Settings, _ group: EventLoopGroup, _ logger: Logger, _ metrics: GatewayMetrics
    ) -> ControlLinks {
        ControlLinks(
            configuration: InboundClient.Configuration(
                password: settings.switchPassword ?? "", connectTimeout: settings.switchConnectTimeout,
                readTimeout: settings.switchReadTimeout, replyTimeout: settings.switchReplyTimeout,
                reconnectDelay: settings.switchReconnectDelay, maximumAttempts: settings.switchAttempts),
            home: settings.switchPassword.map { _ in (settings.switchHost, UInt16(settings.switchPort)) },
            group: group, logger: logger, metrics: ControlMetrics(registry: metrics.registry),
            seed: UInt64.random(in: 0...UInt64.max), jobPrefix: UUID().uuidString.lowercased())
    }

    /// The price table of this version, or the file of the settings.
    private static func prices(_ settings: Settings) throws -> PriceTable {
        guard let file = settings.pricesFile else { return .builtIn }
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
            throw StartError("PRONTO_PRICES_FILE: the file cannot be read; name a JSON file that this user may read")
        }
        do throws(PriceTableError) { return try PriceTable(json: text) } catch {
            throw StartError("PRONTO_PRICES_FILE: \(error); database/prices.json of the source is an example")
        }
    }

    /// Tenants' accounts name hosts too; what they name must not lead into this installation's own network.
    static func reach(_ settings: Settings) -> ProviderReach {
        guard !settings.tenantPrivateHosts else { return .everywhere }
        return .internet(
            and: [
                settings.openAIBaseURL, settings.elevenLabsBaseURL, settings.geminiBaseURL, settings.deepgramBaseURL,
                settings.groqBaseURL, settings.anthropicBaseURL, settings.pipelineWriterURL,
            ].compactMap { $0 })
    }

    private static func makeTLS(_ settings: Settings) throws -> TLSContext? {
        if settings.adminTLSPort != nil, settings.certificate == nil {
            throw StartError(
                "PRONTO_ADMIN_TLS_PORT: there is no certificate; set PRONTO_TLS_CERTIFICATE and PRONTO_TLS_KEY")
        }
        switch (settings.certificate, settings.privateKey) {
        case (nil, nil): return nil
        case (let certificate?, let key?):
            do throws(TLSConfigurationError) {
                return try TLSContext.server(certificate: certificate, key: key)
            } catch {
                switch error {
                case .privateKey, .keyDoesNotMatchCertificate:
                    throw StartError("PRONTO_TLS_KEY: \(error); name the certificate's key, readable by this user")
                default:
                    throw StartError("PRONTO_TLS_CERTIFICATE: \(error); name a PEM file that this user may read")
                }
            }
        default: throw StartError("PRONTO_TLS_CERTIFICATE and PRONTO_TLS_KEY go together: set both, or neither")
        }
    }

    static func makeTrust(_ settings: Settings) throws -> TLSContext? {
        guard let file = settings.caFile else { return nil }
        do throws(TLSConfigurationError) {
            return try TLSContext.client(authorities: file, besidesSystem: true)
        } catch {
            throw StartError("PRONTO_CA_FILE: \(error); name a PEM file that this user may read, or unset it")
        }
    }

    /// - Parameter secure: the port of the listener with TLS; nil: the plain one.
    private static func administer(
        _ settings: Settings, _ secure: Int?, _ tls: TLSContext?, _ api: APIServer, _ gateway: Gateway,
        _ links: ControlLinks, _ loop: EventLoop, _ registry: MetricsRegistry, _ routing: RoutingDesk?,
        _ speech: SpeechInterface
    ) throws -> HTTPServer {
        let peers = settings.metricsPeers
        do {
            return try AdminServer.start(
                host: secure == nil ? settings.adminHost : settings.adminTLSHost, port: secure ?? settings.adminPort,
                loops: [loop],
                // The phones' own context: one SIGHUP reads the certificate anew for both.
                tls: tls,
                health: {
                    AdminServer.Health(
                        isDraining: gateway.isLeaving, activeCalls: gateway.liveCalls,
                        eventSockets: links.summaries.map {
                            .init(address: $0.address, status: $0.status, reason: $0.reason)
                        })
                }, registry: registry, routing: routing, speech: speech.handle, api: api,
                seesMetrics: { peer in peers.contains { $0.contains(peer.host) } })
        } catch let error as ListenError {
            throw secure == nil
                ? Self.startError(error, "PRONTO_ADMIN_HOST", "HEALTH_PORT")
                : Self.startError(error, "PRONTO_ADMIN_TLS_HOST", "PRONTO_ADMIN_TLS_PORT")
        } catch is AdminAddressError where secure != nil {
            throw StartError("PRONTO_ADMIN_TLS_HOST: a listener needs an IP address, such as 127.0.0.1 or 0.0.0.0")
        }
    }

    /// A listener's error by the setting that would repair it.
    static func startError(_ error: ListenError, _ host: String, _ port: String) -> StartError {
        switch error {
        case .addressInUse: StartError("\(port): \(error); stop that program, or set another port")
        case .notPermitted: StartError("\(port): \(error); ports below 1024 need a privilege: set another port")
        case .addressNotAvailable: StartError("\(host): \(error); set an address of this machine, or 0.0.0.0")
        case .failed: StartError("\(port): \(error)")
        }
    }

    private static func listen(
        _ host: String, _ port: Int, _ setting: String, _ gateway: Gateway, _ group: EventLoopGroup, _ tls: TLSContext?,
        proxy: Bool
    ) throws -> HTTPServer {
        let hostSetting = proxy ? "PRONTO_PROXY_HOST" : "REALTIME_HOST"
        guard let address = SocketAddress(host, port: port) else {
            throw StartError("\(hostSetting): a listener needs an IP address, such as 127.0.0.1 or 0.0.0.0")
        }
        do throws(ListenError) {
            return try HTTPServer(on: group.loops, address: address, tls: tls) { loop in
                let listener = PhoneListener(gateway: gateway, loop: loop, isBehindProxy: proxy)
                return { listener.handle($0, $1) }
            }
        } catch {
            throw Self.startError(error, hostSetting, setting)
        }
    }
}

/// Why the gateway does not start: names the setting and what would be right.
struct StartError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
