import Telephony

/// Which names are being looked up, who waits for them, and what was found lately. A value: the shell (`Resolver`) looks up.
///
/// A name whose server does not answer blocks a thread for as long as resolv.conf says (glibc: 5 s a try). So equal questions
/// share one lookup, and what was found, or not found, is good for some seconds: one tenant's dead zone takes one thread,
/// however many of its calls ask for it.
struct LookupTable<Waiter> {
    struct Name: Hashable, Sendable {
        let host: String
        let port: UInt16
    }

    enum Answer {
        /// Known from shortly before; empty: there is none.
        case known([SocketAddress])
        /// Look it up, then say `done`.
        case lookUp
        /// Somebody looks it up already, or will when there is room.
        case waits
        /// Too many wait.
        case refused
    }

    private struct Found {
        let addresses: [SocketAddress]
        let until: Duration
    }

    /// At once: lookups, and what may wait beside them.
    private let lookups: Int
    private let waiters: Int
    private var waiting: [Name: [Waiter]] = [:]
    private var running: Set<Name> = []
    /// Names that wait for room, in the order of asking.
    private var queue: [Name] = []
    private var waiterCount = 0
    private var found: [Name: Found] = [:]

    /// Names of which something is known.
    var known: Int { self.found.count }

    init(lookups: Int = 16, waiters: Int = 1024) {
        self.lookups = lookups
        self.waiters = waiters
    }

    mutating func ask(_ name: Name, by waiter: Waiter, at now: Duration) -> Answer {
        if let found = self.found[name] {
            if now < found.until { return .known(found.addresses) }
            self.found[name] = nil
        }
        guard self.waiterCount < self.waiters else { return .refused }
        self.waiterCount += 1
        let isAsked: Bool = self.waiting[name] != nil
        self.waiting[name, default: []].append(waiter)
        if isAsked { return .waits }
        guard self.running.count < self.lookups else {
            self.queue.append(name)
            return .waits
        }
        self.running.insert(name)
        return .lookUp
    }

    /// The lookup of `name`, begun at `began`, has ended.
    ///
    /// - Returns: who waited for it, and the name that is to be looked up next.
    mutating func done(
        _ name: Name, _ addresses: [SocketAddress], began: Duration, at now: Duration
    ) -> (waiters: [Waiter], next: Name?) {
        let waiters: [Waiter] = self.waiting.removeValue(forKey: name) ?? []
        self.waiterCount -= waiters.count
        self.running.remove(name)
        // What took long to fail would take a thread as long again.
        let isSlow: Bool = addresses.isEmpty && now - began > .seconds(1)
        let good: Duration = isSlow || !addresses.isEmpty ? .seconds(10) : .seconds(2)
        self.keep(Found(addresses: addresses, until: now + good), name, now)
        guard !self.queue.isEmpty else { return (waiters, nil) }
        let next: Name = self.queue.removeFirst()
        self.running.insert(next)
        return (waiters, next)
    }

    private mutating func keep(_ entry: Found, _ name: Name, _ now: Duration) {
        if self.found.count >= 512 {
            self.found = self.found.filter { $0.value.until > now }
            // Still full of names that are good: somebody asks for many; what is not kept is looked up again.
            if self.found.count >= 512 { return }
        }
        self.found[name] = entry
    }
}
