import Glibc
import Networking
import Observability
import SIPSignalling
import Synchronization
import Telephony
import Testing

/// What a call told its owner, kept for the test to look at.
final class CallRecord: Sendable {
    let invitation: SIPInvitation
    private let log = Mutex<[SIPDialogEvent]>([])

    init(_ invitation: SIPInvitation) {
        self.invitation = invitation
        invitation.dialog.observe { event in self.log.withLock { $0.append(event) } }
    }

    var dialog: SIPDialog { self.invitation.dialog }
    var events: [SIPDialogEvent] { self.log.withLock { $0 } }

    /// The first event that `matches`, once it has come.
    func event(
        _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation,
        where matches: @Sendable (SIPDialogEvent) -> Bool
    ) async throws -> SIPDialogEvent {
        try await eventually(comment, sourceLocation) { self.events.first(where: matches) }
    }

    func confirmed(_ sourceLocation: SourceLocation = #_sourceLocation) async throws {
        _ = try await self.event("the ACK", sourceLocation: sourceLocation) {
            if case .confirmed = $0 { true } else { false }
        }
    }

    /// How it ended.
    func ending(_ sourceLocation: SourceLocation = #_sourceLocation) async throws -> SIPDialogEvent {
        try await self.event("the end", sourceLocation: sourceLocation) { event in
            switch event {
            case .ended, .cancelled: true
            default: false
            }
        }
    }
}

struct NotInTime: Error {}

/// Asks `value` until it is there: 10 s at most, which is never a measure of anything.
func eventually<Value>(
    _ comment: Comment, _ sourceLocation: SourceLocation = #_sourceLocation, _ value: () -> Value?
) async throws -> Value {
    for _ in 0..<2000 {
        if let value = value() { return value }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("\(comment) did not come within 10 s", sourceLocation: sourceLocation)
    throw NotInTime()
}

/// A server under test on a free port of 127.0.0.1, with every call that came.
final class SIPListener: Sendable {
    let server: SIPServer
    let address: SocketAddress
    let tlsAddress: SocketAddress?
    private let records: Calls

    final class Calls: Sendable {
        let list = Mutex<[CallRecord]>([])
    }

    /// A socket that nobody reads: the port in our session descriptions.
    static let media = LocalMedia(address: SocketAddress("127.0.0.1", port: 40000)!)

    init(
        _ configure: (inout SIPConfiguration) -> Void = { _ in },
        logger: Logger = .silent,
        answer: @escaping @Sendable (CallRecord) -> Void = { $0.dialog.accept(SIPListener.media) }
    ) throws {
        var configuration = SIPConfiguration(address: SocketAddress("127.0.0.1", port: 0)!)
        configure(&configuration)
        let records = Calls()
        self.records = records
        self.server = SIPServer(configuration, logger: logger) { invitation in
            let record = CallRecord(invitation)
            records.list.withLock { $0.append(record) }
            answer(record)
        }
        let addresses = try self.server.start()
        self.address = addresses.plain
        self.tlsAddress = addresses.tls
    }

    var calls: [CallRecord] { self.records.list.withLock { $0 } }

    func call(_ index: Int = 0, _ sourceLocation: SourceLocation = #_sourceLocation) async throws -> CallRecord {
        try await eventually("call \(index)", sourceLocation) { self.calls.count > index ? self.calls[index] : nil }
    }

    /// Ends the server and checks that libre let go of everything.
    func stop(_ sourceLocation: SourceLocation = #_sourceLocation) {
        let leftOver = self.server.stop()
        #expect(leftOver == 0, "libre's sessions outlived the server", sourceLocation: sourceLocation)
        #expect(self.server.counters.dialogs.value == 0, sourceLocation: sourceLocation)
    }

    /// The same, after `body`, whatever becomes of it.
    func run<Result>(_ body: (SIPListener) async throws -> Result) async throws -> Result {
        do {
            let result = try await body(self)
            self.stop()
            return result
        } catch {
            self.stop()
            throw error
        }
    }
}
