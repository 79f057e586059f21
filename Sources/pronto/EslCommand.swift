import Configuration
import EventSocket
import Foundation
import Networking
import Observability
import PhoneServer
import Telephony

/// `pronto esl`: FreeSWITCH's Event Socket from a shell. With a command it prints the answer and ends; without one it is
/// a console (`EslConsole`).
///
/// Exit status of one command: 0 when the answer begins with neither `-ERR` nor `-USAGE`, 1 when it does, 69 when there
/// was no answer (no connection, a refused password, no reply in time). Of a console: 0, or 1 when any of its commands
/// was refused or unanswered and standard input is no terminal.
enum EslCommand {
    static let usage = """
        pronto esl [--host H] [--port P] [--password-file FILE] [--timeout SECONDS] [COMMAND…]
        With a COMMAND (any of FreeSWITCH's API, such as: status, show channels, uuid_kill ID) it prints the answer.
        Without one it reads commands, one a line; /help lists what it knows beside FreeSWITCH's own.
        The password is ESL_PASSWORD's, or the first line of FILE; host and port are ESL_HOST and ESL_PORT, unless given.
        """

    static let unavailable: Int32 = 69

    static func run(_ words: [String]) async throws -> Int32 {
        let arguments = try Arguments(
            words, options: ["--host", "--port", "--password-file", "--timeout", "--config"], flags: ["--help"])
        if arguments.has("--help") {
            print(self.usage)
            return 0
        }
        let settings = try Settings.load(
            folder: ".", file: try arguments.optional("--config"),
            environment: ProcessInfo.processInfo.environment, arguments: arguments.settings)
        let host = try arguments.optional("--host") ?? settings.switchHost
        let port =
            try arguments.optional("--port", allowed: "1 to 65535") { text -> UInt16? in
                UInt16(text).flatMap { $0 > 0 ? $0 : nil }
            } ?? UInt16(settings.switchPort)
        let limit =
            try arguments.optional("--timeout", allowed: "0.1 to 3600 seconds") { text in
                Double(text).flatMap { (0.1...3600).contains($0) ? Duration.milliseconds(Int($0 * 1000)) : nil }
            } ?? settings.switchReadTimeout
        var configuration = InboundClient.Configuration(
            password: try self.password(arguments, settings), connectTimeout: settings.switchConnectTimeout,
            // A command that takes long holds back every byte: silence is its time-out, not the connection's end.
            readTimeout: limit + .seconds(5), replyTimeout: limit, reconnectDelay: settings.switchReconnectDelay,
            events: [], subclasses: [], onlyWatchedChannels: false)
        let group = EventLoopGroup(count: 1, name: "esl")
        defer { group.stop() }
        if arguments.words.isEmpty {
            return await self.console(host, port, configuration, group, hasTerminal: isatty(STDIN_FILENO) == 1)
        }
        configuration.maximumAttempts = 1
        let link = self.link(host, port, configuration, group) { _ in }
        link.start()
        defer { link.stop() }
        let (text, status) = await self.once(arguments.words.joined(separator: " "), link)
        if status == Self.unavailable { Pronto.complain("pronto esl: " + text) } else { print(text) }
        return status
    }

    /// One command: its answer, or why there is none, and the exit status.
    static func once(_ line: String, _ link: ControlLink) async -> (text: String, status: Int32) {
        let command: ApiCommand
        do throws(EventSocketCommandError) { command = try ApiCommand.typed(line) } catch {
            return ("a command is one line without control characters, of at most 16384 bytes", 64)
        }
        do {
            return (EslText.body(try await link.perform(command).text), 0)
        } catch .refused(let refusal) {
            return (EslText.body(refusal.whole), 1)
        } catch {
            return ("\(link.host):\(link.port): " + self.reason(error, link), self.unavailable)
        }
    }

    static func link(
        _ host: String, _ port: UInt16, _ configuration: InboundClient.Configuration, _ group: EventLoopGroup,
        observer: @escaping @Sendable (InboundClient.Status) -> Void
    ) -> ControlLink {
        ControlLink(
            host: host, port: port, configuration: configuration, seed: UInt64.random(in: 0...UInt64.max),
            jobPrefix: UUID().uuidString.lowercased(), loop: group.loops[0], logger: .silent, observer: observer)
    }

    /// Why there is no answer, in words.
    static func reason(_ failure: EventSocketFailure, _ link: ControlLink) -> String {
        switch (failure, link.status) {
        case (.notSent, .down(let loss)), (.notSent, .interrupted(let loss)), (.down, .down(let loss)),
            (.outcomeUnknown, .down(let loss)), (.outcomeUnknown, .interrupted(let loss)):
            "\(loss.rawValue): \(loss.repair)" + (failure == .outcomeUnknown ? " (it may have been carried out)" : "")
        case (.timedOut, _): "no answer in time; it may still be carried out (--timeout waits longer)"
        case (.replyTooLong, _): "carried out, and the answer is longer than 4 MiB"
        default: failure.slug
        }
    }

    private static func password(_ arguments: Arguments, _ settings: Settings) throws -> String {
        guard let file = try arguments.optional("--password-file") else {
            guard let password = settings.switchPassword else {
                throw CommandFailure("no password: set ESL_PASSWORD, or give --password-file FILE")
            }
            return password
        }
        guard let data = FileManager.default.contents(atPath: file) else {
            throw CommandFailure("--password-file: \(file) cannot be read")
        }
        return String(decoding: data, as: UTF8.self).prefix { !$0.isNewline }.description
    }

    private static func console(
        _ host: String, _ port: UInt16, _ configuration: InboundClient.Configuration, _ group: EventLoopGroup,
        hasTerminal: Bool
    ) async -> Int32 {
        let (statuses, report) = AsyncStream.makeStream(of: InboundClient.Status.self)
        let link = self.link(host, port, configuration, group) { report.yield($0) }
        let console = EslConsole(
            link: link, prompt: hasTerminal ? "\(host):\(port)> " : "",
            output: { text in FileHandle.standardOutput.write(Data(text.utf8)) },
            complain: { text in Pronto.complain(text) })
        let (lines, typed) = AsyncStream.makeStream(of: String.self)
        // Reading blocks: on a thread of its own, which ends with the process or with the input.
        Thread.detachNewThread {
            while let line = readLine() { typed.yield(line) }
            typed.finish()
        }
        link.start()
        let status = await console.run(lines, statuses: statuses)
        link.stop()
        return hasTerminal ? 0 : status
    }
}
