import Conversation
import Foundation
import PhoneServer
import Records
import Synchronization
import Telephony

/// Shows a demo call as it happens, line by line, and remembers what the demo is judged by.
///
/// Transcripts are shown on purpose: both voices are machines of ours.
final class DemoScreen: CallObserver, Sendable {
    /// Who a line is about.
    enum Voice: String, Sendable {
        case caller, agent, switching = "switch", phone, gateway

        /// ANSI colour.
        var colour: Int {
            switch self {
            case .caller: 36
            case .agent: 32
            case .switching: 35
            case .phone: 34
            case .gateway: 33
            }
        }
    }

    /// What happened, for the verdict.
    struct Facts: Sendable {
        var answered = 0
        /// Barge-ins that were confirmed, and answers that they cut short: a barge-in counts when it did both.
        var confirmedBargeIns = 0
        var cutAnswers = 0
        var failedAssistants: [String] = []
        /// What the agent has said since the caller's last words.
        var agentWords = ""
        fileprivate var partial = ""
        fileprivate var answer: Duration?
    }

    private let hasColours = isatty(1) == 1
    private let clock = ContinuousClock()
    private let beginning = Mutex<ContinuousClock.Instant?>(nil)
    private let state = Mutex(Facts())

    var facts: Facts { self.state.withLock { $0 } }

    /// The caller is about to speak: what the agent says from now on is an answer to that.
    func forgetAgentWords() { self.state.withLock { $0.agentWords = "" } }

    /// The call begins: timestamps count from here.
    func callBegan() { self.beginning.withLock { $0 = self.clock.now } }

    /// A line without a time.
    func plain(_ text: String = "") { self.write(text) }

    func heading(_ text: String) { self.write(self.hasColours ? "\u{1B}[1m\(text)\u{1B}[0m" : text) }

    func line(_ voice: Voice, _ text: String) {
        let since: Duration = self.beginning.withLock { $0.map { self.clock.now - $0 } } ?? .zero
        let name = voice.rawValue + String(repeating: " ", count: 8 - voice.rawValue.count)
        let shown = self.hasColours ? "\u{1B}[\(voice.colour)m\(name)\u{1B}[0m" : name
        self.write("\(Self.stamp(since))  \(shown) \(text)")
    }

    private func write(_ text: String) {
        // One write a line: several threads speak.
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    /// `07.35`: seconds since the call began.
    private static func stamp(_ duration: Duration) -> String {
        let hundredths = max(0, duration.milliseconds / 10)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(hundredths / 100)).\(two(hundredths % 100))"
    }

    static func seconds(_ duration: Duration) -> String {
        let tenths = (duration.milliseconds + 50) / 100
        return "\(tenths / 10).\(tenths % 10) s"
    }

    // MARK: CallObserver

    func call(_ identity: CallIdentity, noted note: SessionNote, at sinceStart: Duration) {
        switch note {
        case .assistantReady: self.line(.gateway, "assistant ready")
        case .assistantFailed(_, let slug):
            self.state.withLock { $0.failedAssistants.append(slug) }
            self.line(.gateway, "assistant failed: \(slug)")
        case .callerSpeaking(let isSpeaking): self.line(.caller, isSpeaking ? "( speaks" : ") is quiet")
        case .agentSpeaking(let isSpeaking): self.line(.agent, isSpeaking ? "( speaks" : ") is quiet")
        case .callerSaid(let text, isFinal: true):
            let words = text.value
            self.line(.caller, words.isEmpty ? "(words not understood)" : "“\(words)”")
        case .callerSaid(_, isFinal: false): break
        case .agentSaid(let text, let isFinal): self.agentSaid(text.value, isFinal: isFinal)
        case .turnLatency(let latency):
            self.state.withLock { $0.answered += 1 }
            self.line(.agent, "answers \(latency.milliseconds) ms after the caller stopped")
        case .paused: self.line(.gateway, "caller speaks over the agent: playback paused")
        case .bargeIn(let isConfirmed):
            if isConfirmed { self.state.withLock { $0.confirmedBargeIns += 1 } }
            self.line(.gateway, isConfirmed ? "barge-in confirmed" : "no words in it: the agent goes on")
        case .cut(let heard, let received):
            self.state.withLock { $0.cutAnswers += 1 }
            self.showUnfinished()
            self.line(
                .gateway, "answer cut: \(Self.seconds(heard)) of \(Self.seconds(received)) were heard by the caller")
        case .tool(let call): self.line(.agent, "uses the tool \(call.name)")
        case .houseSentence(let slug): self.line(.gateway, "says in its own voice: \(slug)")
        case .transferStarted(let name): self.line(.gateway, "hands the caller over to \(name)")
        case .transferFailed(let name): self.line(.gateway, "nobody took the caller at \(name)")
        case .underrun(let gap): self.line(.gateway, "underrun: \(gap.milliseconds) ms")
        case .usage, .toolAnswered: break
        }
    }

    func callEnded(_ identity: CallIdentity, record: CallRecord) {
        self.line(.gateway, "call ended: \(record.termination.reason)")
    }

    /// Deltas are gathered; a line is shown when the text is complete.
    private func agentSaid(_ text: String, isFinal: Bool) {
        self.state.withLock { facts in
            facts.partial = isFinal ? "" : facts.partial + text
            facts.agentWords += isFinal ? "" : text
            // Some assistants send the whole text only.
            if isFinal, !facts.agentWords.contains(text) { facts.agentWords += " " + text }
        }
        if isFinal { self.line(.agent, "“\(text)”") }
    }

    /// What was being said when the caller cut in.
    private func showUnfinished() {
        let unfinished: String = self.state.withLock { facts in
            defer { facts.partial = "" }
            return facts.partial
        }
        if !unfinished.isEmpty { self.line(.agent, "“\(unfinished)…”") }
    }
}
