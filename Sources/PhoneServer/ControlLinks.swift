import EventSocket
import Networking
import Observability
import Records
import Synchronization
import Telephony

/// The Event Sockets of an installation: one supervised link for each distinct switch (host, port and password), shared
/// by the tenants on it.
///
/// A tenant with an Event Socket of its own uses that and nothing else; the others use the one of the settings, if there
/// is one. Links open and close as tenants change; one that calls still use goes on until the last of them has ended.
package final class ControlLinks: Sendable {
    /// What makes two tenants' switches the same.
    private struct Address: Hashable {
        var host: String
        var port: UInt16
        var password: String
    }

    private enum Way {
        case link(ControlLink)
        /// The tenant has a switch of its own, and its password cannot be read.
        case closed
    }

    /// One link as `/health` shows it.
    package struct Summary: Sendable, Equatable {
        package var address: String
        /// `ready`, `connecting`, `interrupted`, `down`.
        package var status: String
        /// Why it is not ready; nil when it is.
        package var reason: String?
        /// How many tenants have this switch as their own; the one of the settings serves all others.
        package var tenants: Int
    }

    private struct State {
        var links: [Address: ControlLink] = [:]
        var ways: [TenantID: Way] = [:]
        var fallback: ControlLink?
        var fallbackAddress: Address?
        /// Opened so far: spreads links over the loops, and names their jobs.
        var opened = 0
        var isStarted = false
        var isStopped = false
        var observer: (@Sendable (ControlLink) -> Void)?
    }

    private let configuration: InboundClient.Configuration
    private let group: EventLoopGroup
    private let logger: Logger
    private let metrics: ControlMetrics
    private let jobPrefix: String
    private let seed: UInt64
    private let state = Mutex(State())

    /// - Parameters:
    ///   - configuration: of every link but for the password, and for what a tenant's own switch says.
    ///   - home: host and port of the settings' own switch, whose password is the configuration's; nil: there is none.
    ///   - jobPrefix: letters, digits and dashes that no other client of the switches uses.
    package init(
        configuration: InboundClient.Configuration, home: (host: String, port: UInt16)?, group: EventLoopGroup,
        logger: Logger, metrics: ControlMetrics, seed: UInt64, jobPrefix: String
    ) {
        self.configuration = configuration
        self.group = group
        self.logger = logger
        self.metrics = metrics
        self.seed = seed
        self.jobPrefix = jobPrefix
        guard let home else { return }
        let address = Address(host: home.host, port: home.port, password: configuration.password.value)
        self.state.withLock { state in
            let link = self.open(address, configuration, &state)
            state.fallback = link
            state.fallbackAddress = address
        }
    }

    /// Connects the links that there are; those that come later connect at once.
    package func start() {
        for link in self.state.withLock({ state in
            state.isStarted = true
            return Array(state.links.values)
        }) { link.start() }
    }

    /// Calls `observer` with every link that there is, and with each that is opened later. Once.
    package func observe(_ observer: @escaping @Sendable (ControlLink) -> Void) {
        for link in self.state.withLock({ state in
            state.observer = observer
            return Array(state.links.values)
        }) { observer(link) }
    }

    package func stop() {
        for link in self.state.withLock({ state in
            state.isStopped = true
            return Array(state.links.values)
        }) { link.stop() }
    }

    /// Takes the tenants' own switches anew: `accounts` is all of them.
    package func replace(with accounts: [SwitchAccount]) {
        let (opened, closed) = self.state.withLock { state -> ([ControlLink], [ControlLink]) in
            guard !state.isStopped else { return ([], []) }
            var opened: [ControlLink] = []
            var ways: [TenantID: Way] = [:]
            var used: Set<Address> = []
            if let address = state.fallbackAddress { used.insert(address) }
            for account in accounts where account.isEnabled {
                guard let password = account.password?.value, let port = UInt16(exactly: account.port) else {
                    self.closeWay(of: account.tenant, before: state.ways[account.tenant])
                    ways[account.tenant] = .closed
                    continue
                }
                let address = Address(host: account.host.lowercased(), port: port, password: password)
                used.insert(address)
                if let link = state.links[address] {
                    ways[account.tenant] = .link(link)
                } else {
                    let link = self.open(address, self.configuration(for: account, password), &state)
                    opened.append(link)
                    ways[account.tenant] = .link(link)
                }
            }
            let unused = state.links.keys.filter { !used.contains($0) }
            let closed = unused.compactMap { state.links.removeValue(forKey: $0) }
            state.ways = ways
            return (state.isStarted ? opened : [], closed)
        }
        let observer = self.state.withLock { $0.observer }
        for link in opened {
            observer?(link)
            link.start()
        }
        for link in closed { link.retire() }
        if !closed.isEmpty { self.count() }
    }

    /// The way to the switch that has this tenant's channels; nil: none is configured.
    package func control(for tenant: TenantID) -> (any CallControl)? {
        self.state.withLock { state in
            switch state.ways[tenant] {
            case .link(let link): link
            case .closed: ClosedControl()
            case nil: state.fallback
            }
        }
    }

    /// The link itself, for what `CallControl` does not have.
    package func link(for tenant: TenantID) -> ControlLink? { self.control(for: tenant) as? ControlLink }

    package var summaries: [Summary] {
        let (links, ways) = self.state.withLock { (Array($0.links.values), $0.ways) }
        return links.map { link in
            let tenants = ways.values.count { way in
                if case .link(let own) = way { own === link } else { false }
            }
            let (status, reason) = Self.words(link.status)
            return Summary(
                address: "\(link.host):\(link.port)", status: status.rawValue, reason: reason?.rawValue,
                tenants: tenants)
        }.sorted { ($0.address, $0.tenants) < ($1.address, $1.tenants) }
    }

    // MARK: Private steps

    private func closeWay(of tenant: TenantID, before: Way?) {
        if case .closed? = before { return }  // said already
        self.logger.error(
            "A tenant's Event Socket cannot be used: its password cannot be decrypted",
            [
                "tenant.id": .string(tenant.text),
                "repair": .string("set PRONTO_SECRET_KEY as it was, or set the password anew: pronto tenant set"),
            ])
    }

    private func configuration(for account: SwitchAccount, _ password: String) -> InboundClient.Configuration {
        var configuration = self.configuration
        configuration.password = Redacted(password)
        configuration.connectTimeout = account.connectTimeout ?? configuration.connectTimeout
        configuration.readTimeout = account.readTimeout ?? configuration.readTimeout
        return configuration
    }

    private func open(
        _ address: Address, _ configuration: InboundClient.Configuration, _ state: inout State
    ) -> ControlLink {
        let number = state.opened
        state.opened += 1
        let link = ControlLink(
            host: address.host, port: address.port, configuration: configuration, seed: self.seed &+ UInt64(number),
            jobPrefix: "\(self.jobPrefix)-\(number)", loop: self.group.loops[number % self.group.loops.count],
            logger: self.logger, metrics: self.metrics
        ) { [weak self] _ in self?.count() }
        state.links[address] = link
        return link
    }

    private func count() {
        var counts: [ControlMetrics.State: Int] = [:]
        for link in self.state.withLock({ Array($0.links.values) }) {
            counts[Self.words(link.status).status, default: 0] += 1
        }
        self.metrics.show(counts)
    }

    private static func words(
        _ status: InboundClient.Status
    ) -> (status: ControlMetrics.State, reason: EventSocketLoss?) {
        switch status {
        case .ready: (.ready, nil)
        case .connecting, .stopped: (.connecting, nil)
        case .interrupted(let loss): (.interrupted, loss)
        case .down(let loss): (.down, loss)
        }
    }
}

/// A switch that is there and cannot be reached by any try of ours: what it is asked fails at once. Another tenant's
/// switch never stands in for it.
private struct ClosedControl: CallControl {
    var isAvailable: Bool { false }
    var isDown: Bool { true }
    func ask(
        _ command: ApiCommand, timeout: Duration?,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
    ) { done(.failure(.stopped)) }
    func watch(_ channel: CallID, observer: @escaping @Sendable (ChannelNews) -> Void) {}
    func unwatch(_ channel: CallID) {}
}
