import Telephony

/// The numbers that one row of `voip_trunk_ai_settings` names.
struct RouteNumbers: Sendable {
    /// Nil: every number.
    var allowed: Set<String>?
    var blocked: Set<String> = []
}

/// One tenant's rows by what a question says of its call: a decision looks up a few of them, however many there are. A
/// carrier's trunk may have a row for each of ten thousand numbers.
///
/// Rows are places in `RoutingTable.Tenant.routes`, which is in the order of ids: of equals the lowest place decides.
struct RouteIndex: Sendable {
    /// What a row says of the calls that it is for; nil: every trunk, every store.
    struct Scope: Hashable, Sendable {
        var trunk: String?
        var store: String?
    }

    /// Rows of one scope.
    fileprivate struct Group: Sendable {
        var count = 0
        /// The lowest place.
        var first: Int
        /// The lowest place of those that list no numbers; one whose list cannot be read may be for every number.
        var ofEveryNumber: Int?
        /// The lowest place that lists, or blocks, a number.
        var listed: [String: Int] = [:]
        var blocked: [String: Int] = [:]
    }

    private var groups: [Scope: Group] = [:]

    /// Rows come in the order of their places.
    mutating func add(_ scope: Scope, _ numbers: RouteNumbers, at place: Int) {
        var group = self.groups.removeValue(forKey: scope) ?? Group(first: place)
        group.count += 1
        if let allowed = numbers.allowed {
            for number in allowed where group.listed[number] == nil { group.listed[number] = place }
        } else if group.ofEveryNumber == nil {
            group.ofEveryNumber = place
        }
        for number in numbers.blocked where group.blocked[number] == nil { group.blocked[number] = place }
        self.groups[scope] = group
    }

    /// Trunks that rows name; one more than once where it has several stores.
    var trunks: some Sequence<String> { self.groups.keys.lazy.compactMap(\.trunk) }

    /// Numbers that rows list; one more than once where several rows do.
    var numbers: some Sequence<String> { self.groups.values.lazy.flatMap(\.listed.keys) }

    /// Rows for one trunk and store (or every), the most specific first: with the store before without it, then with the
    /// trunk before without it.
    struct Match: Sendable {
        fileprivate var groups: [(scope: Scope, group: Group)]

        var count: Int { self.groups.reduce(0) { $0 + $1.group.count } }

        /// The most specific, whatever the number.
        var general: Int? { self.groups.first?.group.first }

        /// The row that blocks one of the forms of a number, if any: rows of every trunk before the trunk's own.
        func blocking(_ forms: [String]) -> Int? {
            func lowest(ofEveryTrunk: Bool) -> Int? {
                self.groups.compactMap { scope, group in
                    (scope.trunk == nil) == ofEveryTrunk ? forms.compactMap { group.blocked[$0] }.min() : nil
                }.min()
            }
            return lowest(ofEveryTrunk: true) ?? lowest(ofEveryTrunk: false)
        }

        /// The row that takes a number: one that lists it before one that takes every number.
        func taking(_ forms: [String]) -> Int? {
            for (_, group) in self.groups {
                if let place = forms.compactMap({ group.listed[$0] }).min() { return place }
            }
            return self.groups.lazy.compactMap(\.group.ofEveryNumber).first
        }
    }

    func match(trunk: String?, store: String?) -> Match {
        var scopes: [Scope] = []
        for store in store == nil ? [nil] : [store, nil] {
            for trunk in trunk == nil ? [nil] : [trunk, nil] { scopes.append(Scope(trunk: trunk, store: store)) }
        }
        return Match(groups: scopes.compactMap { scope in self.groups[scope].map { (scope, $0) } })
    }
}

/// Whose a domain, a trunk or a number is. What several tenants have is nobody's. To add or remove twice is to do it once.
struct RouteOwners: Sendable {
    enum Owner: Sendable, Equatable {
        case one(TenantID)
        case several
    }

    private var single: [String: TenantID] = [:]
    private var shared: [String: Set<TenantID>] = [:]

    subscript(key: String) -> Owner? {
        if let tenant = self.single[key] { return .one(tenant) }
        return self.shared[key] == nil ? nil : .several
    }

    mutating func add(_ key: String, _ tenant: TenantID) {
        if self.shared[key] != nil {
            self.shared[key]?.insert(tenant)
        } else if let other = self.single[key], other != tenant {
            self.single[key] = nil
            self.shared[key] = [other, tenant]
        } else {
            self.single[key] = tenant
        }
    }

    mutating func remove(_ key: String, _ tenant: TenantID) {
        if self.single[key] == tenant {
            self.single[key] = nil
        } else if var tenants = self.shared[key] {
            tenants.remove(tenant)
            if tenants.count == 1, let last = tenants.first {
                self.shared[key] = nil
                self.single[key] = last
            } else {
                self.shared[key] = tenants
            }
        }
    }
}
