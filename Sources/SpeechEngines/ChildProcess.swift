import CLinux
import Glibc
import Synchronization

/// A program started with text on its standard input and its standard output to be read, never left behind.
///
/// Text goes by stdin and not by arguments: nothing in it can be an option, and `ps` shows nothing of it. Both ends
/// are socket pairs: writing to one whose reader died is an error, not SIGPIPE.
final class ChildProcess: Sendable {
    enum Reading: Equatable {
        case bytes(Int)
        case end
        case timedOut
    }

    /// Nil once the process has been waited for: its number may then be somebody else's.
    private let pid: Mutex<pid_t?>
    private let output: Int32
    /// Only where the conversation goes on; -1 where the input ended at the start.
    private let input: Int32
    private let errors: Int32

    /// - Parameter keepsInput: the child is told more later (`tell`), and what it complains of can be asked for.
    init(
        _ path: String, _ arguments: [String], input: [UInt8], keepsInput: Bool = false
    ) throws(SpeechEngineError) {
        guard access(path, X_OK) == 0 else { throw .programMissing(path: path) }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        var stdin: [Int32] = [-1, -1]
        var stdout: [Int32] = [-1, -1]
        var stderr: [Int32] = [-1, -1]
        let isMade: Bool =
            socketpair(AF_UNIX, kind, 0, &stdin) == 0 && socketpair(AF_UNIX, kind, 0, &stdout) == 0
            && (!keepsInput || socketpair(AF_UNIX, kind, 0, &stderr) == 0)
        guard isMade else {
            for descriptor in stdin + stdout + stderr where descriptor >= 0 { close(descriptor) }
            throw .rejected("a socket pair")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, stdin[1], 0)
        posix_spawn_file_actions_adddup2(&actions, stdout[1], 1)
        if keepsInput {
            // Nobody reads it while all goes well: a child must never wait because it has complained too much.
            _ = fcntl(stderr[1], F_SETFL, O_NONBLOCK)
            posix_spawn_file_actions_adddup2(&actions, stderr[1], 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Our signal mask and our ignored SIGPIPE are not the child's business.
        var defaults = sigset_t()
        sigfillset(&defaults)
        var mask = sigset_t()
        sigemptyset(&mask)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setsigmask(&attributes, &mask)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var started: pid_t = 0
        let argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        let environment: [UnsafeMutablePointer<CChar>?] = [strdup("LC_ALL=C.UTF-8"), strdup("PATH=/usr/bin:/bin"), nil]
        defer { for string in argv + environment { free(string) } }
        let result: Int32 = posix_spawn(&started, path, &actions, &attributes, argv, environment)
        close(stdin[1])
        close(stdout[1])
        if stderr[1] >= 0 { close(stderr[1]) }
        guard result == 0 else {
            for descriptor in [stdin[0], stdout[0], stderr[0]] where descriptor >= 0 { close(descriptor) }
            throw .rejected("to start")
        }
        self.pid = Mutex(started)
        self.output = stdout[0]
        self.input = keepsInput ? stdin[0] : -1
        self.errors = stderr[0]
        // Bounded by the caller (a few kilobytes): the socket's buffer takes it whole, so this does not wait.
        _ = input.withUnsafeBytes { send(stdin[0], $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if !keepsInput { close(stdin[0]) }
    }

    /// More input, of a few kilobytes at most. False: the child does not take it.
    func tell(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes {
            send(self.input, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        } == bytes.count
    }

    /// Whether the child has read all that it was told.
    var hasReadAll: Bool { pronto_unread(self.input) == 0 }

    /// The child yields the processor to whoever has calls to serve.
    func yieldToOthers() {
        self.pid.withLock { pid in
            if let pid { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(pid), 5) }
        }
    }

    /// The last line that the child wrote to its standard error, for an operator: never while it speaks for callers.
    func lastComplaint() -> String? {
        guard self.errors >= 0 else { return nil }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while text.count < 1 << 18 {
            let count: Int = recv(self.errors, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        return String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
            .last { $0.contains { !$0.isWhitespace } }
            .map { String($0.prefix(300)) }
    }

    /// All output to its end, of which a megabyte is kept. Nil: it did not end in time, and has been ended.
    func readToEnd(within seconds: Int64) -> [UInt8]? {
        let deadline: Int64 = pronto_monotonic_ns() &+ seconds &* 1_000_000_000
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while output.count < 1 << 20 {
            switch buffer.withUnsafeMutableBytes({ self.read(into: $0, deadline: deadline) }) {
            case .bytes(let count): output += buffer[..<count]
            case .end: return output
            case .timedOut:
                self.kill()
                _ = self.reap()
                return nil
            }
        }
        return output
    }

    /// Waits for output until `deadline` (CLOCK_MONOTONIC nanoseconds).
    func read(into buffer: UnsafeMutableRawBufferPointer, deadline: Int64) -> Reading {
        while true {
            let left: Int64 = deadline - pronto_monotonic_ns()
            guard left > 0 else { return .timedOut }
            var poller = pollfd(fd: self.output, events: Int16(POLLIN), revents: 0)
            let ready: Int32 = poll(&poller, 1, Int32(min(left / 1_000_000 + 1, 60_000)))
            if ready == 0 { continue }
            if ready < 0, errno == EINTR { continue }
            let count: Int = Glibc.read(self.output, buffer.baseAddress, buffer.count)
            if count > 0 { return .bytes(count) }
            if count < 0, errno == EINTR { continue }
            return .end
        }
    }

    /// Ends it at once; from any thread, and harmless when it is gone.
    func kill() {
        self.pid.withLock { pid in
            if let pid { _ = Glibc.kill(pid, SIGKILL) }
        }
    }

    /// Waits for its end (a second at most, then kills it), leaves no zombie. True: it ended well. Call once, last.
    func reap() -> Bool {
        for descriptor in [self.output, self.input, self.errors] where descriptor >= 0 { close(descriptor) }
        var attempts = 0
        while true {
            var status: Int32 = 0
            // Under the lock, so that `kill` never sees a number that has been given away.
            let isGone: Bool = self.pid.withLock { pid in
                guard let running = pid else { return true }
                let result: pid_t = waitpid(running, &status, WNOHANG)
                if result == running || (result < 0 && errno != EINTR) {
                    pid = nil
                    return true
                }
                return false
            }
            // Normal exit with status 0 is an all-zero status word.
            if isGone { return status == 0 }
            attempts += 1
            if attempts > 1000 { self.kill() }
            usleep(1000)
        }
    }
}
