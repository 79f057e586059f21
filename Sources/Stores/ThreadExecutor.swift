import Glibc
import Synchronization

/// Runs an actor's jobs one after another on a thread of its own: for libraries that block, such as SQLite.
///
/// The thread lives until `stop()`; what was enqueued before it still runs. Whoever owns the executor stops it when
/// nobody can enqueue any more.
package final class ThreadExecutor: SerialExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var isStopped = false
    }

    private let state = Mutex(State())
    /// One post for each job, and one for `stop()`. POSIX semaphores are made to be shared between threads.
    private nonisolated(unsafe) let wake: UnsafeMutablePointer<sem_t>

    /// Nil when the system gives no thread.
    package init?() {
        self.wake = .allocate(capacity: 1)
        sem_init(self.wake, 0, 0)
        var thread = pthread_t()
        let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
            if let context { Unmanaged<ThreadExecutor>.fromOpaque(context).takeRetainedValue().loop() }
            return nil
        }
        let context = Unmanaged.passRetained(self)
        guard pthread_create(&thread, nil, body, context.toOpaque()) == 0 else {
            context.release()
            return nil
        }
        pthread_detach(thread)
    }

    deinit {
        sem_destroy(self.wake)
        self.wake.deallocate()
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.state.withLock { $0.jobs.append(job) }
        sem_post(self.wake)
    }

    package func stop() {
        self.state.withLock { $0.isStopped = true }
        sem_post(self.wake)
    }

    private func loop() {
        var batch: [UnownedJob] = []
        while true {
            // EINTR is the only failure that a valid semaphore has.
            while sem_wait(self.wake) != 0 {}
            let isOver: Bool = self.state.withLock { state in
                swap(&batch, &state.jobs)
                return state.isStopped && batch.isEmpty
            }
            for job in batch { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
            batch.removeAll(keepingCapacity: true)
            if isOver { return }
            // After `stop()` the posts that are left may be fewer than the rounds: come back for the final look.
            if self.state.withLock({ $0.isStopped }) { sem_post(self.wake) }
        }
    }
}
