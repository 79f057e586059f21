import AdminAPI
import Configuration
import Foundation
import Networking
import Observability
import PhoneServer
import Records
import Routing
import Stores
import Synchronization
import Telephony

/// Routing in a running gateway: the rows in memory, the desk that answers by them, and the log of what it answered.
final class RoutingProcess: Sendable {
    private let settings: Settings
    private let store: any RoutingStore
    private let directory: AssistantDirectory
    private let logger: Logger
    private let home: Zone
    private let activity: ActivityLog
    private let metrics: RoutingMetrics
    /// Problems of rows that have been told.
    private let told = Mutex<Set<RowProblem>>([])

    /// Throws `StartError` for a setting that cannot be.
    init(
        _ settings: Settings, _ store: any RoutingStore, _ directory: AssistantDirectory, _ registry: MetricsRegistry,
        _ logger: Logger
    ) throws {
        guard let home = Zone(settings.timeZone) else {
            throw StartError("DEFAULT_TIMEZONE: a zone of the IANA database, such as Europe/Rome or America/Sao_Paulo")
        }
        guard RoutingFallback.isReference(settings.aiRoutingFailover) else {
            throw StartError("PRONTO_AI_ROUTING_FAILOVER: an extension of 1 to 64 digits, letters, +, * and #")
        }
        self.settings = settings
        self.store = store
        self.directory = directory
        self.logger = logger
        self.home = home
        let metrics = RoutingMetrics(registry: registry)
        self.metrics = metrics
        let isAway = Atomics()
        self.activity = ActivityLog(store: store) { outcome in
            switch outcome {
            case .written:
                if isAway.exchange(false) { logger.info("Activity is written again") }
            case .failed(let error):
                // Once for each time that the database is away.
                if !isAway.exchange(true) {
                    logger.warning(
                        "Activity waits: the database does not take it", ["store.error": .string("\(error.code)")])
                }
            case .refused(let error, let count):
                logger.error(
                    "Activity lost", ["store.error": .string("\(error.code)"), "records.lost": .integer(count)])
            }
        }
        let log = self.activity
        registry.computed("pronto_activity_dropped", "Routing decisions that the log could not keep") {
            Double(log.dropped)
        }
    }

    /// One flag of two threads.
    private final class Atomics: Sendable {
        private let value = Mutex(false)
        func exchange(_ new: Bool) -> Bool {
            self.value.withLock { value in
                defer { value = new }
                return value
            }
        }
    }

    /// Reads the rows of the tenants that are named, or of all. Throws when the store cannot answer: the last rows stand.
    func rows(of tenants: Set<TenantID>?) async throws(StoreError) -> RoutingRows {
        try await self.store.routingRows(of: tenants)
    }

    /// Takes over rows that were read; what is wrong with them is logged once. One reading after another:
    /// `ConfigurationLoader` gives the turns.
    func take(_ rows: RoutingRows) {
        let table =
            rows.asked == nil
            ? RoutingTable(rows, home: self.home) : self.directory.routingTable.taking(rows)
        self.directory.replace(routing: table)
        self.metrics.brokenRows.set(table.problems.count)
        let new = self.told.withLock { told in
            defer { told = Set(table.problems) }
            return table.problems.filter { !told.contains($0) }
        }
        for problem in new.prefix(Self.toldAtOnce) {
            self.logger.warning(
                "A row of routing cannot be read: its calls go to a human",
                [
                    "row.table": .string(problem.table), "row.id": .string(problem.row),
                    "row.column": .string(problem.column), "row.repair": .string(problem.repair),
                ])
        }
        if new.count > Self.toldAtOnce {
            self.logger.warning(
                "More rows of routing cannot be read", ["rows": .integer(new.count - Self.toldAtOnce)])
        }
    }

    /// Of very many rows only so many are told by name.
    private static let toldAtOnce = 100

    /// The first reading: from the database, or, when it is away or locked, from the copy that the configuration has.
    func begin(_ copy: ConfigurationCopy?) async throws(StoreError) {
        do throws(StoreError) {
            self.take(try await self.rows(of: nil))
        } catch {
            guard error.isPassing, let copy, let age = copy.age() else { throw error }
            self.take(try copy.readRouting())
            self.directory.confirmed(before: age)
        }
    }

    func start() { self.activity.start() }
    func finish() async { await self.activity.finish() }

    /// - Parameter media: where this node's media listener is.
    func desk(_ gateway: Gateway, _ gate: APIGate, media: SocketAddress) throws -> RoutingDesk {
        let settings = self.settings
        let base = settings.aiRoutingStream ?? "\(settings.certificate == nil ? "ws" : "wss")://\(media)"
        guard Self.isStreamBase(base) else {
            throw StartError(
                "PRONTO_AI_ROUTING_URL: ws:// or wss:// with a host and no path, such as ws://10.0.0.7:8085")
        }
        let keys: TokenKeys?
        do throws(KeyListError) {
            keys = try settings.tokenKeys.map { text throws(KeyListError) in try TokenKeys(text) }
        } catch {
            throw StartError("PRONTO_TOKEN_KEYS: \(error); `pronto token new-key` makes one")
        }
        let peers = settings.allowedPeers
        let directory = self.directory
        var desk = RoutingDesk(
            table: { directory.routingTable }, single: settings.aiRouting.map { .init(isAI: $0 == .ai) },
            failover: settings.aiRoutingFailover, streamBase: base, budget: settings.routingBudget,
            onlyTenant: { directory.onlyTenant },
            refusal: { gateway.refusal(of: $0, for: $1, at: EventLoop.freshNow()) },
            assistant: { directory.assistant(for: $0, of: $1) },
            token: { tenant, call, assistant, route in
                // A minute: the call that asked is being connected now.
                keys.map {
                    StreamToken(
                        tenant: tenant, call: call, assistant: assistant, route: route, issuedAt: Date(),
                        lifetime: .seconds(60)
                    ).signed(with: $0).value
                }
            },
            who: RoutingDesk.gated(gate) { peer in peers.contains { $0.contains(peer.host) } },
            report: { [self] in self.answered($0) })
        let (limiter, rate) = (LocalRateLimiter(), Rate.perMinute(settings.routingRate))
        desk.wait = { limiter.take(RateKey(.routing, $0.text), rate, at: EventLoop.freshNow()) }
        return desk
    }

    private func answered(_ report: RoutingDesk.Report) {
        self.metrics.answered(report.reason, after: report.latency)
        // A question about no tenant is nobody's row.
        guard let tenant = report.tenant else { return }
        var record = ActivityRecord(
            id: UUID().uuidString.lowercased(), tenant: tenant, decidedAt: Date(), isAI: report.isAI,
            reason: report.reason.rawValue, latency: report.latency)
        record.call = report.call
        record.trunk = report.trunk
        record.did = NumberPolicy(rawValue: self.settings.activityNumbers.rawValue)?.applied(to: report.did)
        record.route = report.route
        record.agent = report.agent
        self.activity.add(record)
    }

    static func isStreamBase(_ text: String) -> Bool {
        for scheme in ["ws://", "wss://"] where text.hasPrefix(scheme) {
            let rest = text.dropFirst(scheme.count)
            return !rest.isEmpty
                && rest.utf8.allSatisfy {
                    (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                        || $0 == 0x2D || $0 == 0x2E || $0 == 0x3A
                }
        }
        return false
    }
}

/// What routing counts. The labels are `RoutingReason`'s: nothing that a caller sends makes a series.
final class RoutingMetrics: Sendable {
    private let decisions: [RoutingReason: Counter]
    private let latency: Histogram
    let brokenRows: Gauge

    init(registry: MetricsRegistry) {
        self.decisions = registry.counters(
            "pronto_routing_decisions_total", "Routing questions answered, by reason", label: "reason")
        self.latency = registry.histogram(
            "pronto_routing_answer_seconds", "From a routing question to its answer",
            bounds: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.4, 0.6, 1])
        self.brokenRows = registry.gauge("pronto_routing_broken_rows", "Problems found in rows of routing")
    }

    func answered(_ reason: RoutingReason, after latency: Duration) {
        self.decisions[reason]?.increment()
        self.latency.observe(latency)
    }
}
