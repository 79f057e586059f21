import CAllocations
import Glibc

/// What one benchmark has found.
struct Finding {
    var name: String
    /// The median of the rounds.
    var nanoseconds: Double
    /// Of the round that allocated least: a stray allocation of another thread, or a buffer that grows once more, is no
    /// steady state.
    var allocations: Double
    var allocatedBytes: Double
    /// Whether `--check` refuses any allocation here.
    var mustNotAllocate: Bool
}

/// Runs `body`, which does `operations` operations, once to warm up and `rounds` times to measure.
func measure(
    _ name: String, operations: Int, rounds: Int = 5, mustNotAllocate: Bool = false, _ body: () -> Void
) -> Finding {
    body()
    body()
    var times: [Double] = []
    times.reserveCapacity(rounds)
    var least: (blocks: UInt64, bytes: UInt64) = (.max, .max)
    for _ in 0..<rounds {
        let (blocks, bytes) = (pronto_allocations(), pronto_allocated_bytes())
        let began = monotonicNanoseconds()
        body()
        let ended = monotonicNanoseconds()
        let made: (UInt64, UInt64) = (pronto_allocations() - blocks, pronto_allocated_bytes() - bytes)
        if made.0 < least.blocks { least = made }
        times.append(Double(ended - began))
    }
    times.sort()
    let count = Double(operations)
    return Finding(
        name: name, nanoseconds: times[rounds / 2] / count, allocations: Double(least.blocks) / count,
        allocatedBytes: Double(least.bytes) / count, mustNotAllocate: mustNotAllocate)
}

private func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Keeps a result alive that nobody uses, so that the work for it is done.
@inline(never)
func keep<Value>(_ value: Value) {}
