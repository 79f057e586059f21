import Assistants
import Conversation
import Networking
import Observability
import Telephony

/// A socket, request or engine job that the assistant's machine asked for.
final class AssistantChannel {
    enum Kind {
        case connecting(WebSocketClient)
        case socket(WebSocket)
        case engine(any SpeechJob)
        case request(HTTPTransfer)
    }
    let id: ChannelID
    var kind: Kind? {
        didSet { if case .socket(let socket)? = self.kind { self.socket = socket } else { self.socket = nil } }
    }
    /// The socket of `kind`, where it is one: asked for each frame, and to look into `kind` copies its existentials.
    private(set) var socket: WebSocket?
    init(id: ChannelID) { self.id = id }
}

/// The assistant's side of a call's shell: performs what its machine asks, and brings back what comes of it.
extension CallShell {
    func openAssistant(_ index: Int, history: [ConversationEntry]) {
        self.closeAssistant()
        let provider = self.report.plan.assistants[index]
        // The embedded assistant fails only with this process: there is nothing to pass over to.
        guard provider != "local" else { return self.makeAssistant(provider, history: history) }
        let opening = self.openings
        let slot = self.slot
        self.gateway.breakerPermits(provider, self.identity.tenant, on: self.loop) { may in
            // The other nodes may have been asked: meanwhile the call may have gone on to the next, or have ended.
            guard let call = slot.value.call, call.openings == opening else { return }
            if may { call.makeAssistant(provider, history: history) } else { call.passOver(provider) }
            call.settle()
        }
    }

    private func passOver(_ provider: String) {
        self.gateway.metrics.passedOver(provider)
        self.session.assistantUnavailable(
            AssistantFailure(Self.passedOver, .failOver), at: self.loop.now, &self.output)
    }

    private func makeAssistant(_ provider: String, history: [ConversationEntry]) {
        self.machineSpoke = false
        self.machineProvider = provider
        do {
            var machine = try self.gateway.assistants.make(
                provider: provider, identity: self.identity, legFormat: self.session.uplinkFormat, history: history)
            self.report.providerOpened(provider)
            self.session.assistantOpened(machine.capabilities, at: self.loop.now, &self.output)
            machine.start(at: self.loop.now, &self.machineOutput)
            self.machine = machine
            self.hasMachine = true
        } catch {
            let failure = error as? AssistantFailure ?? AssistantFailure("not-made", .failOver)
            self.session.assistantUnavailable(failure, at: self.loop.now, &self.output)
        }
    }

    /// The slug of a failure that is none of the call's own.
    static let passedOver = "circuit-open"

    func closeAssistant() {
        self.openings += 1
        guard self.hasMachine else { return }
        for usage in self.machine?.unreportedUsage(at: self.loop.now) ?? [] { self.used(usage) }
        self.machineGeneration += 1
        self.dropMachineEffects()
        self.machine = nil
        self.hasMachine = false
        self.machineWake = nil
        if let main = self.mainChannel { self.close(main, code: 1000) }
        for channel in self.channels.values { self.close(channel, code: 1000) }
        self.mainChannel = nil
        self.mainSocket = nil
        self.channels.removeAll()
        self.closeEars()
    }

    func perform(_ effect: AssistantEffect) {
        switch effect {
        case .sendText(let id, let range): self.send(range, on: id, isText: true)
        case .sendBinary(let id, let range): self.send(range, on: id, isText: false)
        case .audio(let item, let range):
            if !self.machineSpoke {
                self.machineSpoke = true
                self.logger.info("Assistant speaks", ["assistant.provider": .string(self.currentProvider)])
                self.gateway.breakerSucceeded(self.currentProvider, self.identity.tenant)
            }
            self.machineOutput.bytes.withUnsafeBytes { bytes in
                self.session.agentAudio(
                    UnsafeRawBufferPointer(rebasing: bytes[range]), of: item, at: self.loop.now, &self.output)
            }
        case .event(let event): self.session.assistant(event, at: self.loop.now, &self.output)
        case .wake(let time): self.machineWake = time
        case .connect(let id, let target): self.connect(id, target)
        case .request(let id, let target): self.request(id, target)
        case .close(let id, let code):
            if let channel = self.channel(id) {
                self.forget(id)
                self.close(channel, code: code)
            }
        case .synthesise(let id, let request):
            self.add(id).kind = .engine(self.gateway.speech.synthesise(request, report: self.reporter(id)))
        case .transcribe(let id, let request): self.transcribe(id, request)
        case .recognise(let id, let request):
            _ = self.add(id)
            self.recognition = id
            let format = DetectionRequest(format: request.format)
            if self.openEars(format, for: id) { self.ears?.recognise(request) }
        case .detect(let id, let request):
            _ = self.add(id)
            self.detection = id
            if self.openEars(request, for: id) { self.deliver(.opened(id)) }
        }
    }

    private func send(_ range: Range<Int>, on id: ChannelID, isText: Bool) {
        guard let socket = id == .main ? self.mainSocket : self.channels[id]?.socket else { return }
        self.machineOutput.bytes.withUnsafeBytes { bytes in
            let message = UnsafeRawBufferPointer(rebasing: bytes[range])
            _ = isText ? socket.send(text: message) : socket.send(binary: message)
        }
    }

    // MARK: Ears

    /// One pair of ears serves detector and recogniser. False: there are none, and the machine has been told.
    private func openEars(_ request: DetectionRequest, for id: ChannelID) -> Bool {
        if self.ears != nil { return true }
        let loop = self.loop
        let generation = self.machineGeneration
        let slot = self.slot
        do {
            self.ears = try self.gateway.speech.listen(request) { report in
                loop.execute {
                    guard let call = slot.value.call, call.machineGeneration == generation else { return }
                    call.heard(report)
                }
            }
            return true
        } catch {
            let slug = (error as? AssistantFailure)?.slug ?? "engine"
            self.logger.warning("No ears", ["reason": .string(slug)])
            self.failLater(id, slug: slug)
            return false
        }
    }

    private func closeEars() {
        self.detection = nil
        self.recognition = nil
        self.ears?.close()
        self.ears = nil
    }

    private func heard(_ report: ListeningReport) {
        switch report {
        case .speech(let isSpeaking):
            if let id = self.detection { self.deliver(.speech(id, isSpeaking: isSpeaking)) }
        case .recognitionReady:
            if let id = self.recognition { self.deliver(.opened(id)) }
        case .recognitionFailed(let slug):
            guard let id = self.recognition else { return }
            self.logger.warning("No recognition", ["reason": .string(slug)])
            self.forget(id)
            self.deliver(.closed(id, .failed(slug: slug)))
        case .recognised(let words, let confidence):
            if let id = self.recognition { self.deliver(.recognised(id, words: words, confidence: confidence)) }
        }
    }

    // MARK: Channels

    private func channel(_ id: ChannelID) -> AssistantChannel? {
        id == .main ? self.mainChannel : self.channels[id]
    }

    private func add(_ id: ChannelID) -> AssistantChannel {
        let channel = AssistantChannel(id: id)
        if id == .main { self.mainChannel = channel } else { self.channels[id] = channel }
        return channel
    }

    private func forget(_ id: ChannelID) {
        if id == .main {
            self.mainChannel = nil
            self.mainSocket = nil
        } else {
            self.channels[id] = nil
        }
        if self.recognition == id {
            self.recognition = nil
            self.ears?.stopRecognising()
        }
        if self.detection == id { self.detection = nil }
        if self.recognition == nil, self.detection == nil { self.closeEars() }
    }

    private func close(_ channel: AssistantChannel, code: UInt16) {
        switch channel.kind {
        case .connecting(let attempt): attempt.cancel()
        case .socket(let socket):
            socket.onMessage = nil
            socket.onClose = nil
            socket.close(code: code, reason: "")
        case .engine(let job): job.cancel()
        case .request(let transfer): transfer.cancel()
        case nil: break
        }
        channel.kind = nil
    }

    private func deliver(_ event: ChannelEvent) {
        self.stepMachine { $0.received(event, at: $1, &$2) }
    }

    /// Whether what just came still belongs to the machine and channel that asked for it.
    private func isCurrent(_ channel: AssistantChannel) -> Bool {
        !self.isFinished && self.channel(channel.id) === channel
    }

    private func request(_ id: ChannelID, _ target: HTTPTarget) {
        let channel = self.add(id)
        let slot = self.slot
        let transfer = self.gateway.http.start(target, as: id, on: self.loop) { event in
            guard let self = slot.value.call, self.isCurrent(channel) else { return }
            if case .closed = event { self.forget(id) }
            self.deliver(event)
        }
        channel.kind = .request(transfer)
    }

    /// Tells the machine in a later turn: it is in the middle of asking.
    private func failLater(_ id: ChannelID, slug: String) {
        let loop = self.loop
        let slot = self.slot
        loop.execute { slot.value.call?.engine(id, .ended(.failed(slug: slug))) }
    }

    private func connect(_ id: ChannelID, _ target: WebSocketTarget) {
        let channel = self.add(id)
        var options = WebSocketOptions()
        // A second of answer audio at once is some 64 KB of JSON; providers send far more than that in a burst.
        options.maximumMessageSize = 4 * 1024 * 1024
        // Not weakly: an object with one weak reference pays for it at every later retain (its side table).
        let slot = self.slot
        let attempt = WebSocketClient.connect(
            url: target.url, headers: target.headers, subprotocols: target.subprotocols, tls: self.gateway.clientTLS,
            options: options, timeout: .seconds(8), accepts: self.gateway.http.reach.accepts(target.url),
            on: self.loop
        ) { result in
            guard let self = slot.value.call, self.isCurrent(channel) else {
                if case .success(let socket) = result { socket.close(code: 1000, reason: "") }
                return
            }
            switch result {
            case .success(let socket): self.opened(channel, socket)
            case .failure(let error):
                self.forget(id)
                self.deliver(.closed(id, error.channelEnd))
            }
        }
        if let attempt, channel.kind == nil { channel.kind = .connecting(attempt) }
    }

    private func opened(_ channel: AssistantChannel, _ socket: WebSocket) {
        channel.kind = .socket(socket)
        let id = channel.id
        // Both handlers are taken off before the call lets go of the channel (`close`, `forget` after the end).
        if id == .main {
            self.mainSocket = socket
            // Frames come here: a closure that holds one reference and nothing else needs no box.
            socket.onMessage = { [self] kind, message in
                self.deliver(kind == .text ? .text(.main, message) : .binary(.main, message))
            }
        } else {
            socket.onMessage = { [unowned self, unowned channel] kind, message in
                guard self.isCurrent(channel) else { return }
                self.deliver(kind == .text ? .text(id, message) : .binary(id, message))
            }
        }
        socket.onClose = { [unowned self, unowned channel] end in
            guard self.isCurrent(channel) else { return }
            self.forget(id)
            self.deliver(.closed(id, end.channelEnd))
        }
        self.deliver(.opened(id))
    }

    /// Brings an engine's reports back to this loop, for as long as the channel is wanted.
    private func reporter(_ id: ChannelID) -> @Sendable (SpeechReport) -> Void {
        let loop = self.loop
        let generation = self.machineGeneration
        let slot = self.slot
        return { report in
            loop.execute {
                guard let call = slot.value.call, call.machineGeneration == generation, call.channel(id) != nil else {
                    return
                }
                call.engine(id, report)
            }
        }
    }

    private func transcribe(_ id: ChannelID, _ request: TranscriptionRequest) {
        let loop = self.loop
        let generation = self.machineGeneration
        let slot = self.slot
        let channel = self.add(id)
        let job = self.gateway.speech.transcribe(request) { report in
            loop.execute {
                guard let call = slot.value.call, call.machineGeneration == generation, call.channel(id) != nil else {
                    return
                }
                call.forget(id)
                switch report {
                case .words(let words): call.deliver(.transcribed(id, words))
                case .failed(let slug): call.deliver(.closed(id, .failed(slug: slug)))
                }
            }
        }
        channel.kind = .engine(job)
    }

    private func engine(_ id: ChannelID, _ report: SpeechReport) {
        switch report {
        case .started: self.deliver(.opened(id))
        case .audio(let bytes): bytes.withUnsafeBytes { self.deliver(.bytes(id, $0)) }
        case .ended(let end):
            self.forget(id)
            self.deliver(.closed(id, end))
        }
    }
}
