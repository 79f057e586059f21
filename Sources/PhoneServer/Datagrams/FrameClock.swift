import Networking
import Telephony

/// A leg that sends one frame each period, whether or not anybody speaks.
protocol FrameClockMember: AnyObject {
    /// One period is over. Called `missed + 1` periods after the last call; `missed` is 0 unless the loop stalled.
    func frameTick(at now: Duration, missed: Int)
}

/// The beat of all datagram legs of one loop: ticks on absolute deadlines, so that nothing drifts, and few of them, so
/// that hundreds of legs share a turn of the loop. Confined to the loop.
///
/// Time goes in beats of 5 ms; a leg of 20 ms is called each fourth beat. New legs go to the beat that has the fewest.
/// A stall is not made up for beyond `catchUp`: what was due then is late for the phone anyway, and the far side's
/// buffer would only grow.
final class FrameClock {
    private struct Slot {
        let member: any FrameClockMember
        let id: ObjectIdentifier
    }

    static let beat: Duration = .milliseconds(5)
    /// Beats until the pattern repeats: the least common multiple of 10, 20, 30, 40 and 60 ms.
    private static let cycle = 24
    private static let catchUp = 5

    private let loop: EventLoop
    private var slots: [[Slot]] = Array(repeating: [], count: FrameClock.cycle)
    private var periods: [ObjectIdentifier: Int] = [:]
    private var origin: Duration = .zero
    /// The beat that is due next, counted from the origin.
    private var next: Int64 = 0
    private var timer: TimerID?
    private var isTicking = false
    private var onTimer: (() -> Void)?

    init(on loop: EventLoop) { self.loop = loop }

    var count: Int { self.periods.count }

    /// Calls `member` each `period` (10, 20, 30, 40 or 60 ms) from now on. It is kept alive until `remove`.
    func add(_ member: any FrameClockMember, period: Duration) {
        let beats = Int(period.nanoseconds / Self.beat.nanoseconds)
        precondition(beats > 0 && Self.cycle % beats == 0, "No period of this clock")
        let id = ObjectIdentifier(member)
        guard self.periods[id] == nil else { return }
        if self.periods.isEmpty {
            self.origin = self.loop.now
            self.next = 1
        }
        self.periods[id] = beats
        let phase = (0..<beats).min { self.load(phase: $0, beats) < self.load(phase: $1, beats) } ?? 0
        for index in stride(from: phase, to: Self.cycle, by: beats) {
            self.slots[index].append(Slot(member: member, id: id))
        }
        self.arm()
    }

    func remove(_ member: any FrameClockMember) {
        let id = ObjectIdentifier(member)
        guard self.periods.removeValue(forKey: id) != nil else { return }
        for index in self.slots.indices { self.slots[index].removeAll { $0.id == id } }
        if self.periods.isEmpty, let timer = self.timer {
            self.loop.cancel(timer)
            self.timer = nil
        }
    }

    private func load(phase: Int, _ beats: Int) -> Int {
        stride(from: phase, to: Self.cycle, by: beats).reduce(0) { $0 + self.slots[$1].count }
    }

    private func arm() {
        guard self.timer == nil, !self.isTicking, !self.periods.isEmpty else { return }
        // Beats that nobody uses are stepped over.
        while self.slots[Int(self.next % Int64(Self.cycle))].isEmpty { self.next += 1 }
        if self.onTimer == nil { self.onTimer = { [unowned self] in self.fired() } }
        guard let onTimer = self.onTimer else { return }
        self.timer = self.loop.schedule(at: self.time(of: self.next), onTimer)
    }

    private func time(of beat: Int64) -> Duration {
        self.origin + .nanoseconds(Self.beat.nanoseconds &* beat)
    }

    private func fired() {
        self.timer = nil
        self.isTicking = true
        let now = self.loop.now
        let due = (now - self.origin).nanoseconds / Self.beat.nanoseconds
        let late = due - self.next
        // After a stall each leg is called once, told how many of its beats went by.
        if late >= Int64(Self.cycle) {
            var told: Set<ObjectIdentifier> = []
            for index in self.slots.indices {
                for slot in self.slots[index] where told.insert(slot.id).inserted {
                    let beats = Int64(self.periods[slot.id] ?? 4)
                    slot.member.frameTick(at: now, missed: min(Int(late / beats), Self.catchUp))
                }
            }
            self.next = due + 1
        } else {
            while self.next <= due, !self.periods.isEmpty {
                // A copy: a tick may end its leg, and with it the slot.
                for slot in self.slots[Int(self.next % Int64(Self.cycle))] where self.periods[slot.id] != nil {
                    slot.member.frameTick(at: now, missed: 0)
                }
                self.next += 1
            }
        }
        self.isTicking = false
        self.arm()
    }
}
