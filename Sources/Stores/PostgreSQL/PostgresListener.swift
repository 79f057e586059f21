import Records
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

    package func watch(
        _ prepare: @Sendable () async throws(StoreError) -> Void, _ news: @Sendable (ConfigurationNews) async -> Bool
    ) async {
        var known = KnownConfiguration()
        var pause = Duration.milliseconds(100)
        while !Task.isCancelled {
            do throws(StoreError) {
                let listener = try PostgresListener(self.options.database)
                let isHeard = try await self.isHeard(by: listener)
                try await prepare()
                pause = .milliseconds(100)
                try await self.watch(isHeard ? listener : nil, &known, news)
                await listener.close()
            } catch {
                _ = await news(.away(error))
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
        _ listener: PostgresListener?, _ known: inout KnownConfiguration,
        _ news: @Sendable (ConfigurationNews) async -> Bool
    ) async throws(StoreError) {
        // What happened while nobody listened.
        var isDealtWith = try await self.look(&known, news)
        var looked = ContinuousClock.now
        while !Task.isCancelled {
            if let listener {
                let notices = try await listener.notices(within: Self.polling).filter { !$0.hasPrefix("probe") }
                if !notices.isEmpty {
                    let tenants = Set(notices.compactMap { TenantID($0) })
                    if tenants.count < Set(notices).count || tenants.count > SQLStore.mostAtOnce {
                        // Somebody's, whose a look will find.
                        isDealtWith = try await self.look(&known, news)
                        looked = .now
                    } else if try await !self.read(tenants, &known, news) {
                        isDealtWith = false
                    }
                }
            } else {
                // Ends early only by cancellation, which the loop's condition sees.
                try? await Task.sleep(for: Self.polling)
            }
            // What could not be read is tried again as soon as somebody who polls would look.
            if listener == nil || !isDealtWith || ContinuousClock.now - looked > Self.confirmation {
                isDealtWith = try await self.look(&known, news)
                looked = .now
            }
        }
    }

    /// Looks at everything; false: there was something that could not be dealt with.
    private func look(
        _ known: inout KnownConfiguration, _ news: @Sendable (ConfigurationNews) async -> Bool
    ) async throws(StoreError) -> Bool {
        let tables = try await self.perform(within: nil) { database throws(StoreError) in
            try database.rows(WatchedTable.fingerprint).first?.text("fingerprint") ?? ""
        }
        guard !known.isCurrent(tables) else {
            _ = await news(.unchanged)
            return true
        }
        let found = try await self.fingerprints(of: nil)
        let change = known.news(found)
        let isDealtWith = await news(change)
        guard isDealtWith || change == .unchanged else { return false }
        known.know(tables, found)
        return true
    }

    /// Has some tenants' rows read; false: they could not be.
    private func read(
        _ tenants: Set<TenantID>, _ known: inout KnownConfiguration,
        _ news: @Sendable (ConfigurationNews) async -> Bool
    ) async throws(StoreError) -> Bool {
        let found = try await self.fingerprints(of: tenants)
        let change = known.news(of: tenants, found)
        // Known by a look already; and it says nothing of the others.
        guard change != .unchanged else { return true }
        guard await news(change) else { return false }
        known.know(tenants, found)
        return true
    }

    /// Nil: of all.
    private func fingerprints(
        of tenants: Set<TenantID>?
    ) async throws(StoreError) -> KnownConfiguration.Fingerprints {
        let ids = (tenants ?? []).map { StoredValue.text($0.text) }
        let values = WatchedTable.all.flatMap { _ in ids }
        let question = WatchedTable.fingerprints(of: tenants.map(\.count))
        return try await self.perform(within: SQLStore.loadingTime) { database throws(StoreError) in
            var found: KnownConfiguration.Fingerprints = [:]
            try database.each(question, values) { row throws(StoreError) in
                // 64 bits of it: a text for each of ten thousand tenants would be megabytes.
                found[try row.text("tenant")] = try row.text("fingerprint").hashValue
            }
            return found
        }
    }
}
