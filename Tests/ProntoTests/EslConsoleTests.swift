import EventSocket
import Networking
import Observability
import PhoneServer
import Simulators
import Synchronization
import Telephony
import Testing

@testable import pronto

@Suite("pronto esl", .timeLimit(.minutes(1)))
struct EslConsoleTests {
    /// Runs lines of a console against a simulated switch; what it printed, what it complained of, its exit status.
    private func console(
        _ lines: [String], password: String = "ClueCon"
    ) async throws -> (output: String, complaints: String, status: Int32) {
        let group = EventLoopGroup(count: 1, name: "console")
        defer { group.stop() }
        var core = FreeSwitchSimulatorCore()
        core.outcomes = ["2000": .answers, "2002": .busy]
        let simulator = try await FreeSwitchSimulator.start(core: core, on: group.loops[0])
        let configuration = InboundClient.Configuration(
            password: password, maximumAttempts: 1, events: [], subclasses: [], onlyWatchedChannels: false)
        let (statuses, report) = AsyncStream.makeStream(of: InboundClient.Status.self)
        let link = EslCommand.link("127.0.0.1", simulator.port, configuration, group) { report.yield($0) }
        let printed = Printed()
        let console = EslConsole(
            link: link, prompt: "", output: { text in printed.output.withLock { $0 += text } },
            complain: { text in printed.complaints.withLock { $0 += text + "\n" } })
        let (typed, keyboard) = AsyncStream.makeStream(of: String.self)
        for line in lines { keyboard.yield(line) }
        keyboard.finish()
        link.start()
        let status = await console.run(typed, statuses: statuses)
        link.stop()
        try await simulator.stop()
        return (printed.output.withLock { $0 }, printed.complaints.withLock { $0 }, status)
    }

    private final class Printed: Sendable {
        let output = Mutex("")
        let complaints = Mutex("")
    }

    @Test("Commands are answered in order, events are shown, jobs end, and all was well")
    func session() async throws {
        let (output, _, status) = try await self.console([
            "echo one", "", "/event json CHANNEL_ANSWER", "/filter Event-Name CHANNEL_ANSWER",
            "/bgapi originate user/2000@example &park()", "echo two", "/bgapi echo three", "/exit",
            "echo no",
        ])
        #expect(status == 0)
        let one = try #require(output.range(of: "one\n"))
        let two = try #require(output.range(of: "two\n"))
        #expect(one.lowerBound < two.lowerBound)
        #expect(output.contains("* CHANNEL_ANSWER 00000000-0000-4000-8000-"))
        #expect(output.contains("job 1: +OK 00000000-0000-4000-8000-"))
        #expect(output.contains("job 2: three\n"))
        #expect(!output.contains("no\n"))
        #expect(!output.contains("BACKGROUND_JOB"))
    }

    @Test(
        "What was refused or not understood is said, and is the exit status",
        arguments: [
            ("nosuch", "-ERR nosuch Command not found!"), ("/what", "/what: not understood"),
            ("/event yaml ALL", "not understood"), ("/event plain NOSUCH", "-ERR no keywords supplied"),
            ("/bgapi originate user/2002@example &park()", "-ERR USER_BUSY"), ("/bgapi", "not understood"),
        ])
    func refusals(line: String, said: String) async throws {
        let (output, complaints, status) = try await self.console([line, "echo after"])
        #expect((output + complaints).contains(said))
        #expect(output.contains("after"))
        #expect(status == 1)
    }

    @Test("A refused password is named with its repair")
    func password() async throws {
        let (_, complaints, status) = try await self.console(["echo one"], password: "wrong")
        #expect(complaints.contains("authentication-refused: check ESL_PASSWORD"))
        #expect(status == 1)
    }

    @Test("One command: the answer and its exit status")
    func once() async throws {
        let group = EventLoopGroup(count: 1, name: "once")
        defer { group.stop() }
        let simulator = try await FreeSwitchSimulator.start(on: group.loops[0])
        let configuration = InboundClient.Configuration(
            password: "ClueCon", maximumAttempts: 1, events: [], subclasses: [], onlyWatchedChannels: false)
        let link = EslCommand.link("127.0.0.1", simulator.port, configuration, group) { _ in }
        link.start()
        let (echo, fine) = await EslCommand.once("uuid_exists x", link)
        #expect(echo == "false" && fine == 0)
        let (missing, refused) = await EslCommand.once("uuid_kill 708cb2e8-5f6e-4238-a18d-3b64fd03d8a1", link)
        #expect(missing == "-ERR No such channel!" && refused == 1)
        let (_, unsafe) = await EslCommand.once("status\n\napi hupall", link)
        #expect(unsafe == 64)
        try await simulator.stop()
        try await eventuallyDown(link)
        let (why, unavailable) = await EslCommand.once("status", link)
        #expect(why.contains("check ESL_HOST") || why.contains("see its log"))
        #expect(unavailable == 69)
        link.stop()
    }

    private func eventuallyDown(_ link: ControlLink) async throws {
        for _ in 0..<2000 where link.isAvailable { try await Task.sleep(for: .milliseconds(2)) }
        #expect(!link.isAvailable)
    }

    @Test("What the switch says cannot move the terminal's cursor")
    func terminal() {
        let event = SwitchEvent(
            headers: EventSocketHeaders(plain: [
                ("Event-Name", "CHANNEL_CREATE"), ("Channel-Name", "a\u{1B}[2Jb"), ("Other", "x\ny"),
            ]), body: Array("one\ntwo\u{7}".utf8))
        #expect(EslText.event(event, isFull: false) == "* CHANNEL_CREATE channel=a\\u{1b}[2Jb")
        let full = EslText.event(event, isFull: true)
        #expect(full.contains("Other: x\\u{a}y"))
        #expect(full.hasSuffix("one\ntwo\\u{7}\n"))
    }
}
