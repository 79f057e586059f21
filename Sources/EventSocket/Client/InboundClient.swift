import Telephony

/// Our connection to a FreeSWITCH's Event Socket (port 8021): password, subscription, commands with their answers,
/// events, and coming back after a loss for ever.
///
/// A value: call the method named for what happened, perform the effects in order. The owner has one socket and one
/// timer. After `.close` it must report nothing more of that socket.
package struct InboundClient: Sendable {
    /// What to do.
    package enum Effect: Sendable {
        /// Connect to the switch; answer with `connected` or `connectionLost`.
        case connect
        case send([UInt8])
        /// Close the socket, or give up connecting.
        case close
        /// Call `timerFired` at that time. Replaces the former one; nil: no timer is needed.
        case wake(at: Duration?)
        /// An event of a watched channel, or a heartbeat.
        case deliver(SwitchEvent)
        /// The answer to `execute`; comes exactly once for each.
        case complete(EventSocketRequestID, Result<EventSocketReply, EventSocketFailure>)
        case statusChanged(Status)
        /// A watched channel that had existed is not there any more, and no event of ours said so: its hang-up fell into
        /// a loss of the connection. Comes once.
        case channelGone(CallID, switchWasRestarted: Bool)
        /// Something to log that changes nothing: a slug.
        case oddity(String)
    }

    /// What the owner can show and route by.
    package enum Status: Sendable, Equatable {
        /// Not yet, or not again, connected.
        case connecting
        /// Watched channels are being compared with the switch's when this comes: it may have been restarted.
        case ready
        /// Lost, or not reached; the next attempt is under way or waits.
        case interrupted(EventSocketLoss)
        /// `maximumAttempts` failed in a row: send new calls elsewhere. Attempts go on.
        case down(EventSocketLoss)
        case stopped
    }

    enum State: Equatable {
        /// Left by `start`.
        case idle
        /// Left by `connected`, `connectionLost` and the deadline.
        case connecting(deadline: Duration)
        /// Connected, and `auth/request` has not come. Left by it, a loss and the deadline.
        case greeting(deadline: Duration)
        /// The password is sent. Left by its reply, a loss and the deadline.
        case authenticating(deadline: Duration)
        /// `event` and `filter` are sent. Left by the last of their replies, a loss and the deadline.
        case subscribing(deadline: Duration, repliesDue: Int)
        /// Left by a loss and `stop`.
        case ready
        /// Left at its end, to `connecting`.
        case waiting(until: Duration)
        /// For ever.
        case stopped
    }

    let configuration: Configuration
    private let jobPrefix: String
    var state = State.idle
    private var decoder: EventSocketDecoder
    var pending: PendingCommands
    private var delay: ReconnectDelay
    var watched: [CallID: Watch] = [:]
    /// What listeners want beyond the configuration.
    var added = AddedSubscriptions()
    /// The `Core-UUID` of the switch's events, and whether it has changed since the last connection.
    var coreID: String?
    var wasRestarted = false
    private var jobsStarted: UInt64 = 0
    private var failures = 0
    /// When the last byte came, or the connection was made.
    private var lastHeard: Duration = .zero
    private var announcedWake: Duration?

    package private(set) var status = Status.connecting

    /// - Parameter seed: any number; spreads the attempts of several nodes.
    /// - Parameter jobPrefix: letters, digits and dashes that no other client of the switch uses, such as a UUID.
    package init(_ configuration: Configuration, seed: UInt64, jobPrefix: String) {
        self.configuration = configuration
        self.jobPrefix = jobPrefix
        self.decoder = EventSocketDecoder(limits: configuration.limits)
        self.pending = PendingCommands(limit: configuration.maximumPending)
        self.delay = ReconnectDelay(
            first: configuration.reconnectDelay, longest: configuration.maximumReconnectDelay, seed: seed)
    }

    // MARK: The connection

    package mutating func start(at now: Duration, into effects: inout [Effect]) {
        guard self.state == .idle else { return }
        self.beginAttempt(at: now, &effects)
        self.settle(at: now, &effects)
    }

    package mutating func connected(at now: Duration, into effects: inout [Effect]) {
        guard case .connecting(let deadline) = self.state else { return }
        self.decoder = EventSocketDecoder(limits: self.configuration.limits)
        self.lastHeard = now
        self.state = .greeting(deadline: deadline)
        self.settle(at: now, &effects)
    }

    /// The attempt failed, or the socket was closed or reset by the other side.
    package mutating func connectionLost(at now: Duration, into effects: inout [Effect]) {
        switch self.state {
        case .connecting: self.lose(.connectFailed, socketIsOpen: false, at: now, &effects)
        case .greeting, .authenticating, .subscribing, .ready:
            self.lose(.closedByPeer, socketIsOpen: false, at: now, &effects)
        case .idle, .waiting, .stopped: return
        }
        self.settle(at: now, &effects)
    }

    package mutating func received(_ bytes: UnsafeRawBufferPointer, at now: Duration, into effects: inout [Effect]) {
        guard self.isConnected else { return }
        self.lastHeard = now
        self.decoder.append(bytes)
        do {
            while self.isConnected, let message = try self.decoder.next() {
                self.handle(message, at: now, &effects)
            }
        } catch {
            self.lose(.garbled, at: now, &effects)
        }
        self.settle(at: now, &effects)
    }

    package mutating func timerFired(at now: Duration, into effects: inout [Effect]) {
        self.announcedWake = nil
        for (id, result) in self.pending.expire(at: now) { effects.append(.complete(id, result)) }
        switch self.state {
        case .connecting(let deadline), .greeting(let deadline), .authenticating(let deadline),
            .subscribing(let deadline, _):
            if deadline <= now { self.lose(.setUpTimedOut, at: now, &effects) }
        case .waiting(let until):
            if until <= now { self.beginAttempt(at: now, &effects) }
        case .ready:
            if let due = self.silenceDeadline, due <= now {
                self.lose(.silent, at: now, &effects)
            } else if !self.pending.awaitsReply, self.lastHeard + self.configuration.idleInterval <= now {
                self.send(.api(.status), by: .machine("status"), at: now, &effects)
            }
        case .idle, .stopped: break
        }
        self.settle(at: now, &effects)
    }

    /// Leaves for good. Commands that have no answer yet fail.
    package mutating func stop(at now: Duration, into effects: inout [Effect]) {
        guard self.state != .stopped else { return }
        if self.state == .ready { effects.append(.send(EventSocketCommand.exit.bytes)) }
        if self.isConnected || self.isConnecting { effects.append(.close) }
        self.state = .stopped
        for (id, result) in self.pending.failAll(queued: .stopped) { effects.append(.complete(id, result)) }
        self.change(.stopped, &effects)
        self.settle(at: now, &effects)
    }

    // MARK: What callers want

    /// Sends a command, or keeps it until the connection is ready. Answered by one `complete`.
    ///
    /// - Parameter timeout: until the answer; of a `background` until its job's end.
    package mutating func execute(
        _ command: EventSocketCommand, id: EventSocketRequestID, timeout: Duration? = nil, at now: Duration,
        into effects: inout [Effect]
    ) {
        let deadline = now + (timeout ?? self.configuration.replyTimeout)
        if self.pending.isFull {
            effects.append(.complete(id, .failure(.queueFull)))
        } else if self.state == .ready {
            self.send(command, by: .caller(id), deadline: deadline, at: now, &effects)
        } else if self.state == .stopped {
            effects.append(.complete(id, .failure(.stopped)))
        } else if case .down = self.status {
            effects.append(.complete(id, .failure(.down)))
        } else {
            self.pending.enqueue(command, id, deadline: deadline)
        }
        self.settle(at: now, &effects)
    }

    /// Sends an API command the way that suits it: at once, or as a job when it may block the connection.
    package mutating func execute(
        _ command: ApiCommand, id: EventSocketRequestID, timeout: Duration? = nil, at now: Duration,
        into effects: inout [Effect]
    ) {
        guard command.mayBlock else {
            return self.execute(.api(command), id: id, timeout: timeout, at: now, into: &effects)
        }
        self.jobsStarted &+= 1
        // A prefix that is not fit to be a job's name is the shell's mistake; the command is still carried out, and its
        // connection waits for it.
        let wrapped: EventSocketCommand
        do {
            wrapped = try .background(command, job: "\(self.jobPrefix)-\(self.jobsStarted)")
        } catch {
            effects.append(.oddity("unsafe-job-prefix"))
            wrapped = .api(command)
        }
        self.execute(wrapped, id: id, timeout: timeout, at: now, into: &effects)
    }

    // MARK: Messages

    private mutating func handle(_ message: EventSocketMessage, at now: Duration, _ effects: inout [Effect]) {
        switch message {
        case .authRequest:
            guard case .greeting(let deadline) = self.state else {
                return effects.append(.oddity("unexpected-greeting"))
            }
            do {
                let command = try EventSocketCommand.authenticate(self.configuration.password)
                self.state = .authenticating(deadline: deadline)
                self.send(command, by: .machine("auth"), at: now, &effects)
            } catch {
                self.lose(.authenticationRefused, at: now, &effects)  // a password that cannot be sent is a wrong one
            }
        case .reply(let reply): self.handle(reply, at: now, &effects)
        case .event(let event):
            if event.headers.oddities > 0 { effects.append(.oddity("odd-event")) }
            self.learn(from: event)
            guard event.name == .backgroundJob else { return effects.append(.deliver(event)) }
            guard let job = event.job, let (id, result) = self.pending.jobEnded(job, text: event.text) else { return }
            effects.append(.complete(id, result))
        case .disconnectNotice(let notice):
            guard !notice.lingers else { return }
            // A refused password is followed by a notice; the reply has been handled before it.
            self.lose(.disconnectNotice, at: now, &effects)
        case .rejected: self.lose(.accessDenied, at: now, &effects)
        case .channelData: effects.append(.oddity("unexpected-channel-data"))
        case .unreadable: effects.append(.oddity("unreadable-message"))
        }
    }

    private mutating func handle(_ reply: EventSocketReply, at now: Duration, _ effects: inout [Effect]) {
        switch self.pending.replied(reply) {
        case .command((let id, let result)):
            if let channel = self.pending.proven { self.watched[channel]?.presence = .known }
            effects.append(.complete(id, result))
        case .machine(let name, let refusal): self.machineReplied(name, refusal, at: now, &effects)
        case .answer(let question, let reply): self.reconcile(question, reply, at: now, &effects)
        case .nothing: break
        case .unexpected: self.lose(.garbled, at: now, &effects)  // replies and commands no longer match
        }
    }

    private mutating func machineReplied(
        _ name: String, _ refusal: SwitchRefusal?, at now: Duration, _ effects: inout [Effect]
    ) {
        switch self.state {
        case .authenticating(let deadline):
            guard refusal == nil else { return self.lose(.authenticationRefused, at: now, &effects) }
            self.subscribe(deadline: deadline, at: now, &effects)
        case .subscribing(let deadline, let repliesDue):
            guard refusal == nil else { return self.lose(.subscriptionRefused, at: now, &effects) }
            self.state = .subscribing(deadline: deadline, repliesDue: repliesDue - 1)
            if repliesDue <= 1 { self.becomeReady(at: now, &effects) }
        case .ready:
            if refusal != nil { effects.append(.oddity("refused-" + name)) }
        case .idle, .connecting, .greeting, .waiting, .stopped: break
        }
    }

    private mutating func becomeReady(at now: Duration, _ effects: inout [Effect]) {
        self.state = .ready
        self.failures = 0
        self.change(.ready, &effects)
        for (id, command, deadline) in self.pending.takeQueue() {
            self.send(command, by: .caller(id), deadline: deadline, at: now, &effects)
        }
        self.beginReconciling(at: now, &effects)
    }

    // MARK: Steps

    private var isConnecting: Bool {
        if case .connecting = self.state { true } else { false }
    }

    private var isConnected: Bool {
        switch self.state {
        case .greeting, .authenticating, .subscribing, .ready: true
        case .idle, .connecting, .waiting, .stopped: false
        }
    }

    private mutating func beginAttempt(at now: Duration, _ effects: inout [Effect]) {
        self.state = .connecting(deadline: now + self.configuration.connectTimeout)
        effects.append(.connect)
    }

    mutating func lose(
        _ loss: EventSocketLoss, socketIsOpen: Bool = true, at now: Duration, _ effects: inout [Effect]
    ) {
        if socketIsOpen { effects.append(.close) }
        self.failures += 1
        let wait = self.delay.next(failures: self.failures)
        self.state = .waiting(until: now + wait)
        // What ends a ready connection is the first failure of a new row: one restart of the switch is not "down".
        self.change(self.failures >= self.configuration.maximumAttempts ? .down(loss) : .interrupted(loss), &effects)
        for (id, result) in self.pending.failAll() { effects.append(.complete(id, result)) }
    }

    mutating func send(
        _ command: EventSocketCommand, by owner: PendingCommands.Owner, deadline: Duration? = nil, at now: Duration,
        _ effects: inout [Effect]
    ) {
        self.pending.noteSent(
            command, by: owner, deadline: deadline ?? now + self.configuration.readTimeout, at: now)
        effects.append(.send(command.bytes))
    }

    private mutating func change(_ status: Status, _ effects: inout [Effect]) {
        guard self.status != status else { return }
        self.status = status
        effects.append(.statusChanged(status))
    }

    /// When silence becomes a loss: an answer is due and nothing has come since it was asked for.
    private var silenceDeadline: Duration? {
        self.pending.oldestSentAt.map { max($0, self.lastHeard) + self.configuration.readTimeout }
    }

    /// Announces the next deadline when it has changed.
    mutating func settle(at now: Duration, _ effects: inout [Effect]) {
        var next: Duration? = self.pending.nextDeadline
        func note(_ deadline: Duration) { next = min(next ?? deadline, deadline) }
        switch self.state {
        case .connecting(let deadline), .greeting(let deadline), .authenticating(let deadline),
            .subscribing(let deadline, _), .waiting(let deadline):
            note(deadline)
        case .ready: note(self.silenceDeadline ?? self.lastHeard + self.configuration.idleInterval)
        case .idle, .stopped: break
        }
        // A timer that is too early only finds nothing to do and asks again: no new one for each byte that comes.
        if let next, let announced = self.announcedWake, announced <= next { return }
        guard next != self.announcedWake else { return }
        self.announcedWake = next
        effects.append(.wake(at: next))
    }
}
