import Synchronization
import Testing

@testable import pronto

@Suite("Turns", .timeLimit(.minutes(1)))
struct TurnsTests {
    struct Refusal: Error {}

    @Test("Whoever reads and applies does it whole before the next begins; one that fails lets the next one in")
    func whole() async throws {
        let turns = Turns()
        let inside = Mutex<(now: Int, most: Int, done: Int)>((0, 0, 0))
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    do throws(Refusal) {
                        try await turns.inTurn { () async throws(Refusal) in
                            inside.withLock {
                                $0.now += 1
                                $0.most = max($0.most, $0.now)
                            }
                            for _ in 0..<10 { await Task.yield() }
                            inside.withLock { $0.now -= 1 }
                            if number % 3 == 0 { throw Refusal() }
                            inside.withLock { $0.done += 1 }
                        }
                    } catch {
                        #expect(number % 3 == 0)
                    }
                }
            }
        }
        let seen = inside.withLock { $0 }
        #expect(seen.most == 1 && seen.now == 0 && seen.done == 33)
    }
}
