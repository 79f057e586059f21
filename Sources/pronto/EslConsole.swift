import EventSocket
import PhoneServer
import Synchronization
import Telephony

/// The console of `pronto esl`: a line is a command of FreeSWITCH's API; one that begins with a slash is the console's.
///
/// It comes back after a loss of the connection, and its subscriptions with it. Standard input may be a pipe: each
/// command is answered before the next is sent.
final class EslConsole: Sendable {
    static let help = """
        COMMAND…                          any command of FreeSWITCH's API, such as: status, show channels
        /bgapi COMMAND…                   the same beside the connection; its answer comes when it is done
        /event plain|json NAME…           show events (ALL: every one; CUSTOM SUBCLASS…)
        /filter HEADER VALUE              only those; /filter delete HEADER [VALUE] takes one back
        /noevents                         show no events any more
        /full on|off                      show events with all their headers
        /exit
        """

    private let link: ControlLink
    private let prompt: String
    private let output: @Sendable (String) -> Void
    private let complain: @Sendable (String) -> Void

    private struct State {
        /// `event` and `filter` lines, for after a reconnection.
        var remembered: [String] = []
        var showsEvents = false
        var isFull = false
        var hasFailed = false
        var jobs: [Task<Void, Never>] = []
        var jobsStarted = 0
    }
    private let state = Mutex(State())

    init(
        link: ControlLink, prompt: String, output: @escaping @Sendable (String) -> Void,
        complain: @escaping @Sendable (String) -> Void
    ) {
        self.link = link
        self.prompt = prompt
        self.output = output
        self.complain = complain
    }

    /// Until the lines end, or `/exit`. The exit status: 1 when any command was refused or unanswered.
    func run(_ lines: AsyncStream<String>, statuses: AsyncStream<InboundClient.Status>) async -> Int32 {
        let watcher = Task { await self.follow(statuses) }
        let listener = self.link.onEvent([]) { [weak self] event in self?.show(event) }
        self.output(self.prompt)
        for await line in lines {
            let words = line.split(separator: " ").map { String($0) }
            if words.first == "/exit" || words.first == "/quit" { break }
            if !words.isEmpty { await self.perform(words) }
            self.output(self.prompt)
        }
        for job in self.state.withLock({ $0.jobs }) { await job.value }
        listener.cancel()
        watcher.cancel()
        if !self.prompt.isEmpty { self.output("\n") }
        return self.state.withLock { $0.hasFailed } ? 1 : 0
    }

    private func perform(_ words: [String]) async {
        let rest = words.dropFirst().joined(separator: " ")
        switch words[0] {
        case "/help": self.output(Self.help + "\n")
        case "/full" where rest == "on" || rest == "off": self.state.withLock { $0.isFull = rest == "on" }
        case "/bgapi" where !rest.isEmpty: self.begin(rest)
        case "/event" where words.count > 2 && (words[1] == "plain" || words[1] == "json"):
            guard await self.send("event " + rest, remembers: true) else { return }
            self.state.withLock { $0.showsEvents = true }
        case "/filter" where words.count > 2:
            // From the first filter on only matching events come: those that end our jobs must be among them.
            if !self.state.withLock({ $0.remembered.contains { $0.hasPrefix("filter ") } }) {
                _ = await self.send("filter Event-Name BACKGROUND_JOB", remembers: true, isQuiet: true)
            }
            _ = await self.send("filter " + rest, remembers: true)
        case "/noevents" where words.count == 1:
            self.state.withLock { state in
                state.remembered.removeAll { $0.hasPrefix("event ") }
                state.showsEvents = false
            }
            // FreeSWITCH's own `noevents` would take the ends of our jobs as well.
            guard await self.send("noevents", remembers: false) else { return }
            _ = await self.send("event plain BACKGROUND_JOB HEARTBEAT", remembers: false, isQuiet: true)
        case let word where word.hasPrefix("/"):
            self.failed("\(EslText.value(word)): not understood; /help lists what is")
        default:
            let (text, status) = await EslCommand.once(words.joined(separator: " "), self.link)
            if status <= 1 { self.output(text + "\n") } else { self.complain(text) }
            if status != 0 { self.state.withLock { $0.hasFailed = true } }
        }
    }

    /// A command of the Event Socket itself. False: it was not carried out, and that has been said.
    private func send(_ line: String, remembers: Bool, isQuiet: Bool = false) async -> Bool {
        guard let command = try? EventSocketCommand.typed(line) else {
            self.failed("a command is one line without control characters")
            return false
        }
        do {
            let reply = try await self.link.perform(command)
            if remembers { self.state.withLock { $0.remembered.append(line) } }
            if !isQuiet { self.output(EslText.body(reply.text) + "\n") }
            return true
        } catch .refused(let refusal) {
            self.failed(EslText.body(refusal.whole))
        } catch {
            self.failed(EslCommand.reason(error, self.link))
        }
        return false
    }

    private func begin(_ line: String) {
        guard let command = try? ApiCommand.typed(line) else {
            return self.failed("a command is one line without control characters")
        }
        let number = self.state.withLock { state in
            state.jobsStarted += 1
            return state.jobsStarted
        }
        let job = Task {
            do {
                // An hour: a console's job may be a call that rings long.
                let background = try EventSocketCommand.background(
                    command, job: "\(self.link.jobPrefix)-console-\(number)")
                let reply = try await self.link.perform(background, timeout: .seconds(3600))
                self.output("job \(number): \(EslText.body(reply.text))\n")
            } catch let failure as EventSocketFailure {
                if case .refused(let refusal) = failure {
                    self.failed("job \(number): \(EslText.body(refusal.whole))")
                } else {
                    self.failed("job \(number): \(EslCommand.reason(failure, self.link))")
                }
            } catch {
                self.failed("job \(number): the command cannot be written to the switch")
            }
        }
        self.state.withLock { $0.jobs.append(job) }
        self.output("job \(number) begun\n")
    }

    private func failed(_ text: String) {
        self.state.withLock { $0.hasFailed = true }
        self.complain(text)
    }

    private func show(_ event: SwitchEvent) {
        let (shows, isFull) = self.state.withLock { ($0.showsEvents, $0.isFull) }
        // The link's own subscription brings heartbeats: shown where events are shown, and with them only.
        guard shows else { return }
        self.output(EslText.event(event, isFull: isFull) + "\n")
    }

    private func follow(_ statuses: AsyncStream<InboundClient.Status>) async {
        for await status in statuses {
            switch status {
            case .ready:
                self.complain("-- connected to \(self.link.host):\(self.link.port)")
                for line in self.state.withLock({ $0.remembered }) {
                    // It has been sent before, so it can be written.
                    guard let command = try? EventSocketCommand.typed(line) else { continue }
                    do { _ = try await self.link.perform(command) } catch {
                        self.complain("-- not subscribed again: \(EslText.value(line)): \(error.slug)")
                    }
                }
            case .interrupted(let loss), .down(let loss):
                self.complain("-- no connection: \(loss.rawValue): \(loss.repair); trying again")
            case .connecting, .stopped: break
            }
        }
    }
}
