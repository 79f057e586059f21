import Records
import Synchronization

/// A few connections to PostgreSQL, each on a thread of its own, that all questions share.
///
/// A question takes an idle connection, or waits in a bounded list for one. While no connection lives, and the first try
/// to make one has failed, questions are refused at once: a caller waits for a database that is slow, never for one that
/// is known to be away. A connection that was lost is made anew in the background, with growing pauses.
package final class PostgresPool: SQLConnections {
    package struct Options: Sendable {
        package var database: PostgresDatabase.Options
        /// Connections at once (PRONTO_DB_POOL).
        package var size = 4
        /// Questions that may wait at once; the next is `overloaded`.
        package var waitingLimit = 4096
        /// Whether changes of the configuration are listened for; otherwise they are looked for.
        package var listens = true
        /// Pauses between tries to connect: the first, and the longest that doubling leads to.
        package var pauses: ClosedRange<Duration> = .milliseconds(100) ... .seconds(2)

        package init(database: PostgresDatabase.Options) { self.database = database }
    }

    /// One connection, confined to its thread.
    private actor Member {
        nonisolated let number: Int
        private nonisolated let executor: ThreadExecutor
        private var database: PostgresDatabase?

        init(number: Int) throws(StoreError) {
            guard let executor = ThreadExecutor() else { throw StoreError(.unavailable, "the system gives no thread") }
            self.number = number
            self.executor = executor
        }

        // Nobody can ask any more: the thread may end.
        deinit { self.executor.stop() }

        nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

        func connect(_ options: PostgresDatabase.Options) throws(StoreError) {
            self.database = nil
            self.database = try PostgresDatabase(options: options)
        }

        func close() { self.database = nil }

        enum Outcome<Value: Sendable>: Sendable {
            /// The session was gone before anything was asked.
            case stale
            /// And whether the connection can be used again.
            case done(Result<Value, StoreError>, isUsable: Bool)
        }

        func perform<Value: Sendable>(
            within time: Duration?, _ body: @Sendable (any SQLDatabase) throws(StoreError) -> Value
        ) -> Outcome<Value> {
            guard let database = self.database, database.isAlive else { return .stale }
            let result: Result<Value, StoreError>
            do throws(StoreError) {
                try database.begin(within: time)
                result = .success(try body(database))
            } catch {
                result = .failure(error)
            }
            var isUsable = database.end(within: time)
            // A server that became a standby takes no writes for as long as the session lasts: look for another.
            if case .failure(let error) = result, error.code == .readOnly { isUsable = false }
            return .done(result, isUsable: isUsable)
        }
    }

    private struct Waiting {
        var until: ContinuousClock.Instant
        var continuation: CheckedContinuation<Result<Member, StoreError>, Never>
    }

    private struct State {
        var idle: [Member] = []
        /// Connections that live, idle or at work.
        var living = 0
        /// Connections whose first try to be made is under way.
        var trying = 0
        var waiting: [Waiting] = []
        /// The place in `waiting` of the first that still waits; the list is shortened now and then.
        var first = 0
        var isClosed = false
        var closing: [CheckedContinuation<Void, Never>] = []
        var failure = StoreError(.unavailable, "the database cannot be reached")
        var connecting: [Int: Task<Void, Never>] = [:]

        var waits: Int { self.waiting.count - self.first }

        mutating func next() -> Waiting? {
            guard self.first < self.waiting.count else { return nil }
            let next = self.waiting[self.first]
            self.first += 1
            if self.first == self.waiting.count || self.first > 1024 {
                self.waiting.removeFirst(self.first)
                self.first = 0
            }
            return next
        }

        /// All that wait, who wait no longer.
        mutating func everybody() -> [Waiting] {
            defer {
                self.waiting = []
                self.first = 0
            }
            return Array(self.waiting[self.first...])
        }
    }

    let options: Options
    private let state = Mutex(State())

    package var dialect: SQLDialect { .postgres }

    /// Makes the first connection, or throws what is in its way; the others follow in the background.
    package init(_ options: Options) async throws(StoreError) {
        self.options = options
        let first = try Member(number: 0)
        try await first.connect(options.database)
        self.state.withLock { state in
            state.living = 1
            state.idle = [first]
        }
        for number in 1..<max(options.size, 1) {
            let member = try Member(number: number)
            self.state.withLock { $0.trying += 1 }
            self.connect(member)
        }
    }

    /// Without a connection yet: all are tried for in the background.
    package init(away options: Options) throws(StoreError) {
        self.options = options
        for number in 0..<max(options.size, 1) {
            let member = try Member(number: number)
            self.state.withLock { $0.trying += 1 }
            self.connect(member)
        }
    }

    deinit { for task in self.state.withLock({ $0.connecting.values }) { task.cancel() } }

    package func perform<Value: Sendable>(
        within time: Duration?, _ body: @Sendable (any SQLDatabase) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        while true {
            let member = try await self.member().get()
            switch await member.perform(within: time, body) {
            case .stale: self.lost(member)
            case .done(let result, let isUsable):
                if isUsable { self.back(member) } else { self.lost(member) }
                return try result.get()
            }
        }
    }

    package func close() async {
        await withCheckedContinuation { continuation in
            let (tasks, isOver, refused) = self.state.withLock { state in
                state.isClosed = true
                let tasks = Array(state.connecting.values)
                let isOver = state.living == state.idle.count
                if !isOver { state.closing.append(continuation) }
                return (tasks, isOver, state.living == 0 ? state.everybody() : [])
            }
            for task in tasks { task.cancel() }
            Self.refuse(refused, StoreError(.closed, "the store is closed"))
            if isOver { continuation.resume() }
        }
        let idle = self.state.withLock { state in
            defer { state.idle = [] }
            state.living -= state.idle.count
            return state.idle
        }
        for member in idle { await member.close() }
    }

    // MARK: Lending

    private func member() async -> Result<Member, StoreError> {
        await withCheckedContinuation { continuation in
            let answer: Result<Member, StoreError>? = self.state.withLock { state in
                if state.isClosed { return .failure(StoreError(.closed, "the store is closed")) }
                if let member = state.idle.popLast() { return .success(member) }
                guard state.living > 0 || state.trying > 0 else { return .failure(state.failure) }
                guard state.waits < self.options.waitingLimit else {
                    return .failure(StoreError(.overloaded, "too many questions wait for the database"))
                }
                let until = ContinuousClock.now + self.options.database.time
                state.waiting.append(Waiting(until: until, continuation: continuation))
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// A connection is free: the next that waits has it. Who has waited too long is told so; a connection is never away
    /// for longer than its question's time, so that this is soon enough.
    private func back(_ member: Member) {
        let now = ContinuousClock.now
        var late: [Waiting] = []
        var next: Waiting?
        let closing: [CheckedContinuation<Void, Never>] = self.state.withLock { state in
            while let waiting = state.next() {
                if waiting.until > now {
                    next = waiting
                    return []
                }
                late.append(waiting)
            }
            state.idle.append(member)
            guard state.isClosed, state.living == state.idle.count else { return [] }
            defer { state.closing = [] }
            return state.closing
        }
        Self.refuse(late, StoreError(.overloaded, "the database's connections were all busy for too long"))
        next?.continuation.resume(returning: .success(member))
        for continuation in closing { continuation.resume() }
    }

    private func lost(_ member: Member) {
        var refused: [Waiting] = []
        let closing: [CheckedContinuation<Void, Never>]? = self.state.withLock { state in
            state.living -= 1
            guard state.isClosed else {
                state.trying += 1
                return nil
            }
            if state.living == 0 { refused = state.everybody() }
            guard state.living == state.idle.count else { return [] }
            defer { state.closing = [] }
            return state.closing
        }
        Self.refuse(refused, StoreError(.closed, "the store is closed"))
        if let closing {
            for continuation in closing { continuation.resume() }
        } else {
            self.connect(member)
        }
    }

    // MARK: Connecting

    /// Tries until it has succeeded or the pool is closed.
    private func connect(_ member: Member) {
        let options = self.options
        let task = Task { [weak self] in
            var pause = options.pauses.lowerBound
            var isFirst = true
            while !Task.isCancelled {
                do throws(StoreError) {
                    try await member.connect(options.database)
                    guard let self else { return }
                    self.connected(member, wasFirst: isFirst)
                    return
                } catch {
                    self?.failed(error, wasFirst: isFirst)
                    isFirst = false
                }
                // Not all in the same moment: a server that comes back has others to serve too.
                // Fails only by cancellation, which the loop's condition sees.
                try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
                pause = min(pause * 2, options.pauses.upperBound)
            }
        }
        self.state.withLock { state in
            if state.isClosed { task.cancel() }
            state.connecting[member.number] = task
        }
    }

    private func connected(_ member: Member, wasFirst: Bool) {
        let isWanted = self.state.withLock { state in
            if wasFirst { state.trying -= 1 }
            guard !state.isClosed else { return false }
            state.living += 1
            return true
        }
        // Otherwise the pool was closed meanwhile: the connection ends with its last owner, who is the caller.
        if isWanted { self.back(member) }
    }

    private func failed(_ error: StoreError, wasFirst: Bool) {
        let refused: [Waiting] = self.state.withLock { state in
            if wasFirst { state.trying -= 1 }
            state.failure = error
            return state.living == 0 && state.trying == 0 ? state.everybody() : []
        }
        Self.refuse(refused, error)
    }

    private static func refuse(_ waiting: [Waiting], _ error: StoreError) {
        for waiting in waiting { waiting.continuation.resume(returning: .failure(error)) }
    }
}
