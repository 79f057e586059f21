import Synchronization
import Testing

@testable import pronto

@Suite("Turns", .timeLimit(.minutes(1)))
struct TurnsTests {
    private struct Refusal: Error {}

    private final class Room: Sendable {
        private let state = Mutex<(now: Int, most: Int, done: Int)>((0, 0, 0))
        func enter() {
            self.state.withLock {
                $0.now += 1
                $0.most = max($0.most, $0.now)
            }
        }
        func leave() { self.state.withLock { $0.now -= 1 } }
        func done() { self.state.withLock { $0.done += 1 } }
        var seen: (now: Int, most: Int, done: Int) { self.state.withLock { $0 } }
    }

    @Test("Whoever reads and applies does it whole before the next begins; one that fails lets the next one in")
    func whole() async throws {
        let turns = Turns()
        let room = Room()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    do throws(Refusal) {
                        try await turns.inTurn { () async throws(Refusal) in
                            room.enter()
                            for _ in 0..<10 { await Task.yield() }
                            room.leave()
                            if number % 3 == 0 { throw Refusal() }
                            room.done()
                        }
                    } catch {
                        #expect(number % 3 == 0)
                    }
                }
            }
        }
        let seen = room.seen
        #expect(seen.most == 1 && seen.now == 0 && seen.done == 33)
    }
}
