import EventSocket
import Networking
import Telephony

/// Why FreeSWITCH's Event Socket could not be asked.
enum SwitchConsoleError: Error, Equatable, CustomStringConvertible {
    /// Nobody listens there.
    case refused
    /// The host has no address.
    case unknownHost
    /// No answer in time.
    case silent
    /// The access list does not know us: FreeSWITCH says so and closes (`text/rude-rejection`).
    case accessDenied
    case wrongPassword
    /// It speaks, and it is no Event Socket.
    case noEventSocket
    case lost

    var description: String {
        switch self {
        case .refused: "nothing listens there"
        case .unknownHost: "the host has no address"
        case .silent: "no answer in time"
        case .accessDenied: "its access list (apply-inbound-acl) refuses this machine"
        case .wrongPassword: "it refuses the password"
        case .noEventSocket: "what listens there is no Event Socket"
        case .lost: "the connection was lost"
        }
    }
}

/// One connection to FreeSWITCH's Event Socket for the commands of an operator: asks, hears, leaves. No supervision and
/// no reconnection; calls have `ControlLink` for that.
final class SwitchConsole: Sendable {
    private let loop: EventLoop
    private let shell: LoopBound<SwitchConsoleShell>

    private init(loop: EventLoop, shell: LoopBound<SwitchConsoleShell>) {
        self.loop = loop
        self.shell = shell
    }

    /// Connects and authenticates.
    static func open(
        host: String, port: UInt16, password: Redacted<String>, timeout: Duration, on loop: EventLoop
    ) async throws(SwitchConsoleError) -> SwitchConsole {
        let answer: Result<SwitchConsole, SwitchConsoleError> = await withCheckedContinuation { continuation in
            loop.execute {
                let shell = SwitchConsoleShell(password: password, loop: loop)
                let console = SwitchConsole(loop: loop, shell: LoopBound(shell, on: loop))
                shell.open(host: host, port: port, timeout: timeout) { result in
                    continuation.resume(returning: result.map { console })
                }
            }
        }
        return try answer.get()
    }

    /// Runs one API command. `line` is ours, or made of checked words: a line end in it is refused as a loss.
    func api(_ line: String, timeout: Duration = .seconds(10)) async throws(SwitchConsoleError) -> String {
        let answer: Result<String, SwitchConsoleError> = await withCheckedContinuation { continuation in
            self.loop.execute { [shell] in
                shell.value.ask(line, timeout: timeout) { continuation.resume(returning: $0) }
            }
        }
        return try answer.get()
    }

    /// Sends a command that is no API command, such as `sendmsg`; the answer is its Reply-Text.
    func perform(_ command: EventSocketCommand, timeout: Duration = .seconds(10)) async throws(SwitchConsoleError)
        -> String
    {
        let bytes = command.bytes
        let answer: Result<String, SwitchConsoleError> = await withCheckedContinuation { continuation in
            self.loop.execute { [shell] in
                shell.value.send(bytes, timeout: timeout) { continuation.resume(returning: $0) }
            }
        }
        return try answer.get()
    }

    func close() { self.loop.execute { [shell] in shell.value.close(.lost) } }
}

/// The part on the loop: socket, decoder, and who waits for which answer.
final class SwitchConsoleShell {
    private let password: Redacted<String>
    private let loop: EventLoop
    private var connector: Connector?
    private var connection: Connection?
    private var decoder = EventSocketDecoder()
    private var opened: ((Result<Void, SwitchConsoleError>) -> Void)?
    private var isAuthenticating = false
    private var waiting: [(done: (Result<String, SwitchConsoleError>) -> Void, timer: TimerID)] = []
    private var timer: TimerID?
    private var end: SwitchConsoleError?

    init(password: Redacted<String>, loop: EventLoop) {
        self.password = password
        self.loop = loop
    }

    func open(
        host: String, port: UInt16, timeout: Duration, done: @escaping (Result<Void, SwitchConsoleError>) -> Void
    ) {
        self.opened = done
        self.timer = self.loop.schedule(after: timeout) { self.close(.silent) }
        self.connector = Connector(host: host, port: port, timeout: timeout, on: self.loop) { result in
            self.connector = nil
            switch result {
            case .success(let connection): self.connected(connection)
            case .failure(.dns): self.close(.unknownHost)
            case .failure(.timeout), .failure(.cancelled): self.close(.silent)
            case .failure: self.close(.refused)
            }
        }
    }

    func ask(_ line: String, timeout: Duration, done: @escaping (Result<String, SwitchConsoleError>) -> Void) {
        guard !line.contains(where: \.isNewline) else { return done(.failure(.lost)) }
        self.send(Array("api \(line)\n\n".utf8), timeout: timeout, done: done)
    }

    func send(_ bytes: [UInt8], timeout: Duration, done: @escaping (Result<String, SwitchConsoleError>) -> Void) {
        guard let connection = self.connection, self.end == nil else { return done(.failure(self.end ?? .lost)) }
        let timer = self.loop.schedule(after: timeout) { self.close(.silent) }
        self.waiting.append((done, timer))
        _ = bytes.withUnsafeBytes { connection.write($0) }
    }

    /// Ends it; whoever waits hears why.
    func close(_ why: SwitchConsoleError) {
        guard self.end == nil else { return }
        self.end = why
        if let timer = self.timer { self.loop.cancel(timer) }
        self.connector?.cancel()
        self.connection?.finish()
        self.connection = nil
        let waiting = self.waiting
        self.waiting = []
        self.answerOpening(.failure(why))
        for (done, timer) in waiting {
            self.loop.cancel(timer)
            done(.failure(why))
        }
    }

    private func connected(_ connection: Connection) {
        guard self.end == nil else { return connection.abort() }
        self.connection = connection
        connection.onBytes = { self.received(UnsafeRawBufferPointer($0)) }
        connection.onEnd = { _ in
            self.connection = nil
            // The reason is known when a refusal came before.
            self.close(self.opened == nil ? .lost : .noEventSocket)
        }
    }

    private func received(_ bytes: UnsafeRawBufferPointer) {
        self.decoder.append(bytes)
        while self.end == nil {
            let message: EventSocketMessage?
            do { message = try self.decoder.next() } catch { return self.close(.noEventSocket) }
            guard let message else { return }
            switch message {
            case .authRequest:
                guard let command = try? EventSocketCommand.authenticate(self.password) else {
                    return self.close(.wrongPassword)
                }
                self.isAuthenticating = true
                _ = command.bytes.withUnsafeBytes { self.connection?.write($0) }
            case .rejected: self.close(.accessDenied)
            case .reply(let reply):
                if self.isAuthenticating {
                    self.isAuthenticating = false
                    guard reply.refusal == nil else { return self.close(.wrongPassword) }
                    if let timer = self.timer { self.loop.cancel(timer) }
                    self.timer = nil
                    self.answerOpening(.success(()))
                } else if !self.waiting.isEmpty {
                    let (done, timer) = self.waiting.removeFirst()
                    self.loop.cancel(timer)
                    done(.success(reply.text))
                }
            case .disconnectNotice(let notice): if !notice.lingers { self.close(.lost) }
            case .event, .channelData, .unreadable: continue
            }
        }
    }

    private func answerOpening(_ result: Result<Void, SwitchConsoleError>) {
        let opened = self.opened
        self.opened = nil
        opened?(result)
    }
}
