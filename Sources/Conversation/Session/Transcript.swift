import Assistants
import Telephony

/// One party's whole contribution, as it goes into the records.
package struct Turn: Sendable, Equatable {
    package enum Speaker: String, Sendable { case caller, agent }
    package var speaker: Speaker
    /// What the assistant understood, or was going to say.
    package var text: Redacted<String>
    /// What of it the caller heard (agent turns that were cut), cut at a word.
    package var heardText: Redacted<String>
    package var heard: Duration
    package var received: Duration
    package var wasInterrupted: Bool
    /// Caller stopped → first agent audio on the wire (agent turns that answer one).
    package var latency: Duration?
    /// Since the call began.
    package var began: Duration
}

/// What was said, by whom, and how much of it was heard. Keeps turns in the order in which they began.
package struct Transcript: Sendable {
    private struct Open: Sendable {
        var turn: Turn
        var item: PlayoutItem?
        var callerItem: Int?
        var session: Int
        var isFinal = false
        var isSettled = false
        /// The back end's own account of what was heard; it knows where its words lie in its audio.
        var corrected: String?
    }
    /// A turn's text is kept up to this many characters: a provider that never stops must not fill the memory.
    private static let maximumText = 20_000
    private static let maximumTurns = 2000
    private var open: [Open] = []

    package init() {}

    /// Without what is empty, and without the blanks at which pieces of a text meet.
    package var turns: [Turn] {
        self.open.map { open in
            var turn = open.turn
            turn.text = Redacted(turn.text.value.trimmed)
            turn.heardText = Redacted(turn.heardText.value.trimmed)
            return turn
        }.filter { !$0.text.value.isEmpty || $0.received > .zero }
    }

    package mutating func callerSaid(_ text: String, item: Int, session: Int, isFinal: Bool, at now: Duration) {
        let text = self.bounded(text)
        self.callerBegan(item: item, session: session, at: now)
        guard let index = self.open.lastIndex(where: { $0.callerItem == item && $0.session == session }) else { return }
        self.note(text, isFinal: isFinal, at: index)
        self.open[index].turn.heardText = self.open[index].turn.text
        self.open[index].isFinal = isFinal
    }

    /// What the caller is known to have said in an item so far.
    package func callerText(item: Int, session: Int) -> String {
        self.open.last { $0.callerItem == item && $0.session == session }?.turn.text.value ?? ""
    }

    /// A caller's turn has its place in the order before its words are known (they may come after the answer).
    package mutating func callerBegan(item: Int, session: Int, at now: Duration) {
        guard self.open.count < Self.maximumTurns,
            !self.open.contains(where: { $0.callerItem == item && $0.session == session })
        else { return }
        let turn = Turn(
            speaker: .caller, text: Redacted(""), heardText: Redacted(""), heard: .zero, received: .zero,
            wasInterrupted: false, latency: nil, began: now)
        self.open.append(Open(turn: turn, item: nil, callerItem: item, session: session))
    }

    package mutating func agentSaid(_ text: String, item: PlayoutItem, isFinal: Bool, at now: Duration) {
        guard let index = self.index(of: item, at: now) else { return }
        self.note(text, isFinal: isFinal, at: index)
        self.open[index].isFinal = isFinal
        if self.open[index].isSettled { self.settleText(index) }
    }

    package mutating func agentBegan(item: PlayoutItem, latency: Duration?, at now: Duration) {
        guard let index = self.index(of: item, at: now) else { return }
        self.open[index].turn.latency = latency
    }

    /// The account of an item is closed: this much of what was received was heard.
    package mutating func settle(_ account: Playout.Heard, interrupted: Bool, at now: Duration) {
        guard let index = self.index(of: account.item, at: now) else { return }
        self.open[index].turn.heard = account.heard
        self.open[index].turn.received = account.received
        self.open[index].turn.wasInterrupted = interrupted
        self.open[index].isSettled = true
        self.settleText(index)
    }

    /// The back end says what of an item it believes to have been heard. Nothing for an item that never began.
    package mutating func agentCorrected(_ text: String, item: PlayoutItem) {
        guard let index = self.open.lastIndex(where: { $0.item == item }) else { return }
        self.open[index].corrected = String(text.prefix(Self.maximumText))
        if self.open[index].isSettled { self.settleText(index) }
    }

    /// Items of the agent that are not settled yet.
    package var unsettled: [PlayoutItem] { self.open.filter { !$0.isSettled }.compactMap(\.item) }

    /// What a new assistant is told: only what was said and heard, and what sounds on (`sounding`, not settled yet).
    package func history(with sounding: [PlayoutItem] = []) -> [ConversationEntry] {
        self.open.compactMap { open in
            let soundsOn = open.item.map { sounding.contains($0) } ?? false
            let text = soundsOn ? open.turn.text.value : open.turn.heardText.value
            guard !text.isEmpty else { return nil }
            return ConversationEntry(role: open.turn.speaker == .caller ? .caller : .agent, text: text)
        }
    }

    private mutating func index(of item: PlayoutItem, at now: Duration) -> Int? {
        // By index: a closure would be given a copy of each entry.
        for index in self.open.indices.reversed() where self.open[index].item == item { return index }
        guard self.open.count < Self.maximumTurns else { return nil }
        let turn = Turn(
            speaker: .agent, text: Redacted(""), heardText: Redacted(""), heard: .zero, received: .zero,
            wasInterrupted: false, latency: nil, began: now)
        self.open.append(Open(turn: turn, item: item, callerItem: nil, session: item.session))
        return self.open.count - 1
    }

    /// Text runs evenly over the audio, near enough to find the word at which the caller cut in.
    private mutating func settleText(_ index: Int) {
        let turn = self.open[index].turn
        let text = turn.text.value
        guard turn.wasInterrupted, turn.received > .zero, turn.heard < turn.received else {
            self.open[index].turn.heardText = turn.text
            return
        }
        if let corrected = self.open[index].corrected {
            self.open[index].turn.heardText = Redacted(corrected)
            return
        }
        let share = Double(turn.heard.nanoseconds) / Double(turn.received.nanoseconds)
        let cut = text.prefix(Int(Double(text.count) * share))
        let whole = cut.lastIndex(where: { $0 == " " }).map { cut[..<$0] } ?? cut.prefix(0)
        self.open[index].turn.heardText = Redacted(String(whole))
    }

    /// The whole text of a turn, or the next piece of it: pieces are appended in place, or a long turn would be copied
    /// with each of them.
    private mutating func note(_ text: String, isFinal: Bool, at index: Int) {
        var whole = ""
        if !isFinal {
            whole = self.open[index].turn.text.value
            self.open[index].turn.text = Redacted("")
        }
        whole += text
        self.open[index].turn.text = Redacted(self.bounded(whole))
    }

    private func bounded(_ text: String) -> String {
        // A character is at least one byte: most texts need no counting of characters.
        text.utf8.count <= Self.maximumText ? text : String(text.prefix(Self.maximumText))
    }
}
