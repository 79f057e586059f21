import Telephony

/// The rule of one active response (providers.md §1.6): what is being made, what was asked for and not begun, what
/// waits, and which tools are still unanswered.
struct OpenAIRealtimeResponses: Sendable {
    /// A reply that somebody wants.
    enum Wanted: Sendable, Equatable {
        case reply
        case greeting
        case say(Redacted<String>)
        /// The one answer to all tools of a response.
        case toolFollowUp
    }

    /// `response.create` was sent, `response.created` has not come. Leaves by `created` or `refused`.
    struct Requested: Sendable, Equatable {
        var eventID: String
        var wanted: Wanted
        /// Cancelled by us meanwhile: the cancel goes out when the response has a name.
        var isCancelled = false
    }

    /// The response that the server is making. Leaves by `done`, or by our losing patience with a cancel.
    struct Active: Sendable, Equatable {
        var id: String
        var isCancelled = false
        /// Our request that it seems to answer: taken back into the queue if the server says otherwise.
        var request: Requested?
    }

    static let queueLimit = 8
    static let toolLimit = 64

    private(set) var active: Active?
    private(set) var requested: Requested?
    private var queue: [Wanted] = []
    /// Responses whose late audio is not wanted.
    private var stopped: [String] = []
    /// Call ids told to the conversation, unanswered.
    private(set) var openTools: [String] = []
    /// Call ids answered, or cancelled: told once, not again.
    private var closedTools: [String] = []
    private var wantsFollowUp = false
    /// The server says that a response is active which we do not know of: wait for any `response.done`.
    private var isBlocked = false

    /// Whether something is being made or asked for.
    var isBusy: Bool { self.active != nil || self.requested != nil || self.isBlocked }

    /// Adds a wish. One `reply` answers all that came before it, so a second in the queue would be one too many.
    mutating func want(_ wanted: Wanted) {
        guard self.queue.count < OpenAIRealtimeResponses.queueLimit else { return }
        if wanted == .reply, self.queue.contains(.reply) { return }
        self.queue.append(wanted)
    }

    /// Whether `next` has something to ask for.
    var hasNext: Bool { !self.isBusy && (!self.queue.isEmpty || (self.wantsFollowUp && self.openTools.isEmpty)) }

    /// What to ask for now; nil while something is being made.
    mutating func next(eventID: String) -> Requested? {
        guard !self.isBusy else { return nil }
        let wanted: Wanted
        if let first = self.queue.first {
            self.queue.removeFirst()
            wanted = first
            // The tools' outcomes are in the conversation: a reply speaks about them too.
            if wanted == .reply, self.openTools.isEmpty { self.wantsFollowUp = false }
        } else if self.wantsFollowUp, self.openTools.isEmpty {
            self.wantsFollowUp = false
            wanted = .toolFollowUp
        } else {
            return nil
        }
        let request = Requested(eventID: eventID, wanted: wanted)
        self.requested = request
        return request
    }

    /// `response.created`. True: it was cancelled before it had a name, and the cancel is to be sent now.
    mutating func created(id: String) -> Bool {
        let request = self.requested
        self.requested = nil
        self.isBlocked = false
        let isCancelled = request?.isCancelled ?? false
        self.active = Active(id: id, isCancelled: isCancelled, request: request)
        if isCancelled { self.stop(id) }
        // A reply that the server began by itself has heard of every tool's outcome so far.
        if request == nil, self.openTools.isEmpty { self.wantsFollowUp = false }
        return isCancelled
    }

    /// `response.done`. True when it was the active one, or when the server and we disagree which that was.
    mutating func done(id: String) -> Bool {
        self.isBlocked = false
        guard let active = self.active else { return false }
        guard active.id == id || id.isEmpty || active.id.isEmpty else { return false }
        self.active = nil
        return true
    }

    /// The conversation wants quiet. The response to cancel by name, if one is active and not cancelled yet.
    mutating func cancel() -> String? {
        self.queue.removeAll()
        self.wantsFollowUp = false
        if self.requested != nil { self.requested?.isCancelled = true }
        guard let active = self.active, !active.isCancelled else { return nil }
        self.active?.isCancelled = true
        self.stop(active.id)
        return active.id
    }

    /// The server itself has cut this one short.
    mutating func stop(_ id: String) {
        guard !id.isEmpty, !self.stopped.contains(id) else { return }
        if self.stopped.count >= 16 { self.stopped.removeFirst() }
        self.stopped.append(id)
    }

    /// Whether audio of this response is to be dropped.
    func isStopped(_ id: JSONScan?) -> Bool {
        if let id { return self.stopped.contains { id.isName($0) } }
        return self.active?.isCancelled ?? false
    }

    func isStopped(named id: String) -> Bool { self.stopped.contains(id) }

    /// The server refused a `response.create`. True when it was ours; `isBusyElsewhere`: because one is active already,
    /// so that ours waits for its end instead of being lost.
    mutating func refused(eventID: String?, isBusyElsewhere: Bool) -> Requested? {
        let request: Requested
        if let requested = self.requested, eventID == nil || eventID == requested.eventID {
            request = requested
            self.requested = nil
        } else if let eventID, let claimed = self.active?.request, claimed.eventID == eventID {
            // What we took for our own response was one that the server had begun by itself.
            request = claimed
            self.active?.request = nil
        } else {
            return nil
        }
        if isBusyElsewhere {
            if self.active == nil { self.isBlocked = true }
            if !request.isCancelled { self.queue.insert(request.wanted, at: 0) }
        }
        return request
    }

    /// A `response.done` that should have come is overdue. The response given up, if one was active.
    mutating func giveUpWaiting() -> Active? {
        self.isBlocked = false
        self.requested = nil
        let active = self.active
        self.active = nil
        return active
    }

    /// True the first time that this call is heard of.
    mutating func toolCalled(_ id: String) -> Bool {
        guard !self.openTools.contains(id), !self.closedTools.contains(id) else { return false }
        guard self.openTools.count < OpenAIRealtimeResponses.toolLimit else { return false }
        self.openTools.append(id)
        return true
    }

    /// False: no tool of this session.
    mutating func toolAnswered(_ id: String, respond: Bool) -> Bool {
        guard let index = self.openTools.firstIndex(of: id) else { return false }
        self.openTools.remove(at: index)
        if self.closedTools.count >= OpenAIRealtimeResponses.toolLimit { self.closedTools.removeFirst() }
        self.closedTools.append(id)
        if respond { self.wantsFollowUp = true }
        return true
    }

    func knowsClosedTool(_ id: String) -> Bool { self.closedTools.contains(id) }
}
