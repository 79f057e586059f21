import Records
import Routing
import Telephony

/// What a watch over PostgreSQL has told and seen dealt with, by fingerprints of rows; says what is to be told next.
///
/// A fingerprint is taken *before* what it stands for is read, so that a change in between is read twice at worst and missed
/// never. What was told and not dealt with is not known: the next look finds it again, whatever else was read meanwhile.
/// Each tenant has a fingerprint of its own: what one tenant's notice brings to be read says nothing of a table that has
/// no triggers, and a look that finds a change finds whose it is.
struct KnownConfiguration: Sendable {
    /// By the tenant's id as its rows have it; rows that name none are the empty text's.
    typealias Fingerprints = [String: Int]

    private var tables: String?
    /// Nil: nothing has been dealt with yet.
    private var tenants: Fingerprints?

    /// Whether the tables as a whole are as they were when everything was known; else the tenants are to be looked at.
    func isCurrent(_ tables: String) -> Bool { self.tenants != nil && self.tables == tables }

    /// What a look at all tenants has found.
    func news(_ found: Fingerprints) -> ConfigurationNews {
        guard let known = self.tenants else { return .changed(nil) }
        var changed: Set<TenantID> = []
        for key in Set(known.keys).union(found.keys) where known[key] != found[key] {
            // A row that is nobody's may be about anybody.
            guard let tenant = TenantID(key), changed.count < SQLStore.mostAtOnce else { return .changed(nil) }
            changed.insert(tenant)
        }
        return changed.isEmpty ? .unchanged : .changed(changed)
    }

    /// What notices of these tenants mean: those of them that are not known already.
    func news(of tenants: Set<TenantID>, _ found: Fingerprints) -> ConfigurationNews {
        guard let known = self.tenants else { return .changed(nil) }
        let changed = tenants.filter { known[$0.text] != found[$0.text] }
        return changed.isEmpty ? .unchanged : .changed(changed)
    }

    /// Everything has been dealt with. `tables` was found before `tenants` were, and both before anything was read.
    mutating func know(_ tables: String, _ tenants: Fingerprints) {
        self.tables = tables
        self.tenants = tenants
    }

    /// What these tenants have has been dealt with.
    mutating func know(_ tenants: Set<TenantID>, _ found: Fingerprints) {
        for tenant in tenants { self.tenants?[tenant.text] = found[tenant.text] }
    }
}

/// A table whose rows gateways have in memory, and its column of the tenant.
struct WatchedTable: Sendable {
    let name: String
    let tenant: String
    /// The number of the transaction that wrote a row.
    var version = "xmin::text::bigint"

    static let all =
        ConfigurationTable.allCases.map { WatchedTable(name: $0.name, tenant: "domain_uuid") }
        + RoutingRows.tables.map { WatchedTable(name: $0, tenant: "tenant_id") }
        + AccessTable.allCases.map { WatchedTable(name: $0.rawValue, tenant: "domain_uuid") }
        + OlderTable.allCases.map { WatchedTable(name: $0.source, tenant: "domain_uuid", version: "version") }

    // A row that was written bears the number of its transaction (`xmin`), which only grows: how many rows there are and
    // the sum of these numbers differ whenever one was added, changed or removed. Asks for no trigger, and no right but to
    // read.
    private var print: String { "count(*) || ':' || coalesce(sum(\(self.version)), 0)" }

    /// One text for all tables.
    static var fingerprint: String {
        "SELECT " + Self.all.map { "(SELECT \($0.print) FROM \($0.name))" }.joined(separator: " || '/' || ")
            + " AS fingerprint"
    }

    /// One text for each tenant: of `count` tenants, whose ids are asked for once for each table; nil: of all.
    static func fingerprints(of count: Int?) -> String {
        let parts = Self.all.enumerated().map { number, table in
            let marks = Array(repeating: "?", count: count ?? 0).joined(separator: ", ")
            let condition = count == nil ? "" : "WHERE \(table.tenant) IN (\(marks)) "
            return
                "SELECT coalesce(lower(\(table.tenant)::text), '') AS tenant, '\(number):' || \(table.print) AS part "
                + "FROM \(table.name) \(condition)GROUP BY 1"
        }
        return "SELECT tenant, string_agg(part, '/' ORDER BY part) AS fingerprint FROM ("
            + parts.joined(separator: " UNION ALL ") + ") AS parts GROUP BY tenant"
    }
}
