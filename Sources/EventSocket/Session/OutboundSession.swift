import Telephony

/// One call that the dialplan's `socket <host:port> async full` brought to us: the server side of the Event Socket.
///
/// A value: call the method named for what happened, perform the effects in order. The owner has one socket and one
/// timer. Closing the socket hangs the call up when the dialplan has nothing after `socket` (measured: within 0.02 s).
///
/// **The dialplan goes on only when the channel was parked before the socket closed.** FreeSWITCH starts the program's
/// thread first and parks the channel then; a socket that ends in between leaves the caller parked in silence for ever
/// (measured on 1.11.3-dev: closed without `connect` 11 of 11, closed right behind the answer to `connect` 9 of 11, behind
/// `CHANNEL_PARK` or 20 ms later 0 of 27). So whoever wants to leave waits for the park.
package struct OutboundSession: Sendable {
    /// What to do.
    package enum Effect: Sendable {
        case send([UInt8])
        case close
        /// Call `timerFired` at that time. Replaces the former one; nil: no timer is needed.
        case wake(at: Duration?)
        /// The channel with all its variables; comes once, before any event.
        case began(SwitchEvent)
        case deliver(SwitchEvent)
        /// The answer to `execute`; comes exactly once for each.
        case complete(EventSocketRequestID, Result<EventSocketReply, EventSocketFailure>)
        /// The channel is gone; its last events may still come before `ended`.
        case lingering
        /// Over. Comes once; nothing follows but the timer's end.
        case ended(End)
        /// Something to log that changes nothing: a slug.
        case oddity(String)
    }

    /// How a session ended.
    package enum End: Error, Sendable, Equatable {
        /// The switch took its leave: the channel has been hung up or sent elsewhere.
        case channelGone
        /// The socket broke without a word.
        case connectionLost
        /// The switch did not answer `connect`, or an answer that was due did not come.
        case silent
        case garbled
        case refused(Refusal)
        /// We closed it.
        case stopped

        package var termination: CallTermination {
            switch self {
            case .channelGone: .callerHungUp
            case .connectionLost, .silent: .phoneLost
            case .garbled:
                CallTermination(cause: .protocolError, fault: .gateway, reason: "event-socket-garbled")
            case .refused(let refusal):
                CallTermination(cause: .interworking, fault: .configuration, reason: refusal.rawValue)
            case .stopped: .draining
            }
        }
    }

    /// Why a socket is not taken: the dialplan opened it in a way that we cannot control a call with.
    package enum Refusal: String, Sendable, CaseIterable {
        /// Without `async` each command waits for the application that runs (measured: 1 s for a tone of 1 s).
        case notAsync = "socket-not-async"
        /// Without `full` there is no `api`, `event` or `bgapi` (measured).
        case notFull = "socket-not-full"
        /// The channel has no usable id.
        case noChannel = "socket-without-channel"

        /// For the log, beside the refusal.
        package var repair: String { "In the dialplan: <action application=\"socket\" data=\"HOST:PORT async full\"/>" }
    }

    /// How to treat a session.
    package struct Configuration: Sendable {
        /// Until the answer to `connect`.
        package var connectTimeout: Duration
        /// ESL_READ_TIMEOUT: how long an answer that is due may be missing with no byte coming at all.
        package var readTimeout: Duration
        /// After this much silence we ask for a sign of life.
        package var idleInterval: Duration
        /// How long the socket outlives the channel, for its last events. Whole seconds, at least one.
        package var linger: Duration
        /// The most commands that may be without an answer.
        package var maximumPending: Int
        package var limits: EventSocketFramer.Limits

        package init(
            connectTimeout: Duration = .seconds(5), readTimeout: Duration = .seconds(30),
            idleInterval: Duration = .seconds(60), linger: Duration = .seconds(3), maximumPending: Int = 256,
            limits: EventSocketFramer.Limits = EventSocketFramer.Limits()
        ) {
            self.connectTimeout = connectTimeout
            self.readTimeout = readTimeout
            self.idleInterval = idleInterval
            self.linger = linger
            self.maximumPending = maximumPending
            self.limits = limits
        }
    }

    private enum State: Equatable {
        /// Left by `accepted`.
        case idle
        /// `connect` is sent. Left by the channel's data, a loss and the deadline.
        case connecting(deadline: Duration)
        /// The channel is ours. Left by a notice, a loss and `stop`.
        case open
        /// We leave as soon as the channel is parked: `end` is why. Left by that time and a loss.
        case leaving(end: End, deadline: Duration)
        /// The channel is gone, the socket not yet. Left by the last notice, a loss and the deadline.
        case lingering(deadline: Duration)
        /// For ever.
        case ended
    }

    private let configuration: Configuration
    private var state = State.idle
    private var decoder: EventSocketDecoder
    private var pending: PendingCommands
    private var lastHeard: Duration = .zero
    private var announcedWake: Duration?
    /// When the channel was seen parked.
    private var parkedAt: Duration?
    /// `stop` came before the channel's data.
    private var wantsToLeave = false

    /// From `CHANNEL_PARK` to our leave.
    private static let parkMargin: Duration = .milliseconds(20)
    /// How long `CHANNEL_PARK` is waited for: without `full` there are no events, and it may have come before we asked.
    private static let parkPatience: Duration = .milliseconds(500)

    /// The channel, from `began` on.
    package private(set) var channel: CallID?

    package init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        self.decoder = EventSocketDecoder(limits: configuration.limits)
        self.pending = PendingCommands(limit: configuration.maximumPending)
    }

    /// The switch has connected. It says nothing until it is spoken to (measured).
    package mutating func accepted(at now: Duration, into effects: inout [Effect]) {
        guard self.state == .idle else { return }
        self.lastHeard = now
        self.state = .connecting(deadline: now + self.configuration.connectTimeout)
        effects.append(.send(EventSocketCommand.connect.bytes))
        self.settle(&effects)
    }

    package mutating func received(_ bytes: UnsafeRawBufferPointer, at now: Duration, into effects: inout [Effect]) {
        guard self.isOpen else { return }
        self.lastHeard = now
        self.decoder.append(bytes)
        do {
            while self.isOpen, let message = try self.decoder.next() { self.handle(message, at: now, &effects) }
        } catch {
            self.end(.garbled, &effects)
        }
        self.settle(&effects)
    }

    /// The socket was closed or reset by the other side.
    package mutating func connectionLost(at now: Duration, into effects: inout [Effect]) {
        guard self.isOpen else { return }
        if case .lingering = self.state {
            self.end(.channelGone, socketIsOpen: false, &effects)
        } else {
            self.end(.connectionLost, socketIsOpen: false, &effects)
        }
        self.settle(&effects)
    }

    package mutating func timerFired(at now: Duration, into effects: inout [Effect]) {
        self.announcedWake = nil
        for (id, result) in self.pending.expire(at: now) { effects.append(.complete(id, result)) }
        switch self.state {
        case .connecting(let deadline): if deadline <= now { self.end(.silent, &effects) }
        case .lingering(let deadline): if deadline <= now { self.end(.channelGone, &effects) }
        case .leaving(let end, let deadline): if deadline <= now { self.exit(end, &effects) }
        case .open:
            if let due = self.silenceDeadline, due <= now {
                self.end(.silent, &effects)
            } else if !self.pending.awaitsReply, self.lastHeard + self.configuration.idleInterval <= now {
                self.send(.api(.status), by: .machine("status"), at: now, &effects)
            }
        case .idle, .ended: break
        }
        self.settle(&effects)
    }

    /// Closes the socket once the channel is parked (at once, as a rule), and with it the call where the dialplan ends at
    /// `socket`. No event is delivered any more.
    package mutating func stop(at now: Duration, into effects: inout [Effect]) {
        switch self.state {
        case .connecting: self.wantsToLeave = true
        case .open: self.leave(.stopped, at: now, &effects)
        case .lingering: self.exit(.stopped, &effects)
        case .idle, .leaving, .ended: return
        }
        self.settle(&effects)
    }

    private mutating func leave(_ end: End, at now: Duration, _ effects: inout [Effect]) {
        for (id, result) in self.pending.failAll() { effects.append(.complete(id, result)) }
        let time = self.parkedAt.map { $0 + Self.parkMargin } ?? now + Self.parkPatience
        guard time > now else { return self.exit(end, &effects) }
        self.state = .leaving(end: end, deadline: time)
    }

    private mutating func exit(_ end: End, _ effects: inout [Effect]) {
        effects.append(.send(EventSocketCommand.exit.bytes))
        self.end(end, &effects)
    }

    /// Sends a command. Answered by one `complete`. A `background` needs a connection that hears `BACKGROUND_JOB`: use the
    /// inbound client for what may block.
    package mutating func execute(
        _ command: EventSocketCommand, id: EventSocketRequestID, timeout: Duration? = nil, at now: Duration,
        into effects: inout [Effect]
    ) {
        if self.state != .open {
            effects.append(.complete(id, .failure(.stopped)))
        } else if self.pending.isFull {
            effects.append(.complete(id, .failure(.queueFull)))
        } else {
            let deadline = now + (timeout ?? self.configuration.readTimeout)
            self.send(command, by: .caller(id), deadline: deadline, at: now, &effects)
        }
        self.settle(&effects)
    }

    // MARK: Messages

    private mutating func handle(_ message: EventSocketMessage, at now: Duration, _ effects: inout [Effect]) {
        switch message {
        case .channelData(let data):
            guard case .connecting = self.state else { return effects.append(.oddity("unexpected-channel-data")) }
            self.begin(data, at: now, &effects)
        case .reply(let reply): self.handle(reply, &effects)
        case .event(let event):
            if event.name == .channelPark, self.parkedAt == nil, event.channel == self.channel {
                self.parkedAt = now
                if case .leaving(let end, _) = self.state {
                    self.state = .leaving(end: end, deadline: now + Self.parkMargin)
                }
            }
            if case .leaving = self.state { return }
            if event.headers.oddities > 0 { effects.append(.oddity("odd-event")) }
            if event.name == .backgroundJob, let job = event.job,
                let (id, result) = self.pending.jobEnded(job, text: event.text)
            {
                effects.append(.complete(id, result))
            } else {
                effects.append(.deliver(event))
            }
        case .disconnectNotice(let notice):
            guard notice.lingers else { return self.end(.channelGone, &effects) }
            guard self.state == .open else { return }
            // The switch keeps its word half a second late (measured: 3.5 s for 3); two more for a slow network.
            self.state = .lingering(deadline: now + self.configuration.linger + .seconds(3))
            effects.append(.lingering)
            for (id, result) in self.pending.failAll() { effects.append(.complete(id, result)) }
        case .authRequest, .rejected: self.end(.garbled, &effects)  // an inbound socket's words
        case .unreadable: effects.append(.oddity("unreadable-message"))
        }
    }

    private mutating func begin(_ data: SwitchEvent, at now: Duration, _ effects: inout [Effect]) {
        guard let channel = data.channel else { return self.leave(.refused(.noChannel), at: now, &effects) }
        guard data.headers["Socket-Mode"] == "async" else {
            // Here the channel's own thread serves the socket: nothing is parked, and nothing has to be waited for.
            return self.end(.refused(.notAsync), &effects)
        }
        guard data.headers["Control"] == "full" else { return self.leave(.refused(.notFull), at: now, &effects) }
        self.channel = channel
        self.state = .open
        if let linger = try? EventSocketCommand.linger(self.configuration.linger) {
            self.send(linger, by: .machine("linger"), at: now, &effects)
        } else {
            effects.append(.oddity("linger-out-of-range"))
        }
        self.send(.myEvents, by: .machine("myevents"), at: now, &effects)
        // `myevents` brings no CUSTOM event whose subclass was not named (measured).
        if let modules = try? EventSocketCommand.subscribe(to: [], subclasses: SwitchEvent.audioStreamSubclasses) {
            self.send(modules, by: .machine("event"), at: now, &effects)
        }
        guard !self.wantsToLeave else { return self.leave(.stopped, at: now, &effects) }
        effects.append(.began(data))
    }

    private mutating func handle(_ reply: EventSocketReply, _ effects: inout [Effect]) {
        guard self.state == .open else {
            // Answers to what failed when the channel ended or we leave; before the channel's data there is nothing to answer.
            if case .connecting = self.state { self.end(.garbled, &effects) }
            return
        }
        switch self.pending.replied(reply) {
        case .command((let id, let result)): effects.append(.complete(id, result))
        case .machine(let name, let refusal): if refusal != nil { effects.append(.oddity("refused-" + name)) }
        case .answer, .nothing: break
        case .unexpected: self.end(.garbled, &effects)
        }
    }

    // MARK: Private steps

    private var isOpen: Bool {
        switch self.state {
        case .connecting, .open, .leaving, .lingering: true
        case .idle, .ended: false
        }
    }

    private mutating func send(
        _ command: EventSocketCommand, by owner: PendingCommands.Owner, deadline: Duration? = nil, at now: Duration,
        _ effects: inout [Effect]
    ) {
        self.pending.noteSent(
            command, by: owner, deadline: deadline ?? now + self.configuration.readTimeout, at: now)
        effects.append(.send(command.bytes))
    }

    private mutating func end(_ end: End, socketIsOpen: Bool = true, _ effects: inout [Effect]) {
        self.state = .ended
        if socketIsOpen { effects.append(.close) }
        for (id, result) in self.pending.failAll() { effects.append(.complete(id, result)) }
        effects.append(.ended(end))
    }

    private var silenceDeadline: Duration? {
        self.pending.oldestSentAt.map { max($0, self.lastHeard) + self.configuration.readTimeout }
    }

    /// Announces the next deadline when it is earlier than the announced one.
    private mutating func settle(_ effects: inout [Effect]) {
        var next: Duration? = self.pending.nextDeadline
        func note(_ deadline: Duration) { next = min(next ?? deadline, deadline) }
        switch self.state {
        case .connecting(let deadline), .lingering(let deadline), .leaving(_, let deadline): note(deadline)
        case .open: note(self.silenceDeadline ?? self.lastHeard + self.configuration.idleInterval)
        case .idle, .ended: break
        }
        if let next, let announced = self.announcedWake, announced <= next { return }
        guard next != self.announcedWake else { return }
        self.announcedWake = next
        effects.append(.wake(at: next))
    }
}
