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

    init(_ path: String, _ arguments: [String], input: [UInt8]) throws(SpeechEngineError) {
        guard access(path, X_OK) == 0 else { throw .programMissing(path: path) }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        var stdin: [Int32] = [-1, -1]
        var stdout: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, kind, 0, &stdin) == 0 else { throw .rejected("a socket pair") }
        guard socketpair(AF_UNIX, kind, 0, &stdout) == 0 else {
            close(stdin[0])
            close(stdin[1])
            throw .rejected("a socket pair")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, stdin[1], 0)
        posix_spawn_file_actions_adddup2(&actions, stdout[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
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
        guard result == 0 else {
            close(stdin[0])
            close(stdout[0])
            throw .rejected("to start")
        }
        self.pid = Mutex(started)
        self.output = stdout[0]
        // Bounded by the caller (a few kilobytes): the socket's buffer takes it whole, so this does not wait.
        _ = input.withUnsafeBytes { send(stdin[0], $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        close(stdin[0])
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
        close(self.output)
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
