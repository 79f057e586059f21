import MediaDialects
import Telephony

/// What carries a simulated phone's call: a module's WebSocket, FreeSWITCH's raw datagrams, or SIP and RTP. Confined to
/// its loop. Told nothing after `ended`.
protocol PhoneLine: AnyObject {
    /// Calls. Once.
    func start(_ listener: any PhoneLineListener)
    func send(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer)
    /// A key, where keys are no message.
    func press(_ digit: Redacted<Character>)
    /// The caller puts the line on hold, or takes it up again, where that is no mere silence.
    func hold(_ isHeld: Bool)
    /// The caller hangs up, before the answer too.
    func hangUp(code: UInt16)
}

extension PhoneLine {
    func press(_ digit: Redacted<Character>) {}
    func hold(_ isHeld: Bool) {}
}

/// Who has the line.
protocol PhoneLineListener: AnyObject {
    func lineOpened()
    func lineBrought(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer)
    /// Once, the last.
    func lineEnded(_ end: PhoneEnd)
}
