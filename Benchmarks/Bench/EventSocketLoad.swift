import EventSocket
import Foundation
import Networking
import Observability
import PhoneServer
import Simulators
import Synchronization
import Telephony

/// `pronto-bench esl [EVENTS-PER-SECOND=2000] [SECONDS=10]`: what a storm of events on one link does to its loop.
///
/// A simulated switch on a loop of its own sends events with as many headers as a real CHANNEL_HANGUP_COMPLETE (224,
/// `freeswitch.md` §6; 12.8 KB here, 8.7 KB measured there) over TCP, in bursts each 10 ms; every tenth is of a channel that a call watches, and
/// one listener takes all. What each turn of the link's loop took is observed: an event of another call on that loop
/// would have waited so long. Exit 1: an event was lost, or a turn took more than 5 ms.
enum EventSocketLoad {
    private static let watched = CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")
    private static let other = CallID("4500d4b5-8aaa-403f-8a72-dbca171df510")

    static func run(rate: Int, seconds: Int) async throws -> Int32 {
        guard let watched = Self.watched, let other = Self.other else { return 2 }
        let (here, there) = (EventLoop(name: "link"), EventLoop(name: "switch"))
        here.start()
        there.start()
        let simulator = try await FreeSwitchSimulator.start(on: there)
        let link = ControlLink(
            host: "127.0.0.1", port: simulator.port,
            configuration: .init(password: "ClueCon", onlyWatchedChannels: false), seed: 1, jobPrefix: "bench",
            loop: here, logger: .silent)
        link.start()
        try await link.ready(within: .seconds(5))
        let counts = Counts()
        link.watch(watched) { _ in counts.watched.add(1, ordering: .relaxed) }
        let listener = link.onEvent([]) { _ in counts.all.add(1, ordering: .relaxed) }
        _ = try await link.perform(.status)
        let lags = Lags()
        try await here.run { here.observeLag { lag in lags.add(lag) } }
        let events = [Self.event(of: watched), Self.event(of: other)]
        let clock = ContinuousClock()
        let began = clock.now
        let cpuBefore = Self.cpu()
        let bursts = seconds * 100
        var sent = 0
        for burst in 0..<bursts {
            let due = rate * (burst + 1) / 100 - sent
            let first = sent
            try await simulator.change { core, effects in
                guard let connection = core.connectionIDs.first else { return }
                for number in first..<(first + due) {
                    effects.append(.send(connection, number % 10 == 0 ? events[0] : events[1]))
                }
            }
            sent += due
            try await clock.sleep(until: began + .milliseconds(10 * (burst + 1)))
        }
        let end = clock.now + .seconds(5)
        while counts.all.load(ordering: .relaxed) < sent, clock.now < end {
            try await clock.sleep(for: .milliseconds(5))
        }
        let took = clock.now - began
        let cpu = Self.cpu() - cpuBefore
        listener.cancel()
        let all = counts.all.load(ordering: .relaxed)
        let (count, median, late, longest) = lags.summary
        print(
            String(
                format: "esl: %d events of %d bytes sent, %d taken (%d of a watched channel) in %.1f s: %.0f a second",
                sent, events[0].count, all, counts.watched.load(ordering: .relaxed), took / .seconds(1),
                Double(all) / (took / .seconds(1))))
        print(
            String(
                format: "esl: %d turns of the loop: median %.3f ms, p99 %.3f ms, longest %.3f ms (at most 5); "
                    + "CPU of both sides %.0f %% of a core", count, median, late, longest,
                100 * cpu / (took / .seconds(1))))
        link.stop()
        try await simulator.stop()
        here.stop()
        there.stop()
        return all == sent && longest <= 5 ? 0 : 1
    }

    private final class Counts: Sendable {
        let all = Atomic<Int>(0)
        let watched = Atomic<Int>(0)
    }

    private final class Lags: Sendable {
        private let milliseconds = Mutex<[Double]>([])
        func add(_ lag: Duration) { self.milliseconds.withLock { $0.append(lag / .milliseconds(1)) } }
        var summary: (count: Int, median: Double, late: Double, longest: Double) {
            let sorted = self.milliseconds.withLock { $0.sorted() }
            guard let last = sorted.last else { return (0, 0, 0, 0) }
            return (sorted.count, sorted[sorted.count / 2], sorted[sorted.count * 99 / 100], last)
        }
    }

    private static func event(of channel: CallID) -> [UInt8] {
        var inner = "Event-Name: CHANNEL_HOLD\nCore-UUID: 7d3f65c4-c894-4724-afb8-2f745738d01b\n"
        inner += "Unique-ID: \(channel)\n"
        for number in 0..<221 { inner += "variable_number_\(number): a%20value%20of%20some%20length%20\(number)\n" }
        inner += "\n"
        return Array(
            "Content-Length: \(inner.utf8.count)\nContent-Type: text/event-plain\n\n\(inner)".utf8)
    }

    /// Of the whole process, in seconds.
    private static func cpu() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1_000_000
    }
}
