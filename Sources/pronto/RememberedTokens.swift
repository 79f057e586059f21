import Foundation
import Records
import Synchronization

/// API tokens that the store has vouched for a while ago, so that not every request asks it, and so that a database that
/// is away does not lock everybody out. A value: time is told.
///
/// A token that is unknown is not remembered: whoever tries many is limited by their address (`APIGate`).
struct RememberedTokens {
    /// For so long a token is believed without asking. A token that was revoked elsewhere is refused after it; one that
    /// this process revoked, at once.
    static let freshness: TimeInterval = 3
    /// For so long after the store has last said that a token is good, it is good while the store does not answer: a
    /// restart of the database and a failover are over by then, and a stolen token has not been good for ever.
    static let endurance: TimeInterval = 900
    /// How often the store is asked about one token while it does not answer.
    static let pause: TimeInterval = 1
    static let limit = 10_000

    private struct Entry {
        var token: APIToken
        /// When the store said that it is good.
        var confirmedAt: Date
        /// When the store was last asked.
        var askedAt: Date
    }
    private var entries: [String: Entry] = [:]

    /// What to do about a credential.
    enum Advice: Equatable {
        /// Good, without asking.
        case believe(APIToken)
        /// Ask the store; this one counts if it does not answer.
        case confirm(APIToken)
        /// Ask the store.
        case ask
    }

    mutating func advice(hash: String, at now: Date) -> Advice {
        guard var entry = self.entries[hash] else { return .ask }
        // A clock that was set back makes an age that says nothing.
        let age = now.timeIntervalSince(entry.confirmedAt)
        guard (0..<Self.endurance).contains(age) else {
            self.entries[hash] = nil
            return .ask
        }
        if age < Self.freshness { return .believe(entry.token) }
        if (0..<Self.pause).contains(now.timeIntervalSince(entry.askedAt)) { return .believe(entry.token) }
        entry.askedAt = now
        self.entries[hash] = entry
        return .confirm(entry.token)
    }

    func contains(hash: String, at now: Date) -> Bool {
        self.entries[hash].map { (0..<Self.endurance).contains(now.timeIntervalSince($0.confirmedAt)) } ?? false
    }

    /// The store has answered. Nil, or a token that is not good any longer: nothing is remembered.
    mutating func learned(_ token: APIToken?, hash: String, at now: Date) {
        guard let token, token.isValid(at: now) else {
            self.entries[hash] = nil
            return
        }
        if self.entries[hash] == nil, self.entries.count >= Self.limit { self.makeRoom(at: now) }
        self.entries[hash] = Entry(token: token, confirmedAt: now, askedAt: now)
    }

    /// This process has revoked it.
    mutating func forget(_ id: APITokenID) {
        for (hash, entry) in self.entries where entry.token.id == id { self.entries[hash] = nil }
    }

    /// The oldest go: whoever asks often has been confirmed lately.
    private mutating func makeRoom(at now: Date) {
        let oldest = self.entries.sorted { $0.value.confirmedAt < $1.value.confirmedAt }.prefix(Self.limit / 4)
        for (hash, _) in oldest { self.entries[hash] = nil }
    }
}

/// The tokens that one process remembers.
final class TokenMemory: Sendable {
    private let tokens = Mutex(RememberedTokens())

    func advice(hash: String, at now: Date) -> RememberedTokens.Advice {
        self.tokens.withLock { $0.advice(hash: hash, at: now) }
    }
    func contains(hash: String, at now: Date) -> Bool { self.tokens.withLock { $0.contains(hash: hash, at: now) } }
    func learned(_ token: APIToken?, hash: String, at now: Date) {
        self.tokens.withLock { $0.learned(token, hash: hash, at: now) }
    }
    func forget(_ id: APITokenID) { self.tokens.withLock { $0.forget(id) } }
}

/// Refusals as the log hears of them: the first of a kind at once, then one line a while for all that came meanwhile. A
/// stranger who tries a thousand tokens writes no thousand lines.
struct RefusalLog {
    static let pause: TimeInterval = 10

    /// By slug: these are few, and none is a stranger's word.
    private var kinds: [String: (toldAt: Date, untold: Int)] = [:]

    /// Nil: say nothing now; else how many refusals the line is about.
    mutating func refused(_ slug: String, at now: Date) -> Int? {
        guard let kind = self.kinds[slug], (0..<Self.pause).contains(now.timeIntervalSince(kind.toldAt)) else {
            let untold = self.kinds[slug]?.untold ?? 0
            self.kinds[slug] = (now, 0)
            return untold + 1
        }
        self.kinds[slug] = (kind.toldAt, kind.untold + 1)
        return nil
    }
}
