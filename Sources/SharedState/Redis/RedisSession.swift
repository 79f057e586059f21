import Telephony

/// One connection to Redis as a value: attempts, the greeting, commands and their replies in order, deadlines.
///
/// ```
/// idle ─start▶ connecting ─connected▶ greeting ─all accepted▶ ready
///                  ▲  │ failed, late       │ refused, late      │ broke, stalled, refused for good
///                  │  └──────────▶ waiting ◀────────────────────┘
///                  └───── pause over ──┘            any ─stop▶ stopped
/// ```
///
/// Redis answers in the order of the commands, so a reply belongs to the oldest that has none. A command whose asker has
/// stopped waiting stays in that row. When the oldest has waited for `stall`, the connection is given up: a stopped
/// process accepts bytes for ever and answers none.
package struct RedisSession: Sendable {
    package struct Configuration: Sendable {
        package var user: String?
        package var password: Redacted<String>?
        package var database: Int
        /// Channels of a connection that listens. Such a connection takes no commands (RESP2).
        package var channels: [String]
        /// The last word of the greeting: shows that Redis does what will be asked of it.
        package var probe: RedisCommand
        package var connectTimeout: Duration = .seconds(2)
        package var stall: Duration = .seconds(1)
        /// A connection that says nothing for so long is asked whether it lives.
        package var keepAlive: Duration = .seconds(2)
        package var firstPause: Duration = .milliseconds(250)
        package var longestPause: Duration = .seconds(5)
        /// Commands without a reply; more are refused at once.
        package var capacity = 4096

        package init(
            user: String? = nil, password: Redacted<String>? = nil, database: Int = 0, channels: [String] = [],
            probe: RedisCommand = RedisCommand("PING")
        ) {
            self.user = user
            self.password = password
            self.database = database
            self.channels = channels
            self.probe = probe
        }
    }

    package typealias Tag = UInt64

    /// What the shell is to do, in order.
    package enum Effect: Sendable, Equatable {
        case connect
        case send([UInt8])
        /// Drop the connection, or the attempt at one.
        case disconnect
        case answer(Tag, RedisOutcome)
        case message(channel: String, text: String)
        case ready
        /// There is no Redis from now on; once, until it is `ready` again. The first attempt counts.
        case away(RedisAbsence)
    }

    private enum State: Sendable {
        case idle
        case connecting(until: Duration)
        /// `due` replies are still to come.
        case greeting(until: Duration, due: [GreetingStep])
        case ready(since: Duration)
        case waiting(until: Duration)
        case stopped
    }

    private enum GreetingStep: Sendable { case authenticate, select, probe, subscribe }

    private struct Pending: Sendable {
        /// Nil: our own question, or an asker that was told `late`.
        var tag: Tag?
        var sent: Duration
        var deadline: Duration
    }

    private let configuration: Configuration
    private var state = State.idle
    private var pending: [Pending] = []
    /// The first of `pending` that has no reply.
    private var head = 0
    private var earliestDeadline: Duration?
    private var lastSign: Duration = .zero
    private var lastTag: Tag = 0
    private var failures = 0
    private var delay: ReconnectDelay
    private var isKnownAway = false

    package init(_ configuration: Configuration, seed: UInt64) {
        self.configuration = configuration
        self.delay = ReconnectDelay(
            first: configuration.firstPause, longest: configuration.longestPause, seed: seed)
    }

    package var isReady: Bool { if case .ready = self.state { true } else { false } }
    /// Commands that wait for their reply.
    package var pendingCount: Int { self.pending.count - self.head }
    private var listens: Bool { !self.configuration.channels.isEmpty }

    /// When `due` has to be called; nil: never.
    package var nextWake: Duration? {
        switch self.state {
        case .idle, .stopped: return nil
        case .connecting(let until), .greeting(let until, _), .waiting(let until): return until
        case .ready:
            var next = self.lastSign + self.configuration.keepAlive
            if self.pendingCount > 0 { next = min(next, self.pending[self.head].sent + self.configuration.stall) }
            if let deadline = self.earliestDeadline { next = min(next, deadline) }
            return next
        }
    }

    // MARK: Events

    package mutating func start(at now: Duration, _ effects: inout [Effect]) {
        guard case .idle = self.state else { return }
        self.attempt(at: now, &effects)
    }

    package mutating func connected(at now: Duration, _ effects: inout [Effect]) {
        guard case .connecting(let until) = self.state else { return }
        var steps: [GreetingStep] = []
        var bytes: [UInt8] = []
        if let password = self.configuration.password {
            let user = self.configuration.user.map { [$0] } ?? []
            bytes += RedisCommand(["AUTH"] + user + [password.value]).bytes
            steps.append(.authenticate)
        }
        if self.configuration.database != 0 {
            bytes += RedisCommand("SELECT", String(self.configuration.database)).bytes
            steps.append(.select)
        }
        if self.listens {
            bytes += RedisCommand(["SUBSCRIBE"] + self.configuration.channels).bytes
            steps += self.configuration.channels.map { _ in .subscribe }
        } else {
            bytes += self.configuration.probe.bytes
            steps.append(.probe)
        }
        self.state = .greeting(until: until, due: steps)
        effects.append(.send(bytes))
    }

    /// The attempt failed, or the connection broke: the shell has none any more.
    package mutating func lost(_ absence: RedisAbsence, at now: Duration, _ effects: inout [Effect]) {
        switch self.state {
        case .connecting, .greeting, .ready: self.lose(absence, hasConnection: false, at: now, &effects)
        case .idle, .waiting, .stopped: break
        }
    }

    package mutating func received(_ reply: RedisValue, at now: Duration, _ effects: inout [Effect]) {
        self.lastSign = now
        switch self.state {
        case .greeting(let until, let due): self.greeted(reply, until: until, due: due, at: now, &effects)
        case .ready where self.listens: self.heard(reply, at: now, &effects)
        case .ready: self.answered(reply, at: now, &effects)
        case .idle, .connecting, .waiting, .stopped: break
        }
    }

    /// Asks Redis. The answer comes as an effect with the tag that this returns; at once, where there is no connection.
    package mutating func ask(
        _ command: RedisCommand, within: Duration, at now: Duration, _ effects: inout [Effect]
    ) -> Tag {
        self.lastTag += 1
        let tag = self.lastTag
        guard case .ready = self.state, !self.listens, self.pendingCount < self.configuration.capacity else {
            effects.append(.answer(tag, .away))
            return tag
        }
        effects.append(.send(command.bytes))
        let deadline = now + within
        self.pending.append(Pending(tag: tag, sent: now, deadline: deadline))
        self.earliestDeadline = self.earliestDeadline.map { min($0, deadline) } ?? deadline
        return tag
    }

    package mutating func due(at now: Duration, _ effects: inout [Effect]) {
        switch self.state {
        case .idle, .stopped: break
        case .connecting(let until), .greeting(let until, _):
            if now >= until { self.lose(.timeout, hasConnection: true, at: now, &effects) }
        case .waiting(let until):
            if now >= until { self.attempt(at: now, &effects) }
        case .ready:
            self.expire(at: now, &effects)
            if self.pendingCount > 0, now >= self.pending[self.head].sent + self.configuration.stall {
                return self.lose(.stalled, hasConnection: true, at: now, &effects)
            }
            if now >= self.lastSign + self.configuration.keepAlive {
                self.lastSign = now
                guard self.pendingCount == 0 else { return }
                effects.append(.send(RedisCommand("PING").bytes))
                self.pending.append(Pending(tag: nil, sent: now, deadline: now))
            }
        }
    }

    package mutating func stop(at now: Duration, _ effects: inout [Effect]) {
        if case .stopped = self.state { return }
        self.abandon(&effects)
        self.state = .stopped
        effects.append(.disconnect)
    }

    // MARK: Steps

    private mutating func attempt(at now: Duration, _ effects: inout [Effect]) {
        self.state = .connecting(until: now + self.configuration.connectTimeout)
        effects.append(.connect)
    }

    private mutating func greeted(
        _ reply: RedisValue, until: Duration, due: [GreetingStep], at now: Duration, _ effects: inout [Effect]
    ) {
        if case .error(let code) = reply {
            // The first refusal explains those behind it.
            let absence: RedisAbsence =
                switch due.first {
                // "ERR Client sent AUTH, but no password is set" (before Redis 6) is a wrong setting as well.
                case .authenticate: .authentication
                case .select: RedisAbsence(reply: code) ?? .database
                case .probe, .subscribe, nil: RedisAbsence(reply: code) ?? .permission
                }
            return self.lose(absence, hasConnection: true, at: now, &effects)
        }
        let left = Array(due.dropFirst())
        guard left.isEmpty else {
            self.state = .greeting(until: until, due: left)
            return
        }
        self.state = .ready(since: now)
        self.isKnownAway = false
        effects.append(.ready)
    }

    private mutating func answered(_ reply: RedisValue, at now: Duration, _ effects: inout [Effect]) {
        guard self.pendingCount > 0 else {
            // An answer to nothing: from here on none could be told from another.
            return self.lose(.garbled, hasConnection: true, at: now, &effects)
        }
        let answered = self.pending[self.head]
        self.head += 1
        if self.head == self.pending.count {
            self.pending.removeAll(keepingCapacity: true)
            self.head = 0
            self.earliestDeadline = nil
        } else if self.head >= 1024 {
            self.pending.removeFirst(self.head)
            self.head = 0
        }
        guard case .error(let code) = reply else {
            if let tag = answered.tag { effects.append(.answer(tag, .value(reply))) }
            return
        }
        if let tag = answered.tag { effects.append(.answer(tag, .refused(code))) }
        // A refusal that the next command would meet as well. One that concerns this command only is its asker's.
        if let absence = RedisAbsence(reply: code), absence != .permission {
            self.lose(absence, hasConnection: true, at: now, &effects)
        }
    }

    /// A connection that listens: messages, and the answers to our own PING.
    private mutating func heard(_ reply: RedisValue, at now: Duration, _ effects: inout [Effect]) {
        if case .error(let code) = reply {
            return self.lose(RedisAbsence(reply: code) ?? .garbled, hasConnection: true, at: now, &effects)
        }
        guard let elements = reply.elements, let kind = elements.first?.text else {
            return self.lose(.garbled, hasConnection: true, at: now, &effects)
        }
        switch kind {
        case "message":
            if elements.count == 3, let channel = elements[1].text, let text = elements[2].text {
                effects.append(.message(channel: channel, text: text))
            }
        case "pong":
            self.pending.removeAll(keepingCapacity: true)
            self.head = 0
        default: break
        }
    }

    /// Tells the askers whose time is over. Their commands stay in the row.
    private mutating func expire(at now: Duration, _ effects: inout [Effect]) {
        guard let earliest = self.earliestDeadline, now >= earliest else { return }
        var next: Duration?
        for index in self.head..<self.pending.count {
            guard let tag = self.pending[index].tag else { continue }
            if now >= self.pending[index].deadline {
                self.pending[index].tag = nil
                effects.append(.answer(tag, .late))
            } else {
                next = next.map { min($0, self.pending[index].deadline) } ?? self.pending[index].deadline
            }
        }
        self.earliestDeadline = next
    }

    private mutating func lose(
        _ absence: RedisAbsence, hasConnection: Bool, at now: Duration, _ effects: inout [Effect]
    ) {
        // A Redis that accepts and then refuses is as far away as one that does not answer: the pauses grow on.
        if case .ready(let since) = self.state, now - since >= self.configuration.longestPause { self.failures = 0 }
        self.failures += 1
        self.state = .waiting(until: now + self.delay.next(failures: self.failures))
        if hasConnection { effects.append(.disconnect) }
        self.abandon(&effects)
        if !self.isKnownAway { effects.append(.away(absence)) }
        self.isKnownAway = true
    }

    private mutating func abandon(_ effects: inout [Effect]) {
        for pending in self.pending[self.head...] {
            if let tag = pending.tag { effects.append(.answer(tag, .away)) }
        }
        self.pending.removeAll(keepingCapacity: true)
        self.head = 0
        self.earliestDeadline = nil
    }
}
