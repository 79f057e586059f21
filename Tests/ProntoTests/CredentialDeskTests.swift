import AdminAPI
import Foundation
import Networking
import Observability
import Records
import Stores
import Synchronization
import Telephony
import Testing

@testable import pronto

@Suite("Whose a credential is")
struct CredentialDeskTests {
    private static let start = Date(timeIntervalSince1970: 1_800_000_000)

    private func token(expires: Date? = nil) throws -> APIToken {
        APIToken(
            id: try #require(APITokenID("00000000-0000-4000-8000-000000000001")), tenant: nil, name: "n", role: .viewer,
            prefix: "pronto_x", hash: "h", createdAt: Self.start, expiresAt: expires)
    }

    @Test("A token is believed for seconds, asked about after that, and stands for a while where nobody answers")
    func memory() throws {
        var tokens = RememberedTokens()
        let token = try self.token()
        func at(_ seconds: Double) -> Date { Self.start.addingTimeInterval(seconds) }
        #expect(tokens.advice(hash: "h", at: at(0)) == .ask)
        tokens.learned(token, hash: "h", at: at(0))
        #expect(tokens.advice(hash: "h", at: at(2.9)) == .believe(token))
        #expect(tokens.advice(hash: "h", at: at(3)) == .confirm(token))
        // Once a second while it does not answer.
        #expect(tokens.advice(hash: "h", at: at(3.5)) == .believe(token))
        #expect(tokens.advice(hash: "h", at: at(4)) == .confirm(token))
        #expect(tokens.advice(hash: "h", at: at(899)) == .confirm(token))
        #expect(tokens.contains(hash: "h", at: at(899)))
        #expect(tokens.advice(hash: "h", at: at(900)) == .ask)
        tokens.learned(token, hash: "h", at: at(1000))
        // A clock that was set back makes nobody good for longer.
        #expect(tokens.advice(hash: "h", at: at(0)) == .ask)
        tokens.learned(token, hash: "h", at: at(1000))
        tokens.forget(token.id)
        #expect(tokens.advice(hash: "h", at: at(1000)) == .ask)
        // The store says that it is revoked, expired, or nobody's.
        tokens.learned(token, hash: "h", at: at(1000))
        var revoked = token
        revoked.revokedAt = at(1001)
        tokens.learned(revoked, hash: "h", at: at(1004))
        #expect(tokens.advice(hash: "h", at: at(1004)) == .ask)
        tokens.learned(nil, hash: "h", at: at(1004))
        #expect(!tokens.contains(hash: "h", at: at(1004)))
    }

    @Test("The table is bounded: strangers' tokens are not in it, and the oldest go")
    func bounded() throws {
        var tokens = RememberedTokens()
        let token = try self.token()
        for number in 0...RememberedTokens.limit {
            tokens.learned(token, hash: "\(number)", at: Self.start.addingTimeInterval(Double(number) / 1000))
        }
        let now = Self.start.addingTimeInterval(11)
        #expect(!tokens.contains(hash: "0", at: now))
        #expect(tokens.contains(hash: "\(RememberedTokens.limit)", at: now))
    }

    @Test("A thousand refusals are a line, and then one in ten seconds with their number")
    func log() {
        var log = RefusalLog()
        #expect(log.refused("a", at: Self.start) == 1)
        for _ in 0..<1000 { #expect(log.refused("a", at: Self.start.addingTimeInterval(1)) == nil) }
        #expect(log.refused("b", at: Self.start.addingTimeInterval(1)) == 1)
        #expect(log.refused("a", at: Self.start.addingTimeInterval(10)) == 1001)
        #expect(log.refused("a", at: Self.start.addingTimeInterval(20)) == 1)
    }

    /// A store that fails, is slow, or answers, and counts.
    private final class Store: APITokenStore {
        enum Mood { case answers, away, slow }
        private let state = Mutex<(mood: Mood, token: APIToken?, asked: Int)>((.answers, nil, 0))
        init(_ token: APIToken) { self.state.withLock { $0.token = token } }
        var asked: Int { self.state.withLock { $0.asked } }
        func become(_ mood: Mood) { self.state.withLock { $0.mood = mood } }
        func revoke() { self.state.withLock { $0.token?.revokedAt = Date(timeIntervalSince1970: 0) } }

        func apiToken(hash: String) async throws(StoreError) -> APIToken? {
            let (mood, token) = self.state.withLock { state in
                state.asked += 1
                return (state.mood, state.token)
            }
            switch mood {
            case .answers: return token
            case .away: throw StoreError(.unavailable, "away")
            case .slow:
                // Longer than any patience of the desk.
                try? await Task.sleep(for: .seconds(2))
                throw StoreError(.unavailable, "away")
            }
        }
        func add(_ token: APIToken) async throws(StoreError) {}
        func apiTokens(of tenant: TenantID?) async throws(StoreError) -> [APIToken] { [] }
        func revokeAPIToken(_ id: APITokenID, of tenant: TenantID?, at now: Date) async throws(StoreError) -> Bool {
            true
        }
        func apiTokenUsed(_ id: APITokenID, at now: Date) async throws(StoreError) {}
    }

    private func outcome(_ desk: CredentialDesk, _ text: String) async -> String {
        do throws(AuthenticationFailure) {
            return try await desk.asker(bearer: text).role.rawValue
        } catch {
            return "\(error)"
        }
    }

    @Test(
        "A token that was good stays good while the database is away or slow, and a revoked one is refused within seconds"
    )
    func away() async throws {
        let made = try APITokenSecret.generated(
            tenant: nil, name: "n", role: .operator, at: Self.start, expiresAt: Self.start.addingTimeInterval(600))
        let store = Store(made.token)
        let clock = Mutex(Self.start)
        func pass(_ seconds: Double) { clock.withLock { $0.addTimeInterval(seconds) } }
        let memory = TokenMemory()
        let desk = CredentialDesk(
            store: store, memory: memory, keys: JWTKeyRing(installation: [], audience: "pronto"),
            patience: .milliseconds(50), tenantNamed: { _ in nil }, isEnabled: { _ in true }, logger: .silent,
            now: { clock.withLock { $0 } })
        let text = made.text.value
        #expect(!desk.remembers(bearer: text))
        store.become(.away)
        #expect(await self.outcome(desk, text) == "unavailable")
        store.become(.answers)
        for _ in 0..<100 { #expect(await self.outcome(desk, text) == "operator") }
        #expect(store.asked == 2 && desk.remembers(bearer: text))
        for mood in [Store.Mood.away, .slow] {
            store.become(mood)
            pass(10)
            #expect(await self.outcome(desk, text) == "operator", "\(mood)")
        }
        // Its own end counts all the same.
        store.become(.answers)
        pass(10)
        #expect(await self.outcome(desk, text) == "operator")
        store.revoke()
        #expect(await self.outcome(desk, text) == "operator")
        pass(RememberedTokens.freshness)
        #expect(await self.outcome(desk, text).contains("revoked"))
        #expect(!desk.remembers(bearer: text))
    }
}
