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
    }
    let id: ChannelID
    var kind: Kind?
    init(id: ChannelID) { self.id = id }
}

/// The assistant's side of a call's shell: performs what its machine asks, and brings back what comes of it.
extension CallShell {
    func openAssistant(_ index: Int, history: [ConversationEntry]) {
        self.closeAssistant()
        let provider = self.report.plan.assistants[index]
        do {
            var machine = try self.gateway.assistants.make(
                provider: provider, identity: self.identity, legFormat: self.session.uplinkFormat, history: history)
            self.report.providerOpened(provider)
            self.session.assistantOpened(machine.capabilities, at: self.loop.now, &self.output)
            machine.start(at: self.loop.now, &self.machineOutput)
            self.machine = machine
        } catch {
            let failure = error as? AssistantFailure ?? AssistantFailure("not-made", .failOver)
            self.session.assistantUnavailable(failure, at: self.loop.now, &self.output)
        }
    }

    func closeAssistant() {
        guard self.machine != nil else { return }
        self.machineGeneration += 1
        self.dropMachineEffects()
        self.machine = nil
        self.machineWake = nil
        if let main = self.mainChannel { self.close(main, code: 1000) }
        for channel in self.channels.values { self.close(channel, code: 1000) }
        self.mainChannel = nil
        self.channels.removeAll()
        self.listening.removeAll()
    }

    func perform(_ effect: AssistantEffect) {
        switch effect {
        case .sendText(let id, let range): self.send(range, on: id, isText: true)
        case .sendBinary(let id, let range): self.send(range, on: id, isText: false)
        case .audio(let item, let range):
            self.machineOutput.bytes.withUnsafeBytes { bytes in
                self.session.agentAudio(
                    UnsafeRawBufferPointer(rebasing: bytes[range]), of: item, at: self.loop.now, &self.output)
            }
        case .event(let event): self.session.assistant(event, at: self.loop.now, &self.output)
        case .wake(let time): self.machineWake = time
        case .connect(let id, let target): self.connect(id, target)
        case .request(let id, _): self.refuse(id)
        case .close(let id, let code):
            if let channel = self.channel(id) {
                self.forget(id)
                self.close(channel, code: code)
            }
        case .synthesise(let id, let request):
            self.add(id).kind = .engine(self.gateway.speech.synthesise(request, report: self.reporter(id)))
        case .recognise(let id, let request):
            let job = self.gateway.speech.recognise(request, report: self.reporter(id))
            self.add(id).kind = .engine(job)
            self.listening[id] = job
        case .detect(let id, let request):
            let job = self.gateway.speech.detect(request, report: self.reporter(id))
            self.add(id).kind = .engine(job)
            self.listening[id] = job
        }
    }

    private func send(_ range: Range<Int>, on id: ChannelID, isText: Bool) {
        guard let channel = self.channel(id), case .socket(let socket)? = channel.kind else { return }
        self.machineOutput.bytes.withUnsafeBytes { bytes in
            let message = UnsafeRawBufferPointer(rebasing: bytes[range])
            _ = isText ? socket.send(text: message) : socket.send(binary: message)
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
        if id == .main { self.mainChannel = nil } else { self.channels[id] = nil }
        self.listening[id] = nil
    }

    private func close(_ channel: AssistantChannel, code: UInt16) {
        switch channel.kind {
        case .connecting(let attempt): attempt.cancel()
        case .socket(let socket):
            socket.onMessage = nil
            socket.onClose = nil
            socket.close(code: code, reason: "")
        case .engine(let job): job.cancel()
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

    /// No back end of this version asks for HTTP; one that does is told, and fails over.
    private func refuse(_ id: ChannelID) {
        let loop = self.loop
        let slot = self.slot
        _ = self.add(id)
        loop.execute { slot.value.call?.engine(id, .ended(.failed(slug: "unsupported"))) }
    }

    private func connect(_ id: ChannelID, _ target: WebSocketTarget) {
        let channel = self.add(id)
        var options = WebSocketOptions()
        // A second of answer audio at once is some 64 KB of JSON; providers send far more than that in a burst.
        options.maximumMessageSize = 4 * 1024 * 1024
        let attempt = WebSocketClient.connect(
            url: target.url, headers: target.headers, subprotocols: target.subprotocols, tls: self.gateway.clientTLS,
            options: options, timeout: .seconds(8), on: self.loop
        ) { [weak self] result in
            guard let self, self.isCurrent(channel) else {
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
        socket.onMessage = { [weak self, unowned channel] kind, message in
            guard let self, self.isCurrent(channel) else { return }
            self.deliver(kind == .text ? .text(id, message) : .binary(id, message))
        }
        socket.onClose = { [weak self, unowned channel] end in
            guard let self, self.isCurrent(channel) else { return }
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

    private func engine(_ id: ChannelID, _ report: SpeechReport) {
        switch report {
        case .ready: self.deliver(.opened(id))
        case .audio(let bytes): bytes.withUnsafeBytes { self.deliver(.bytes(id, $0)) }
        case .recognised(let words, let confidence):
            self.deliver(.recognised(id, words: words, confidence: confidence))
        case .speech(let isSpeaking): self.deliver(.speech(id, isSpeaking: isSpeaking))
        case .ended(let end):
            self.forget(id)
            self.deliver(.closed(id, end))
        }
    }
}
