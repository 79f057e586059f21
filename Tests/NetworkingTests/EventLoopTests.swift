import Glibc
import Networking
import Synchronization
import Telephony
import Testing

@Suite struct EventLoopTests {
    @Test("Jobs from other threads run on the loop, in order")
    func jobs() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let seen = Mutex<[Int]>([])
        let done = Promise<Bool>()
        for index in 0..<1000 {
            loop.execute { seen.withLock { $0.append(index) } }
        }
        loop.execute { done.fulfil(loop.isInLoop) }
        #expect(try await done.value())
        #expect(seen.withLock { $0 } == Array(0..<1000))
        #expect(!loop.isInLoop)
    }

    @Test("Timers fire in the order of their deadlines, and cancelled ones never")
    func timers() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let done = Promise<[Int]>()
        loop.execute {
            let fired = LoopBound(Box<[Int]>([]), on: loop)
            var timers: [TimerID] = []
            for index in [3, 1, 2, 5, 4, 0, 7, 6, 9, 8] {
                timers.append(
                    loop.schedule(at: loop.now + .milliseconds(5 + index)) { fired.value.content.append(index) })
            }
            loop.cancel(timers[3])
            loop.cancel(timers[3])
            loop.cancel(timers[9])
            loop.schedule(after: .milliseconds(20)) { done.fulfil(fired.value.content) }
        }
        #expect(try await done.value() == [0, 1, 2, 3, 4, 6, 7, 9])
    }

    @Test("A random mix of timers and cancellations fires exactly what was left, in order")
    func randomTimers() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let done = Promise<(fired: [Int], expected: [Int], left: Int)>()
        loop.execute {
            var generator = SeededGenerator(seed: 7)
            let fired = Box<[Int]>([])
            var pending: [(id: TimerID, index: Int, deadline: Duration)] = []
            let base = loop.now
            for index in 0..<2000 {
                let deadline = base + .microseconds(Int.random(in: 0...3000, using: &generator))
                pending.append((loop.schedule(at: deadline) { fired.content.append(index) }, index, deadline))
                if Bool.random(using: &generator) {
                    let victim = pending.remove(at: Int.random(in: pending.indices, using: &generator))
                    loop.cancel(victim.id)
                }
            }
            let expected = pending.sorted { ($0.deadline, $0.index) < ($1.deadline, $1.index) }.map(\.index)
            loop.schedule(at: base + .milliseconds(4)) {
                done.fulfil((fired.content, expected, loop.timerCount))
            }
        }
        let result = try await done.value()
        #expect(result.fired == result.expected)
        #expect(result.left == 0)
    }

    @Test("A loop serves as the executor of an actor")
    func executor() async throws {
        actor Register {
            nonisolated let loop: EventLoop
            nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }
            init(_ loop: EventLoop) { self.loop = loop }
            func isAtHome() -> Bool { self.loop.isInLoop }
        }
        let loop = runningLoop()
        defer { loop.stop() }
        let register = Register(loop)
        #expect(await register.isAtHome())
    }

    @Test("A loop that ends tells the owners of its descriptors, runs what was posted, and drops its timers")
    func stopping() async throws {
        let loop = EventLoop(name: "ending")
        loop.start()
        let told = Promise<Bool>()
        let registered = Promise<Bool>()
        var pipes: [Int32] = [0, 0]
        #expect(pipe(&pipes) == 0)
        let reader = pipes[0]
        loop.execute {
            do throws(SystemError) {
                try loop.register(reader, interest: .read) { told.fulfil($0.contains(.stopping)) }
                registered.fulfil(true)
            } catch { registered.fulfil(false) }
            loop.schedule(after: .seconds(3600)) { told.fulfil(false) }
        }
        #expect(try await registered.value())
        loop.stop()
        #expect(try await told.value())
        close(pipes[0])
        close(pipes[1])
    }

    @Test("A group hands out its loops in turn")
    func group() {
        let group = EventLoopGroup(count: 3, name: "turn")
        defer { group.stop() }
        let names = (0..<6).map { _ in group.next().name }
        #expect(names == ["turn-0", "turn-1", "turn-2", "turn-0", "turn-1", "turn-2"])
    }
}

/// A mutable place for callbacks of one loop.
final class Box<Content> {
    var content: Content
    init(_ content: Content) { self.content = content }
}
