import Observability
import Records
import Stores
import Synchronization
import Telephony

/// Keeps the copy of the configuration for a start without the database: written anew when something was changed, at most
/// once a minute, and otherwise confirmed.
///
/// All rows and a sync to the disk take seconds in a large installation. Changes do not wait for that: whoever follows them
/// only leaves a word here.
final class CopyKeeping: Sendable {
    private let pause: Duration
    /// Nil: the database is a file itself.
    private let copy: ConfigurationCopy?
    private let store: SQLStore
    private let logger: Logger
    private let isOld = Mutex(true)
    private let words: AsyncStream<Void>
    private let word: AsyncStream<Void>.Continuation

    /// - Parameter pause: the least time from one look to the next.
    init(_ copy: ConfigurationCopy?, _ store: SQLStore, _ logger: Logger, pause: Duration = .seconds(60)) {
        self.pause = pause
        self.copy = copy
        self.store = store
        self.logger = logger
        // However many words come while the copy is written, one more look sees them all.
        (self.words, self.word) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// What is in memory is what the database has; and it is something else than before.
    func changed() {
        self.isOld.withLock { $0 = true }
        self.word.yield()
    }

    /// What is in memory is what the database has.
    func confirmed() { self.word.yield() }

    /// Until the task is cancelled.
    func run() async {
        guard let copy = self.copy else { return }
        var written: ContinuousClock.Instant?
        for await _ in self.words {
            let now = ContinuousClock.now
            guard written.map({ now - $0 > self.pause }) ?? true else { continue }
            written = now
            let isOld = self.isOld.withLock { isOld in
                defer { isOld = false }
                return isOld
            }
            guard isOld else {
                copy.confirm()
                continue
            }
            do throws(StoreError) {
                try await copy.write(from: self.store)
            } catch {
                self.isOld.withLock { $0 = true }
                self.logger.warning(
                    "The copy of the configuration was not written: a restart without the database would know nothing",
                    ["store.error": .string("\(error)")])
            }
        }
    }
}
