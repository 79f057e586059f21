import CLinux
import Dispatch
import Foundation
import Synchronization

/// A few threads of our own with a bounded queue: engines block, and may block neither a media loop nor Swift's
/// cooperative threads.
package final class WorkerPool: Sendable {
    private struct Queue {
        var jobs: [@Sendable () -> Void] = []
        var isStopping = false
    }

    private let queue = Mutex(Queue())
    private let available = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let threads: Int
    private let limit: Int

    /// `limit` is how many jobs may wait; more are refused, so that an overload is answered and not queued.
    package init(name: String, threads: Int, limit: Int) {
        self.threads = max(1, threads)
        self.limit = max(1, limit)
        for index in 0..<self.threads {
            let thread = Thread { [queue = self, ended] in
                pronto_name_thread("\(name)-\(index)")
                queue.work()
                ended.signal()
            }
            // Decoders keep their buffers on the heap; 2 MB leaves room for ONNX Runtime.
            thread.stackSize = 2 << 20
            thread.start()
        }
    }

    /// Queues `job`. False: too many wait, or the pool is stopping; the job will not run.
    package func submit(_ job: @escaping @Sendable () -> Void) -> Bool {
        let isTaken: Bool = self.queue.withLock { queue in
            guard !queue.isStopping, queue.jobs.count < self.limit else { return false }
            queue.jobs.append(job)
            return true
        }
        if isTaken { self.available.signal() }
        return isTaken
    }

    /// Lets running jobs end, drops the waiting ones and returns when every thread is gone. Call once, from outside.
    package func stop() {
        self.queue.withLock { queue in
            queue.isStopping = true
            queue.jobs.removeAll()
        }
        for _ in 0..<self.threads { self.available.signal() }
        for _ in 0..<self.threads { self.ended.wait() }
    }

    private func work() {
        while true {
            self.available.wait()
            let (job, isStopping): ((@Sendable () -> Void)?, Bool) = self.queue.withLock { queue in
                (queue.jobs.isEmpty ? nil : queue.jobs.removeFirst(), queue.isStopping)
            }
            if let job { job() } else if isStopping { return }
        }
    }
}

/// A piece of engine work that can be called off. Once cancelled it delivers at most what was on its way.
package final class SpeechJob: Sendable {
    private struct State {
        var isCancelled = false
        var onCancel: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    package init() {}

    package var isCancelled: Bool { self.state.withLock(\.isCancelled) }

    package func cancel() {
        let action: (@Sendable () -> Void)? = self.state.withLock { state in
            state.isCancelled = true
            defer { state.onCancel = nil }
            return state.onCancel
        }
        action?()
    }

    /// What to do when the job is cancelled; at once if it is already.
    func onCancel(_ action: (@Sendable () -> Void)?) {
        let isCancelled: Bool = self.state.withLock { state in
            if !state.isCancelled { state.onCancel = action }
            return state.isCancelled
        }
        if isCancelled { action?() }
    }
}

/// Why an engine cannot do what was asked.
package enum SpeechEngineError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file that the engine needs is not there.
    case modelMissing(path: String)
    /// The engine's program is not installed.
    case programMissing(path: String)
    /// A voice or model is there and is not what its name says; the sentence says what it should be.
    case badVoice(path: String, String)
    /// No voice of the wanted name or language is configured.
    case noVoice
    /// The model does not understand the caller's language.
    case noLanguage
    /// The engine refused its model or settings.
    case rejected(String)
    /// A grammar holds a word that cannot be pronounced, or is no grammar. The word is a tenant's: not printed.
    case badGrammar
    /// Too much is waiting already.
    case overloaded

    /// For `ChannelEnd.failed`: safe to log.
    package var slug: String {
        switch self {
        case .modelMissing: "model-missing"
        case .programMissing: "program-missing"
        case .badVoice: "bad-voice"
        case .noVoice: "no-voice"
        case .noLanguage: "no-language"
        case .rejected: "engine"
        case .badGrammar: "grammar"
        case .overloaded: "overflow"
        }
    }

    package var description: String {
        switch self {
        case .modelMissing(let path): "speech model missing: \(path)"
        case .programMissing(let path): "speech program missing: \(path)"
        case .badVoice(let path, let what): "\(path): \(what)"
        case .noVoice: "no configured voice has this name or language"
        case .noLanguage: "the speech model does not know this language"
        case .rejected(let what): "speech engine refused \(what)"
        case .badGrammar: "the grammar holds what cannot be spoken"
        case .overloaded: "too many speech jobs are waiting"
        }
    }
}
