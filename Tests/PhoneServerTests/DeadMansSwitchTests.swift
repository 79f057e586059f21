import Networking
import Synchronization
import Telephony
import Testing

@testable import EventSocket
@testable import PhoneServer

/// Who takes back what when a channel's way to us changes: what stays armed fetches the caller out of the conversation.
@Suite struct DeadMansSwitchTests {
    /// A switch's tasks; it answers when it is told to.
    private final class Exchange: CallControl {
        struct State: Sendable {
            var tasks: Set<Int> = []
            var given = 0
            var holds = false
            /// The socket ends before it answers.
            var breaks = false
            var held: [@Sendable () -> Void] = []
        }
        let state = Mutex(State())

        var isAvailable: Bool { true }
        var tasks: Set<Int> { self.state.withLock { $0.tasks } }

        func ask(
            _ command: ApiCommand, timeout: Duration?,
            done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void
        ) {
            let words = command.line.split(separator: " ").map(String.init)
            let answer = self.state.withLock { state -> (@Sendable () -> Void)? in
                guard words[0] == "sched_api" else {
                    if words.count > 1, let task = Int(words[1]) {
                        state.tasks.remove(task)
                    } else if words == ["sched_del", DeadMansSwitchTests.channel.text] {
                        state.tasks = []
                    }
                    return { done(.success(EventSocketReply(text: "+OK Deleted: 1"))) }
                }
                state.given += 1
                let task = state.given
                state.tasks.insert(task)
                if state.breaks { return { done(.failure(.outcomeUnknown)) } }
                let answer: @Sendable () -> Void = { done(.success(EventSocketReply(text: "+OK Added: \(task)"))) }
                guard state.holds else { return answer }
                state.held.append(answer)
                return nil
            }
            answer?()
        }

        func mend(_ breaks: Bool) { self.state.withLock { $0.breaks = breaks } }
        func hold() { self.state.withLock { $0.holds = true } }
        /// Answers what was held, in the order of `indices`.
        func answer(_ indices: [Int]) {
            let held = self.state.withLock { $0.held }
            for index in indices { held[index]() }
        }
        func watch(_ channel: CallID, observer: @escaping @Sendable (ChannelNews) -> Void) {}
        func unwatch(_ channel: CallID) {}
    }

    static let channel = CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")!

    private static func fuse(_ exchange: Exchange, lastTask: Int?, on loop: EventLoop) -> DeadMansSwitch {
        DeadMansSwitch(
            channel: Self.channel,
            target: DialplanTarget(extension: "2000", context: "default"), seconds: 4, lastTask: lastTask,
            control: exchange, on: loop)
    }

    @Test(
        "A successor takes back all that was armed before it, and not before something of its own is armed",
        arguments: [[0, 1], [1, 0]])
    func handOver(order: [Int]) async throws {
        let group = EventLoopGroup(count: 1, name: "fuse")
        defer { group.stop() }
        let loop = group.loops[0]
        let exchange = Exchange()
        let fuses = try await loop.run {
            let old = Self.fuse(exchange, lastTask: nil, on: loop)
            old.arm()
            // The next arming is ours to choose, not the clock's.
            old.stop()
            return LoopBound((old, Self.fuse(exchange, lastTask: nil, on: loop)), on: loop)
        }
        #expect(exchange.tasks == [1])
        exchange.hold()
        try await loop.run {
            let (old, new) = fuses.value
            // Asked for by the old way, and answered when the new one has taken over.
            old.arm()
            old.stop()
            new.arm()
            new.stop()
            old.handOver(to: new)
        }
        #expect(exchange.tasks == [1, 2, 3], "no gap")
        exchange.answer(order)
        try await loop.run {}
        #expect(exchange.tasks == [3])
        try await loop.run { fuses.value.1.disarm() }
        #expect(exchange.tasks.isEmpty)
    }

    @Test("What is disarmed takes back what is answered later, by whichever way is left")
    func disarmed() async throws {
        let group = EventLoopGroup(count: 1, name: "fuse")
        defer { group.stop() }
        let loop = group.loops[0]
        let exchange = Exchange()
        let fuse = try await loop.run {
            let fuse = Self.fuse(exchange, lastTask: nil, on: loop)
            fuse.arm()
            fuse.stop()
            return LoopBound(fuse, on: loop)
        }
        exchange.hold()
        try await loop.run {
            fuse.value.arm()
            fuse.value.disarm(by: exchange)
        }
        #expect(exchange.tasks == [2])
        exchange.answer([0])
        try await loop.run {}
        #expect(exchange.tasks.isEmpty)
    }

    @Test(
        "A socket that ends before its answer leaves a task of unknown number: it is taken back with the channel's others"
    )
    func lostAnswer() async throws {
        let group = EventLoopGroup(count: 1, name: "fuse")
        defer { group.stop() }
        let loop = group.loops[0]
        let exchange = Exchange()
        let fuses = try await loop.run {
            LoopBound(
                (Self.fuse(exchange, lastTask: nil, on: loop), Self.fuse(exchange, lastTask: nil, on: loop)), on: loop)
        }
        exchange.mend(true)
        try await loop.run {
            fuses.value.0.arm()
            fuses.value.0.stop()
        }
        exchange.mend(false)
        #expect(exchange.tasks == [1])
        try await loop.run {
            fuses.value.0.handOver(to: fuses.value.1)
            fuses.value.1.arm()
            fuses.value.1.stop()
        }
        #expect(exchange.tasks == [2], "taken back, and a new one in its place")
        try await loop.run {
            fuses.value.1.arm()
            fuses.value.1.stop()
        }
        try await loop.run {}
        #expect(exchange.tasks == [3], "once")
        exchange.mend(true)
        try await loop.run {
            fuses.value.1.arm()
            fuses.value.1.disarm()
        }
        try await loop.run {}
        #expect(exchange.tasks.isEmpty)
    }
}
