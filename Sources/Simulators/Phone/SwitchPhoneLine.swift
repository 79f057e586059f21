import EventSocket
import Foundation
import MediaDialects
import Networking
import Telephony

/// A call that FreeSWITCH's dialplan brings by `socket`, with raw audio: plays the switch's part towards a gateway's
/// outbound Event Socket. Ends when the caller hangs up, when the gateway hangs up, and when the dialplan goes on.
final class SwitchPhoneLine: PhoneLine, SwitchExchange.Telephone {
    private let exchange: SwitchExchange
    private let channel: CallID
    private let port: UInt16
    private let number: String
    private let variables: [String: String]
    /// Kept until the end.
    private var listener: (any PhoneLineListener)?
    private var wasOpened = false
    /// An exchange of our own ends with the call.
    private let ownsExchange: Bool
    private var deadline: TimerID?
    private let timeout: Duration
    /// For the answers that a hang-up still has to bring.
    private static let farewell: Duration = .milliseconds(1200)

    /// - Parameter url: `esl://127.0.0.1:8022/NUMBER?variable=value&…`; `uuid` is the channel's.
    init?(_ url: String, timeout: Duration, on loop: EventLoop) {
        guard let target = SwitchPhoneTarget(url),
            let exchange = try? SwitchExchange(FreeSwitchSimulatorCore(), on: loop, noticed: { _ in })
        else { return nil }
        self.exchange = exchange
        self.ownsExchange = true
        self.channel = target.channel ?? SwitchPhoneTarget.freshChannel()
        self.port = target.port
        self.number = target.number
        self.variables = target.variables
        self.timeout = timeout
    }

    /// A phone of a simulated switch that has others, and a dialplan for `number`.
    init(
        of exchange: SwitchExchange, channel: CallID, number: String, variables: [String: String], timeout: Duration
    ) {
        self.exchange = exchange
        self.ownsExchange = false
        self.channel = channel
        self.port = 0
        self.number = number
        self.variables = variables
        self.timeout = timeout
    }

    func start(_ listener: any PhoneLineListener) {
        self.listener = listener
        self.exchange.connect(self, to: self.channel)
        self.exchange.change { [self] core, effects in
            if self.ownsExchange { core.dialplan[self.number] = .init(port: self.port) }
            core.called(
                self.channel, number: self.number, caller: "1000", variables: self.variables, into: &effects)
        }
        self.deadline = self.exchange.loop.schedule(after: self.timeout) { [self] in
            self.deadline = nil
            guard !self.wasOpened else { return }
            self.end(.unreachable("timeout"))
            self.exchange.change { core, effects in core.hangUp(self.channel, into: &effects) }
        }
    }

    private func end(_ end: PhoneEnd) {
        if let deadline = self.deadline { self.exchange.loop.cancel(deadline) }
        self.deadline = nil
        guard let listener = self.listener else { return }
        self.listener = nil
        if self.ownsExchange {
            let exchange = self.exchange
            exchange.loop.schedule(after: Self.farewell) { exchange.stop() }
        }
        listener.lineEnded(end)
    }

    // MARK: The caller

    func send(_ kind: MessageKind, _ bytes: UnsafeRawBufferPointer) {
        guard kind == .binary else { return }
        self.exchange.say(bytes, on: self.channel)
    }

    func press(_ digit: Redacted<Character>) {
        self.exchange.change { core, effects in core.digit(digit.value, on: self.channel, into: &effects) }
    }

    func hold(_ isHeld: Bool) {
        self.exchange.change { core, effects in core.hold(self.channel, isHeld, into: &effects) }
    }

    func hangUp(code: UInt16) {
        // `ended` follows.
        self.exchange.change { core, effects in core.hangUp(self.channel, into: &effects) }
    }

    // MARK: The switch

    func audioBegan() {
        guard !self.wasOpened else { return }
        self.wasOpened = true
        // Not within the simulator's own turn.
        let box = LoopBound(self, on: self.exchange.loop)
        self.exchange.loop.execute { box.value.listener?.lineOpened() }
    }

    func audioStopped() {}

    func heard(_ frame: UnsafeRawBufferPointer) { self.listener?.lineBrought(.binary, frame) }

    func wentOn() {
        self.end(.leftByGateway)
        self.exchange.change { core, effects in core.hangUp(self.channel, into: &effects) }
    }

    func ended(_ cause: HangupCause) {
        let box = LoopBound(self, on: self.exchange.loop)
        self.exchange.loop.execute { box.value.end(.hungUpByGateway(cause: Int(cause.q850))) }
    }
}

/// `esl://HOST:PORT/NUMBER?name=value&…`: where the gateway's outbound Event Socket listens, whom the caller dialed, and
/// the channel's variables.
struct SwitchPhoneTarget {
    var port: UInt16
    var number: String
    var channel: CallID?
    var variables: [String: String] = ["read_rate": "8000"]

    static func freshChannel() -> CallID {
        guard let id = CallID(UUID().uuidString) else { preconditionFailure("A UUID is a call's id") }
        return id
    }

    /// Nil: no such address, or not on this machine (raw audio is loopback's).
    init?(_ url: String) {
        guard url.hasPrefix("esl://") else { return nil }
        let parts = url.dropFirst("esl://".count).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let place = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        guard place.count == 2, !place[1].isEmpty, let colon = place[0].lastIndex(of: ":"),
            let port = UInt16(place[0][place[0].index(after: colon)...]),
            ["127.0.0.1", "localhost"].contains(place[0][..<colon])
        else { return nil }
        self.port = port
        self.number = String(place[1])
        guard parts.count == 2 else { return }
        for pair in parts[1].split(separator: "&") {
            let words = pair.split(separator: "=", maxSplits: 1).map { String($0) }
            guard words.count == 2 else { return nil }
            if words[0] == "uuid" {
                guard let channel = CallID(words[1]) else { return nil }
                self.channel = channel
            } else {
                self.variables[words[0]] = words[1]
            }
        }
    }
}
