import EventSocket
import Networking
import Telephony

/// `sched_transfer` on a live channel, pushed on as long as we live: a gateway that hangs without dying (its socket stays
/// open, FreeSWITCH notices nothing) loses the call to the fallback.
///
/// FreeSWITCH counts clock seconds: `+4` comes 3 to 4 s later. Armed anew each second, so a stall of two seconds moves
/// nothing.
final class DeadMansSwitch {
    private let channel: CallID
    private let target: DialplanTarget
    private let delay: Duration
    private let loop: EventLoop
    private var timer: TimerID?
    private var isArmed = false
    var run: ((EventSocketCommand) -> Void)?

    init(channel: CallID, target: DialplanTarget, delay: Duration, loop: EventLoop) {
        self.channel = channel
        self.target = target
        self.delay = delay
        self.loop = loop
    }

    /// Takes the place of what the dialplan had armed before us.
    func arm() {
        guard let schedule = try? ApiCommand.scheduleTransfer(self.channel, to: self.target, in: self.delay),
            let cancel = try? ApiCommand.cancelScheduled(self.channel)
        else { return }
        self.isArmed = true
        self.run?(.api(cancel))
        self.run?(.api(schedule))
        self.timer = self.loop.schedule(after: .seconds(1)) { [unowned self] in self.arm() }
    }

    /// Takes it back: the channel goes elsewhere by our doing.
    func disarm() {
        self.stop()
        guard self.isArmed, let cancel = try? ApiCommand.cancelScheduled(self.channel) else { return }
        self.isArmed = false
        self.run?(.api(cancel))
    }

    /// Stops pushing; what is armed stays.
    func stop() {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
    }
}
