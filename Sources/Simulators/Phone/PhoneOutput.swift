import MediaDialects
import Telephony

/// What a simulated phone wants of its shell.
package enum PhoneAction: Sendable, Equatable {
    /// Send `output.bytes[range]`.
    case send(MessageKind, Range<Int>)
    /// Press a key, where keys are no message (`unicast`, `rtp`).
    case press(Redacted<Character>)
    /// Put the line on hold, or take it up again, where that is no mere silence (`unicast`, `rtp`).
    case hold(Bool)
    /// Start the closing handshake, or hang up.
    case close(code: UInt16)
    /// Call `wake` at this time; replaces the earlier request.
    case wake(at: Duration)
    case report(PhoneReport)
    /// The call is over: `result` is complete, nothing follows.
    case ended
}

/// What a display may show while the call goes on.
package enum PhoneReport: Sendable, Equatable {
    case connected(after: Duration)
    /// A step of the script has begun.
    case stepBegan(index: Int, name: String)
    case callerSpeaking(Bool)
    case agentSpeaking(Bool)
    /// 20 ms that the caller hears: `output.heard[range]`, samples at `PhoneSimulatorCore.earRate`.
    case heard(Range<Int>)
    case firstAudio(after: Duration)
    case answered(after: Duration)
    case interrupted(after: Duration)
    case interruptionIgnored
    case unanswered
    case flushed
}

/// Reused from event to event: once grown it allocates nothing.
package struct PhoneOutput: Sendable {
    package var bytes: [UInt8] = []
    package var heard: [Int16] = []
    package var actions: [PhoneAction] = []
    package init() {}

    package mutating func removeAll() {
        self.bytes.removeAll(keepingCapacity: true)
        self.heard.removeAll(keepingCapacity: true)
        self.actions.removeAll(keepingCapacity: true)
    }

    mutating func report(_ report: PhoneReport) { self.actions.append(.report(report)) }

    mutating func send(_ kind: MessageKind, _ write: (inout [UInt8]) -> Void) -> Int {
        let start: Int = self.bytes.count
        write(&self.bytes)
        self.actions.append(.send(kind, start..<self.bytes.count))
        return self.bytes.count - start
    }
}
