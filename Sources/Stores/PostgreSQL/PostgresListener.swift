import Records
import Routing
import Telephony

/// A connection of its own that waits for notices, on a thread of its own: a pooled one would be lent to somebody else
/// meanwhile.
actor PostgresListener {
    static let channel = "pronto_configuration"

    private nonisolated let executor: ThreadExecutor
    private let options: PostgresDatabase.Options
    private var database: PostgresDatabase?

    init(_ options: PostgresDatabase.Options) throws(StoreError) {
        guard let executor = ThreadExecutor() else { throw StoreError(.unavailable, "the system gives no thread") }
        self.executor = executor
        self.options = options
    }

    // Nobody can ask any more: the thread may end.
    deinit { self.executor.stop() }

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

    /// Connects and listens.
    func listen() throws(StoreError) {
        self.database = nil
        let database = try PostgresDatabase(options: self.options)
        try database.begin(within: nil)
        try database.execute("LISTEN \(Self.channel)")
        self.database = database
    }

    /// Whether a notice that somebody else has sent just now comes through.
    func hears(_ notice: String) throws(StoreError) -> Bool {
        try self.database?.notices(within: .seconds(1), until: notice).contains(notice) ?? false
    }

    /// What has been said, after a wait of `time` at the most.
    func notices(within time: Duration) throws(StoreError) -> [String] {
        guard let database = self.database else {
            throw StoreError(.unavailable, "the connection to the database was lost")
        }
        do throws(StoreError) {
            return try database.notices(within: time, until: nil)
        } catch {
            self.database = nil
            throw error
        }
    }

    func close() { self.database = nil }
}

extension PostgresPool {
    /// How often to look for oneself: where notices come, in case that a table has no triggers (it belongs to somebody
    /// else), and to know that what is known is still true; and where they do not come.
    private static let confirmation = Duration.seconds(5)
    private static let polling = Duration.milliseconds(500)

    package func watch(_ news: @Sendable (ConfigurationNews) async -> Void) async {
        var known: String?
        var pause = Duration.milliseconds(100)
        while !Task.isCancelled {
            do throws(StoreError) {
                let listener = try PostgresListener(self.options.database)
                let isHeard = try await self.isHeard(by: listener)
                pause = .milliseconds(100)
                try await self.watch(isHeard ? listener : nil, &known, news)
                await listener.close()
            } catch {
                await news(.away(error))
            }
            // Ends early only by cancellation, which the loop's condition sees.
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, self.options.pauses.upperBound)
        }
    }

    /// Connects the listener; false: notices do not come through. A pooler in transaction mode takes LISTEN and loses it,
    /// which only a notice from another connection shows.
    private func isHeard(by listener: PostgresListener) async throws(StoreError) -> Bool {
        guard self.options.listens else { return false }
        try await listener.listen()
        let probe = "probe \(UInt64.random(in: 0 ... .max))"
        try await self.perform(within: nil) { database throws(StoreError) in
            _ = try database.rows("SELECT pg_notify(?, ?)", [.text(PostgresListener.channel), .text(probe)])
        }
        return try await listener.hears(probe)
    }

    /// Until the connection is lost, which throws, or the task is cancelled.
    private func watch(
        _ listener: PostgresListener?, _ known: inout String?, _ news: @Sendable (ConfigurationNews) async -> Void
    ) async throws(StoreError) {
        // What happened while nobody listened.
        try await self.look(&known, news)
        var looked = ContinuousClock.now
        while !Task.isCancelled {
            if let listener {
                let notices = try await listener.notices(within: Self.polling).filter { !$0.hasPrefix("probe") }
                if !notices.isEmpty {
                    let tenants = Set(notices.compactMap { TenantID($0) })
                    let isAll = notices.contains { TenantID($0) == nil } || tenants.count > SQLStore.mostAtOnce
                    // Taken before they are read: the next look shall not take these for news, nor miss what follows.
                    known = try await self.fingerprint()
                    await news(.changed(isAll ? nil : tenants))
                    looked = .now
                }
            } else {
                // Ends early only by cancellation, which the loop's condition sees.
                try? await Task.sleep(for: Self.polling)
            }
            if listener == nil || ContinuousClock.now - looked > Self.confirmation {
                try await self.look(&known, news)
                looked = .now
            }
        }
    }

    private func look(
        _ known: inout String?, _ news: @Sendable (ConfigurationNews) async -> Void
    ) async throws(StoreError) {
        let now = try await self.fingerprint()
        await news(now == known ? .unchanged : .changed(nil))
        known = now
    }

    /// Differs whenever a row was added, changed or removed: a row that was written bears the number of its transaction
    /// (`xmin`), which only grows. Asks for no trigger, and no right but to read.
    private func fingerprint() async throws(StoreError) -> String {
        let tables = ConfigurationTable.allCases.map(\.name) + RoutingRows.tables
        let parts = tables.map { "(SELECT count(*) || ':' || coalesce(sum(xmin::text::bigint), 0) FROM \($0))" }
        let question = "SELECT " + parts.joined(separator: " || '/' || ") + " AS fingerprint"
        return try await self.perform(within: nil) { database throws(StoreError) in
            try database.rows(question).first?.text("fingerprint") ?? ""
        }
    }
}
