import CLinux
import Glibc
import Synchronization
import Telephony

/// What a watched descriptor is waited for.
package struct Interest: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let read = Interest(rawValue: UInt32(PRONTO_EPOLL_IN))
    package static let write = Interest(rawValue: UInt32(PRONTO_EPOLL_OUT))
}

/// What happened on a watched descriptor.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let readable = Readiness(rawValue: UInt32(PRONTO_EPOLL_IN))
    package static let writable = Readiness(rawValue: UInt32(PRONTO_EPOLL_OUT))
    /// An error or a hang-up: reading tells which.
    package static let broken = Readiness(rawValue: UInt32(PRONTO_EPOLL_ERR) | UInt32(PRONTO_EPOLL_HUP))
    /// The loop is ending: the last call that this handler gets. Close what you own.
    package static let stopping = Readiness(rawValue: 1 << 31)
}

/// Why the kernel would not give a descriptor what the loop asked of it.
package struct SystemError: Error, Equatable, CustomStringConvertible {
    package let call: StaticString
    package let number: Int32
    package init(_ call: StaticString, number: Int32 = errno) {
        self.call = call
        self.number = number
    }
    package var description: String { "\(self.call): \(String(cString: strerror(self.number)))" }
    package static func == (lhs: SystemError, rhs: SystemError) -> Bool { lhs.number == rhs.number }
}

/// One thread that waits with epoll, runs timers, and calls the owners of descriptors. Also a serial executor, for the
/// few actors that live on a loop.
///
/// `@unchecked Sendable`: the inbox and `isStopping` are behind a mutex or atomic; all other state is touched by the
/// loop's own thread only, which `preconditionInLoop` checks at each entry.
package final class EventLoop: SerialExecutor, @unchecked Sendable {
    package let name: String

    private enum Job {
        case call(@Sendable () -> Void)
        case executor(UnownedJob)
    }

    private struct Inbox {
        var jobs: [Job] = []
        /// The loop sleeps in epoll and needs the eventfd to hear of a job.
        var isAsleep = false
        var isClosed = false
    }

    private struct Watch {
        var generation: UInt32 = 0
        var interest: Interest = []
        var handler: ((Readiness) -> Void)?
    }

    private static let eventCapacity = 256
    /// What one read takes at most. Larger reads save calls on bulk transfers only.
    package static let readBufferSize = 64 * 1024
    /// The write scratch is given back to the heap above this size.
    private static let scratchLimit = 1024 * 1024

    private let inbox = Mutex(Inbox())
    private let epoll: Int32
    private let wakeDescriptor: Int32
    private let events: UnsafeMutablePointer<pronto_epoll_event>
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<UInt64?>(nil)

    // Confined to the loop's thread.
    private var drained: [Job] = []
    private var watches: [Watch] = []
    private var timers = TimerQueue()
    private var nowNanoseconds: Int64 = pronto_monotonic_ns()
    private var lagObserver: ((Duration) -> Void)?
    private var scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    /// Where every connection of this loop reads into. Borrowed for the time of one callback.
    let readBuffer: UnsafeMutableRawBufferPointer
    /// Where messages are inflated or deflated on their way through. Contents live for one callback.
    var inflated: [UInt8] = []
    var deflated: [UInt8] = []

    /// A loop that does not run yet. Traps only when the process has no descriptor left for it.
    package init(name: String) {
        self.name = name
        pronto_ignore_sigpipe()
        self.epoll = pronto_epoll_create()
        self.wakeDescriptor = pronto_eventfd()
        precondition(self.epoll >= 0 && self.wakeDescriptor >= 0, "No descriptor left for an event loop")
        self.events = .allocate(capacity: EventLoop.eventCapacity)
        self.readBuffer = .allocate(byteCount: EventLoop.readBufferSize, alignment: 16)
        _ = pronto_epoll_control(
            self.epoll, Int32(PRONTO_EPOLL_ADD), self.wakeDescriptor, UInt32(PRONTO_EPOLL_IN), .max)
    }

    deinit {
        close(self.epoll)
        close(self.wakeDescriptor)
        self.events.deallocate()
        self.readBuffer.deallocate()
        self.scratch.deallocate()
    }

    // MARK: Life

    /// Starts the thread. Once only.
    package func start() {
        self.thread.withLock { thread in
            precondition(thread == nil, "This loop was started before")
            var identity: UInt64 = 0
            let box = Unmanaged.passRetained(self)
            let failure = pronto_thread_start(
                { argument in
                    let loop = Unmanaged<EventLoop>.fromOpaque(argument!).takeRetainedValue()
                    loop.run()
                    return nil
                }, box.toOpaque(), &identity)
            precondition(failure == 0, "The system has no thread left for an event loop")
            thread = identity
        }
    }

    /// Ends the loop: every watched descriptor's owner is told (`Readiness.stopping`), timers are dropped, jobs that
    /// were posted before run. Waits for the thread, unless called on it. Jobs posted later are dropped.
    package func stop() {
        self.isStopping.store(true, ordering: .releasing)
        self.wake()
        let identity = self.thread.withLock { thread in
            let identity = thread
            if identity != nil { thread = 0 }
            return identity
        }
        guard let identity, identity != 0 else { return }
        if self.isInLoop {
            _ = pronto_thread_detach(identity)
        } else {
            _ = pronto_thread_join(identity)
        }
    }

    /// Whether the caller runs on this loop's thread. By a thread-local mark, which no other thread can inherit.
    package var isInLoop: Bool { pronto_thread_owner() == Unmanaged.passUnretained(self).toOpaque() }

    /// Traps unless called on the loop: a breach of our own contract, never of a peer.
    package func preconditionInLoop() {
        precondition(self.isInLoop, "Called off its event loop")
    }

    // MARK: Time

    /// The loop's monotonic time, read once an iteration.
    package var now: Duration { .nanoseconds(self.nowNanoseconds) }

    /// The monotonic time read afresh: for measurements, and after long work. Any thread.
    package static func freshNow() -> Duration { .nanoseconds(pronto_monotonic_ns()) }

    /// Calls `observer` after each iteration with the time it took: what an event that came at its start had to wait.
    package func observeLag(_ observer: ((Duration) -> Void)?) {
        self.preconditionInLoop()
        self.lagObserver = observer
    }

    // MARK: Jobs from anywhere

    /// Runs `body` on the loop, soon, in the order of the calls. Any thread. Dropped when the loop has ended.
    package func execute(_ body: @escaping @Sendable () -> Void) { self.post(.call(body)) }

    package func enqueue(_ job: consuming ExecutorJob) { self.post(.executor(UnownedJob(job))) }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    package func isIsolatingCurrentContext() -> Bool? { self.isInLoop }

    package func checkIsolated() { self.preconditionInLoop() }

    /// Runs `body` on the loop and returns what it returns, for the asynchronous edges of the program.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            self.execute { continuation.resume(with: Result { try body() }) }
        }
    }

    private func post(_ job: Job) {
        let mustWake = self.inbox.withLock { inbox in
            guard !inbox.isClosed else { return false }
            inbox.jobs.append(job)
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if mustWake { self.wake() }
    }

    private func wake() {
        var one: UInt64 = 1
        // A full counter (EAGAIN) means that a wake is pending already.
        _ = write(self.wakeDescriptor, &one, 8)
    }

    // MARK: Timers

    /// Calls `action` once, at `deadline` or as soon after as the loop can. A closure that the caller keeps is
    /// scheduled again and again without an allocation.
    @discardableResult
    package func schedule(at deadline: Duration, _ action: @escaping () -> Void) -> TimerID {
        self.preconditionInLoop()
        return self.timers.add(at: deadline.nanoseconds, action)
    }

    /// Calls `action` once, `delay` from now.
    @discardableResult
    package func schedule(after delay: Duration, _ action: @escaping () -> Void) -> TimerID {
        self.schedule(at: self.now + delay, action)
    }

    /// Forgets a timer. Nothing happens when it has fired already.
    package func cancel(_ timer: TimerID) {
        self.preconditionInLoop()
        self.timers.cancel(timer)
    }

    /// How many timers are pending.
    package var timerCount: Int { self.timers.count }
    /// Descriptors that are watched; for tests that look for what was left behind.
    package var watchCount: Int { self.watches.count { $0.handler != nil } }

    private func runTimers() {
        // Timers made by an action for "now" wait for the next iteration: a loop of them cannot starve the sockets.
        let newest = self.timers.newest
        while let action = self.timers.takeDue(at: self.nowNanoseconds, madeUpTo: newest) { action() }
    }

    // MARK: Descriptors

    /// Watches `descriptor` (level-triggered) and calls `handler` on this loop. The descriptor stays its owner's: close
    /// it after `unregister`.
    package func register(
        _ descriptor: Int32, interest: Interest, handler: @escaping (Readiness) -> Void
    ) throws(SystemError) {
        self.preconditionInLoop()
        precondition(descriptor >= 0, "Not a descriptor")
        while self.watches.count <= Int(descriptor) { self.watches.append(Watch()) }
        let generation = self.watches[Int(descriptor)].generation
        let data = UInt64(UInt32(descriptor)) | UInt64(generation) << 32
        guard
            pronto_epoll_control(self.epoll, Int32(PRONTO_EPOLL_ADD), descriptor, interest.rawValue, data) == 0
        else { throw SystemError("epoll_ctl") }
        self.watches[Int(descriptor)].interest = interest
        self.watches[Int(descriptor)].handler = handler
    }

    /// Changes what a watched descriptor is waited for.
    package func modify(_ descriptor: Int32, interest: Interest) {
        self.preconditionInLoop()
        guard Int(descriptor) < self.watches.count, self.watches[Int(descriptor)].handler != nil,
            self.watches[Int(descriptor)].interest != interest
        else { return }
        self.watches[Int(descriptor)].interest = interest
        let data = UInt64(UInt32(descriptor)) | UInt64(self.watches[Int(descriptor)].generation) << 32
        _ = pronto_epoll_control(self.epoll, Int32(PRONTO_EPOLL_MOD), descriptor, interest.rawValue, data)
    }

    /// Stops watching. Events already fetched for it are not delivered.
    package func unregister(_ descriptor: Int32) {
        self.preconditionInLoop()
        guard Int(descriptor) < self.watches.count, self.watches[Int(descriptor)].handler != nil else { return }
        self.watches[Int(descriptor)].handler = nil
        self.watches[Int(descriptor)].interest = []
        self.watches[Int(descriptor)].generation &+= 1
        _ = pronto_epoll_control(self.epoll, Int32(PRONTO_EPOLL_DEL), descriptor, 0, 0)
    }

    // MARK: Scratch

    /// `count` bytes for the composition of one outgoing message. Valid until the next call.
    func scratch(_ count: Int) -> UnsafeMutableRawBufferPointer {
        if self.scratch.count < count {
            self.scratch.deallocate()
            self.scratch = .allocate(byteCount: max(count, 16 * 1024), alignment: 16)
        }
        return UnsafeMutableRawBufferPointer(rebasing: self.scratch[..<count])
    }

    /// Gives back what one unusually large message made the shared buffers grow to.
    func trimScratch() {
        if self.scratch.count > EventLoop.scratchLimit {
            self.scratch.deallocate()
            self.scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        if self.inflated.capacity > EventLoop.scratchLimit { self.inflated = [] }
        if self.deflated.capacity > EventLoop.scratchLimit { self.deflated = [] }
    }

    // MARK: The loop

    private func run() {
        pronto_name_thread(self.name)
        pronto_set_thread_owner(Unmanaged.passUnretained(self).toOpaque())
        while !self.isStopping.load(ordering: .acquiring) {
            self.iterate()
        }
        self.finish()
        pronto_set_thread_owner(nil)
    }

    private func iterate() {
        let maySleep = self.inbox.withLock { inbox in
            inbox.isAsleep = inbox.jobs.isEmpty
            return inbox.isAsleep
        }
        var timeout: Int64 = maySleep ? -1 : 0
        if maySleep, let deadline = self.timers.nextDeadline {
            timeout = max(0, (deadline - pronto_monotonic_ns() + 999) / 1000)
        }
        let count = pronto_epoll_wait(self.epoll, self.events, Int32(EventLoop.eventCapacity), timeout)
        if maySleep { self.inbox.withLock { $0.isAsleep = false } }
        self.nowNanoseconds = pronto_monotonic_ns()
        let began = self.nowNanoseconds
        self.runTimers()
        for index in 0..<max(0, Int(count)) { self.dispatch(self.events[index]) }
        self.runJobs()
        if let lagObserver = self.lagObserver { lagObserver(.nanoseconds(pronto_monotonic_ns() - began)) }
    }

    private func dispatch(_ event: pronto_epoll_event) {
        guard event.data != .max else {
            var counter: UInt64 = 0
            _ = read(self.wakeDescriptor, &counter, 8)
            return
        }
        let descriptor = Int(UInt32(truncatingIfNeeded: event.data))
        // An earlier handler of this batch may have closed the descriptor, and a new one may bear its number.
        guard descriptor < self.watches.count,
            self.watches[descriptor].generation == UInt32(truncatingIfNeeded: event.data >> 32),
            let handler = self.watches[descriptor].handler
        else { return }
        handler(Readiness(rawValue: event.events))
    }

    private func runJobs() {
        self.inbox.withLock { inbox in swap(&inbox.jobs, &self.drained) }
        for job in self.drained {
            switch job {
            case .call(let body): body()
            case .executor(let job): job.runSynchronously(on: self.asUnownedSerialExecutor())
            }
        }
        self.drained.removeAll(keepingCapacity: self.drained.count < 1024)
    }

    private func finish() {
        self.runJobs()
        for index in self.watches.indices {
            self.watches[index].handler?(.stopping)
            self.unregister(Int32(index))
        }
        // What the owners posted while closing (continuations to resume, above all).
        self.inbox.withLock { $0.isClosed = true }
        self.runJobs()
        self.watches.removeAll()
        self.timers = TimerQueue()
        self.lagObserver = nil
    }
}
