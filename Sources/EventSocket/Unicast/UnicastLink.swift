import Telephony

/// One parked channel's raw audio by `sendmsg unicast`: when it may be asked for, whether it flows, and what ends it.
///
/// A value: call the method named for what happened, perform the effects in order. The owner has the sockets and a timer.
///
/// The rules are those of `protocols/freeswitch-legs.md` §1, all measured on a real FreeSWITCH:
/// * `+OK` proves nothing; only the first datagram does. A local port in use gives none and no event.
/// * One `sendmsg unicast` a park. A second one while the first works leaks a socket of the switch; a second one after a
///   playback in the same park ends the switch (use after free). A second one after one that never worked is good.
/// * A playback, a bridge and an unpark end it for good; hold, digits, recording and variables do not.
/// * A transfer of a channel into whose unicast we send deadlocks the channel (the owner is silent before it asks for one).
/// So after anything that ended a unicast that had flowed, the only way on is a park of its own: `reenter`.
package struct UnicastLink: Sendable {
    package enum Effect: Sendable, Equatable {
        /// Ask for it: bind our end first.
        case ask(UnicastPorts)
        /// Take other ports and call `offer` (the first ones gave no datagram; the switch's may be taken).
        case needsPorts
        /// The first datagram came.
        case flowing
        /// Audio has stopped, and this park cannot have it again. Send the channel to a fresh park (a transfer to its
        /// extension, or `park inline`), then `parked` will be called.
        case reenter(Loss)
        /// Audio has stopped because the channel went elsewhere (somebody bridged or transferred it): nothing is to be done,
        /// least of all to fetch it back. If it is parked again, `parked` says so.
        case left(Loss)
        /// It never flowed; the call has to go to its fallback.
        case failed(Loss)
    }

    /// Why there is no audio.
    package enum Loss: String, Sendable, CaseIterable {
        case noDatagrams = "unicast-no-datagrams"
        case noPorts = "unicast-no-ports"
        case playback = "unicast-playback"
        case bridged = "unicast-bridged"
        case unparked = "unicast-unparked"
        case silent = "unicast-silent"
    }

    private enum State: Equatable {
        /// Not asked in this park.
        case idle
        case awaitingPorts
        /// Asked. Left by the first datagram and the deadline.
        case asked(deadline: Duration)
        case flowing(lastDatagram: Duration)
        /// Ended after it had flowed, or after a playback: no other `ask` before the next park.
        case spent
        case failed
    }

    /// How long the first datagram may take: 0 to 40 ms measured with a talking caller.
    private let patience: Duration
    /// Datagrams flow all the time, held or not: this long without one means that the switch sends none any more.
    private let silence: Duration
    private let attempts: Int
    private var state = State.idle
    private var tried = 0

    package init(patience: Duration = .milliseconds(400), silence: Duration = .seconds(2), attempts: Int = 3) {
        self.patience = patience
        self.silence = silence
        self.attempts = attempts
    }

    package var isFlowing: Bool { if case .flowing = self.state { true } else { false } }

    /// When `timerFired` has to be called next.
    package var nextWake: Duration? {
        switch self.state {
        case .asked(let deadline): deadline
        case .flowing(let last): last + self.silence
        case .idle, .awaitingPorts, .spent, .failed: nil
        }
    }

    /// The channel is parked, newly: whatever was before is over, and it may be asked again.
    package mutating func parked(into effects: inout [Effect]) {
        self.state = .awaitingPorts
        self.tried = 0
        effects.append(.needsPorts)
    }

    /// A pair of free ports, our end bound; nil: there is none.
    package mutating func offer(_ ports: UnicastPorts?, at now: Duration, into effects: inout [Effect]) {
        guard self.state == .awaitingPorts else { return }
        guard let ports else {
            self.state = .failed
            effects.append(.failed(.noPorts))
            return
        }
        self.tried += 1
        self.state = .asked(deadline: now + self.patience)
        effects.append(.ask(ports))
    }

    /// A datagram from the switch's end.
    package mutating func datagram(at now: Duration, into effects: inout [Effect]) {
        switch self.state {
        case .asked:
            self.state = .flowing(lastDatagram: now)
            effects.append(.flowing)
        case .flowing: self.state = .flowing(lastDatagram: now)
        case .idle, .awaitingPorts, .spent, .failed: break
        }
    }

    /// Another datagram of a link that flows: no effect can come of it.
    package mutating func heard(at now: Duration) {
        if case .flowing = self.state { self.state = .flowing(lastDatagram: now) }
    }

    package mutating func timerFired(at now: Duration, into effects: inout [Effect]) {
        switch self.state {
        case .asked(let deadline) where deadline <= now:
            // Nothing came of it, so nothing of it is left in the switch: asking again is safe.
            if self.tried < self.attempts {
                self.state = .awaitingPorts
                effects.append(.needsPorts)
            } else {
                self.state = .failed
                effects.append(.failed(.noDatagrams))
            }
        case .flowing(let last) where last + self.silence <= now: self.lose(.silent, &effects)
        default: break
        }
    }

    /// Something began to play on the channel, whoever asked for it: never we.
    package mutating func playbackStarted(into effects: inout [Effect]) { self.lose(.playback, &effects) }
    package mutating func bridged(into effects: inout [Effect]) { self.lose(.bridged, &effects) }
    package mutating func unparked(into effects: inout [Effect]) { self.lose(.unparked, &effects) }

    private mutating func lose(_ loss: Loss, _ effects: inout [Effect]) {
        switch self.state {
        case .spent, .failed: return
        case .flowing, .asked, .idle, .awaitingPorts:
            // Also where nothing was asked or heard of yet: it may have begun in the switch, and a playback leaves the
            // channel's flag behind; both make the next one in this park deadly.
            self.state = .spent
            effects.append(loss == .bridged || loss == .unparked ? .left(loss) : .reenter(loss))
        }
    }
}
