import Networking
import Telephony
import Testing

@testable import PhoneServer

/// Counts its ticks, and does something at one of them.
private final class Ticking: FrameClockMember {
    var times: [Duration] = []
    var frames = 0
    var onTick: ((Int) -> Void)?
    func frameTick(at now: Duration, missed: Int) {
        self.times.append(now)
        self.frames += 1 + missed
        self.onTick?(self.times.count)
    }
}

/// On a real loop: what is expected leaves room for a busy machine.
@Suite(.timeLimit(.minutes(1))) struct FrameClockTests {
    private func onLoop<Value: Sendable>(
        _ body: @escaping @Sendable (EventLoop, CheckedContinuation<Value, Never>) -> Void
    ) async -> Value {
        let loop = EventLoop(name: "clock")
        loop.start()
        defer { loop.stop() }
        return await withCheckedContinuation { continuation in loop.execute { body(loop, continuation) } }
    }

    @Test("A second of ticks has a second's frames, and the beat does not drift", arguments: [10, 20, 30, 40, 60])
    func rate(period: Int) async {
        let (frames, length) = await self.onLoop { (loop, done: CheckedContinuation<(Int, Duration), Never>) in
            let clock = FrameClock(on: loop)
            let member = Ticking()
            let start = loop.now
            clock.add(member, period: .milliseconds(period))
            loop.schedule(after: .seconds(1)) {
                let length = loop.now - start
                clock.remove(member)
                #expect(clock.count == 0)
                done.resume(returning: (member.frames, length))
            }
        }
        let expected = Int(length / .milliseconds(period))
        // One more or less at either end; after a stall of the machine beyond what is made up for, fewer.
        #expect(frames <= expected + 1)
        #expect(frames >= expected / 2)
    }

    @Test("Members are spread over the beats, so that a turn of the loop serves a part of them")
    func spread() async {
        // A machine that stands still serves all of them in one turn: then once more.
        var turns = 0
        for _ in 0..<50 where turns < 2 { turns = await self.turnsOfFirstTicks() }
        #expect(turns >= 2)
    }

    private func turnsOfFirstTicks() async -> Int {
        await self.onLoop { (loop, done: CheckedContinuation<Int, Never>) in
            let clock = FrameClock(on: loop)
            let members = (0..<40).map { _ in Ticking() }
            for member in members { clock.add(member, period: .milliseconds(20)) }
            #expect(clock.count == 40)
            // Each was added once, whatever is said again.
            for member in members { clock.add(member, period: .milliseconds(20)) }
            #expect(clock.count == 40)
            loop.schedule(after: .milliseconds(400)) {
                for member in members { clock.remove(member) }
                let firsts = Set(members.compactMap { $0.times.first })
                done.resume(returning: firsts.count)
            }
        }
    }

    @Test("A member may leave, and take others with it or bring them, in its own tick")
    func changes() async {
        let (first, second, third, left) = await self.onLoop {
            (loop, done: CheckedContinuation<(Int, Int, Int, Int), Never>) in
            let clock = FrameClock(on: loop)
            let (one, two, three) = (Ticking(), Ticking(), Ticking())
            one.onTick = { [clock, unowned one] count in
                guard count == 3 else { return }
                clock.remove(one)
                clock.remove(two)
                clock.add(three, period: .milliseconds(20))
            }
            three.onTick = { [clock, unowned three] count in
                guard count == 2 else { return }
                clock.remove(three)
                // Not in the tick: the loop's turn ends first.
                loop.schedule(after: .milliseconds(100)) {
                    done.resume(returning: (one.times.count, two.times.count, three.times.count, clock.count))
                }
            }
            clock.add(one, period: .milliseconds(20))
            clock.add(two, period: .milliseconds(20))
        }
        #expect(first == 3)
        #expect((2...4).contains(second))
        #expect(third == 2)
        #expect(left == 0)
    }

    @Test("After a stall a member is called once for what it missed, and told how much, with a bound")
    func stall() async {
        let told = await self.onLoop { (loop, done: CheckedContinuation<[Int], Never>) in
            let clock = FrameClock(on: loop)
            let member = Ticking()
            var frames = 0
            var told: [Int] = []
            member.onTick = { [unowned member, clock] count in
                let news = member.frames - frames
                frames = member.frames
                guard count > 1 else {
                    // The thread itself stands still, as it does when the machine swaps.
                    let end = EventLoop.freshNow() + .milliseconds(500)
                    while EventLoop.freshNow() < end {}
                    return
                }
                told.append(news)
                // What was due before the stall may come one by one.
                guard news > 1 || told.count > 5 else { return }
                clock.remove(member)
                member.onTick = nil
                done.resume(returning: told)
            }
            clock.add(member, period: .milliseconds(20))
        }
        // Itself, and no more than five that were missed.
        #expect(told.last == 6)
    }
}
