import CLibre
import Synchronization

/// What other threads ask of SIP's thread. The jobs wait here and only a wake-up goes through libre's message queue: a
/// queue that is full (a pipe of 64 KB), or that ends with messages in it, loses nothing and leaks nothing.
final class SIPInbox: Sendable {
    private struct State {
        var jobs: [@Sendable (SIPStack) -> Void] = []
        /// libre's `struct mqueue`, while the thread listens. Jobs from before wait for it.
        var queue: UInt = 0
        var isClosed = false
        var leftOver = 0
    }

    private let state = Mutex(State())

    /// Runs `job` on SIP's thread, soon, in the order of the calls; dropped when the thread has ended.
    func post(_ job: @escaping @Sendable (SIPStack) -> Void) {
        self.state.withLock { state in
            guard !state.isClosed else { return }
            state.jobs.append(job)
            // One wake-up is enough for all jobs that wait. EAGAIN: the pipe is full of them.
            if state.jobs.count == 1, let queue = OpaquePointer(bitPattern: state.queue) {
                _ = mqueue_push(queue, 0, nil)
            }
        }
    }

    /// SIP's thread: from now on wake-ups go to `queue`.
    func open(_ queue: OpaquePointer) {
        self.state.withLock { state in
            state.queue = UInt(bitPattern: queue)
            if !state.jobs.isEmpty { _ = mqueue_push(queue, 0, nil) }
        }
    }

    /// SIP's thread: what has been asked.
    func take() -> [@Sendable (SIPStack) -> Void] {
        self.state.withLock { state in
            defer { state.jobs = [] }
            return state.jobs
        }
    }

    /// SIP's thread, before it frees the queue: nothing is taken any more.
    func close(leftOver: Int) {
        self.state.withLock { state in
            state.queue = 0
            state.isClosed = true
            state.jobs = []
            state.leftOver = leftOver
        }
    }

    /// Objects of libre that were still referenced when the thread ended. 0 unless something is wrong.
    var leftOver: Int { self.state.withLock { $0.leftOver } }
}
