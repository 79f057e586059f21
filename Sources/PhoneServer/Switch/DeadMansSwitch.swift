import EventSocket
import Networking
import Telephony

/// What a dialplan's `pronto_fuse` says: where the caller goes when nobody puts it off, and when.
struct Fuse: Sendable {
    var target: DialplanTarget
    /// Nil: as PRONTO_DEAD_MAN_SECONDS says.
    var seconds: Int?
    /// The task that the dialplan armed itself, before us.
    var task: Int?

    /// `SECONDS EXTENSION [DIALPLAN [CONTEXT]]`; `-` in place of the seconds leaves them to the setting.
    init?(_ text: String, context: String?, task: String?) {
        var words = text.split(separator: " ").map(String.init)
        guard let first = words.first else { return nil }
        let seconds = Int(first)
        guard seconds != nil || first == "-" else { return nil }
        words.removeFirst()
        guard let target = SwitchDial.target(words.joined(separator: " "), context: context) else { return nil }
        self.target = target
        self.seconds = seconds
        self.task = task.flatMap { Int($0) }
    }
}

/// A scheduled transfer of a live channel to its fallback, put off again and again while we live: a gateway that hangs
/// without dying (its sockets stay open, FreeSWITCH notices nothing) loses the call to the fallback.
///
/// The new task is made before the old one is deleted, so that there is no gap (measured, docs/freeswitch.md). FreeSWITCH
/// counts clock seconds: `+4` comes 3.5 to 4 s later. Armed anew each second, so a stall of two seconds moves nothing.
final class DeadMansSwitch {
    private let channel: CallID
    private let target: DialplanTarget
    private let seconds: Int
    private var control: any CallControl
    private let loop: EventLoop
    private var timer: TimerID?
    /// Tasks that are armed, the newest last.
    private var tasks: [Int]
    private var isDisarmed = false
    /// Who puts it off from now on; what is still armed here is theirs to take back.
    private var successor: DeadMansSwitch?
    /// A task of our own is armed: those of others are not needed any more.
    private var isArmed = false
    /// A socket ended between an arming and its answer: there may be a task whose number nobody knows.
    private var isUnsure = false

    init(
        channel: CallID, target: DialplanTarget, seconds: Int, lastTask: Int?, control: any CallControl,
        on loop: EventLoop
    ) {
        self.channel = channel
        self.target = target
        self.seconds = seconds
        self.tasks = lastTask.map { [$0] } ?? []
        self.control = control
        self.loop = loop
    }

    func arm() {
        guard !self.isDisarmed,
            let command = try? ApiCommand.scheduleFuse(self.channel, to: self.target, seconds: self.seconds)
        else { return }
        let box = LoopBound(self, on: self.loop)
        if self.isUnsure {
            // All of the channel's tasks, other people's too (a dialplan's `sched_hangup`): better than a caller who is
            // fetched out of a conversation. The new one follows in the same write.
            self.isUnsure = false
            self.tasks = []
            self.cancelAll()
        }
        self.control.ask(command, timeout: nil) { result in
            box.loop.execute {
                switch result {
                case .success(let reply): SwitchTask.number(in: reply.text).map(box.value.armed)
                case .failure(.refused), .failure(.notSent), .failure(.queueFull), .failure(.down): break
                case .failure: box.value.lostAnswer()
                }
            }
        }
        self.timer = self.loop.schedule(after: .seconds(1)) { [unowned self] in self.arm() }
    }

    private func armed(_ task: Int) {
        guard !self.isDisarmed else { return self.cancel(task) }
        // Asked for by the way before, and answered only now.
        if let successor = self.successor { return successor.inherit([task]) }
        for old in self.tasks { self.cancel(old) }
        self.tasks = [task]
        self.isArmed = true
    }

    private func lostAnswer() {
        if let successor = self.successor {
            successor.lostAnswer()
        } else if self.isDisarmed {
            self.cancelAll()
        } else {
            self.isUnsure = true
        }
    }

    /// Another takes the place of this one, by another way to the same channel: what is armed here is taken back as soon
    /// as something is armed there, so that there is no gap.
    func handOver(to successor: DeadMansSwitch) {
        self.stop()
        self.successor = successor
        successor.inherit(self.tasks)
        self.tasks = []
        if self.isUnsure { successor.lostAnswer() }
    }

    private func inherit(_ tasks: [Int]) {
        if self.isArmed || self.isDisarmed {
            for task in tasks { self.cancel(task) }
        } else if let successor = self.successor {
            successor.inherit(tasks)
        } else {
            self.tasks.insert(contentsOf: tasks, at: 0)
        }
    }

    private func cancel(_ task: Int) { self.control.ask(.cancelTask(task)) }

    private func cancelAll() {
        guard let command = try? ApiCommand.cancelTasks(of: self.channel) else { return }
        let box = LoopBound(self, on: self.loop)
        self.control.ask(command, timeout: nil) { result in
            guard case .failure = result else { return }
            box.loop.execute { box.value.isUnsure = true }
        }
    }

    /// Takes it back: the channel goes elsewhere, or is there.
    ///
    /// - Parameter control: another way to the switch than the one by which it was armed.
    func disarm(by control: (any CallControl)? = nil) {
        self.stop()
        if let control { self.control = control }
        self.isDisarmed = true
        for task in self.tasks { self.cancel(task) }
        self.tasks = []
        if self.isUnsure { self.cancelAll() }
    }

    /// Stops putting it off; what is armed stays.
    func stop() {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
    }
}
