import Telephony

/// The commands of one connection that have no answer yet. Replies carry no id: the n-th reply belongs to the n-th
/// command, so one that is given up keeps its place until its reply has passed. `bgapi` answers twice, by a reply and
/// (perhaps first) by a `BACKGROUND_JOB` of its job.
struct PendingCommands: Sendable {
    /// Who waits for a reply.
    enum Owner: Sendable, Equatable {
        case caller(EventSocketRequestID)
        case machine(String)
        /// Ours, and its text matters.
        case question(MachineQuestion)
        /// Nobody any more, or it is settled by its job.
        case nobody
    }

    private struct Sent: Sendable {
        var owner: Owner
        let job: String?
        let channel: CallID?
        let deadline: Duration
        let sentAt: Duration
    }

    private struct Job: Sendable {
        let id: EventSocketRequestID
        let deadline: Duration
    }

    private struct Queued: Sendable {
        let id: EventSocketRequestID
        let command: EventSocketCommand
        let deadline: Duration
    }

    typealias Completion = (id: EventSocketRequestID, result: Result<EventSocketReply, EventSocketFailure>)

    private var sent: [Sent] = []
    private var jobs: [String: Job] = [:]
    private var queue: [Queued] = []
    /// The channel that the latest reply shows to exist.
    private(set) var proven: CallID?
    let limit: Int

    init(limit: Int) { self.limit = limit }

    var count: Int { self.sent.count + self.jobs.count + self.queue.count }
    var isFull: Bool { self.count >= self.limit }
    var awaitsReply: Bool { !self.sent.isEmpty }
    /// When the command was sent whose reply is due next.
    var oldestSentAt: Duration? { self.sent.first?.sentAt }

    var nextDeadline: Duration? {
        var earliest: Duration?
        func note(_ deadline: Duration) { earliest = min(earliest ?? deadline, deadline) }
        for entry in self.sent {
            if case .caller = entry.owner { note(entry.deadline) }
        }
        for job in self.jobs.values { note(job.deadline) }
        for entry in self.queue { note(entry.deadline) }
        return earliest
    }

    /// Keeps a command until the connection is ready.
    mutating func enqueue(_ command: EventSocketCommand, _ id: EventSocketRequestID, deadline: Duration) {
        self.queue.append(Queued(id: id, command: command, deadline: deadline))
    }

    /// Takes what was queued, oldest first.
    mutating func takeQueue() -> [(id: EventSocketRequestID, command: EventSocketCommand, deadline: Duration)] {
        defer { self.queue = [] }
        return self.queue.map { ($0.id, $0.command, $0.deadline) }
    }

    mutating func noteSent(_ command: EventSocketCommand, by owner: Owner, deadline: Duration, at now: Duration) {
        if let job = command.job, case .caller(let id) = owner {
            self.jobs[job] = Job(id: id, deadline: deadline)
            self.sent.append(Sent(owner: .nobody, job: job, channel: nil, deadline: deadline, sentAt: now))
        } else {
            self.sent.append(
                Sent(owner: owner, job: nil, channel: command.channel, deadline: deadline, sentAt: now))
        }
    }

    /// What a reply settled.
    enum Settled {
        case command(Completion)
        case machine(String, refusal: SwitchRefusal?)
        case answer(MachineQuestion, EventSocketReply)
        /// Nothing: a job has begun, or nobody waits any more.
        case nothing
        /// A reply that no command is waiting for.
        case unexpected
    }

    mutating func replied(_ reply: EventSocketReply) -> Settled {
        guard !self.sent.isEmpty else { return .unexpected }
        let entry = self.sent.removeFirst()
        self.proven = nil
        if let job = entry.job {
            guard let refusal = reply.refusal, let waiting = self.jobs.removeValue(forKey: job) else { return .nothing }
            return .command((waiting.id, .failure(.refused(refusal))))
        }
        switch entry.owner {
        case .nobody: return .nothing
        case .machine(let name): return .machine(name, refusal: reply.refusal)
        case .question(let question): return .answer(question, reply)
        case .caller(let id):
            if reply.refusal == nil, reply.omitted == 0 { self.proven = entry.channel }
            return .command((id, Self.result(reply)))
        }
    }

    /// A `BACKGROUND_JOB`; nil when the job is not one of ours.
    mutating func jobEnded(_ job: String, text: String) -> Completion? {
        guard let waiting = self.jobs.removeValue(forKey: job) else { return nil }
        return (waiting.id, Self.result(EventSocketReply(text: text, job: job)))
    }

    /// Gives up what is overdue.
    mutating func expire(at now: Duration) -> [Completion] {
        var overdue: [Completion] = []
        for index in self.sent.indices {
            guard case .caller(let id) = self.sent[index].owner, self.sent[index].deadline <= now else { continue }
            self.sent[index].owner = .nobody
            overdue.append((id, .failure(.timedOut)))
        }
        for (job, waiting) in self.jobs where waiting.deadline <= now {
            self.jobs[job] = nil
            overdue.append((waiting.id, .failure(.timedOut)))
        }
        for entry in self.queue where entry.deadline <= now { overdue.append((entry.id, .failure(.notSent))) }
        self.queue.removeAll { $0.deadline <= now }
        return overdue
    }

    /// The connection is gone: everything fails, each with what is known of it.
    mutating func failAll(queued: EventSocketFailure = .notSent, sent: EventSocketFailure = .outcomeUnknown)
        -> [Completion]
    {
        var failed: [Completion] = []
        for entry in self.sent {
            if case .caller(let id) = entry.owner { failed.append((id, .failure(sent))) }
        }
        for job in self.jobs.values { failed.append((job.id, .failure(sent))) }
        for entry in self.queue { failed.append((entry.id, .failure(queued))) }
        self.sent = []
        self.jobs = [:]
        self.queue = []
        return failed
    }

    private static func result(_ reply: EventSocketReply) -> Result<EventSocketReply, EventSocketFailure> {
        if reply.omitted > 0 { return .failure(.replyTooLong) }
        return reply.refusal.map { .failure(.refused($0)) } ?? .success(reply)
    }
}

/// What the inbound client asks on its own account and reads the answer of.
enum MachineQuestion: Sendable, Equatable {
    /// Which start of the switch this is.
    case coreID
    case channels
    case presence(CallID)
}
