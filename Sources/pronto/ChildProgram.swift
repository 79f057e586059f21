import Foundation
import Synchronization

/// What a program said and how it ended.
struct ProgramResult: Sendable {
    var status: Int32
    var output: String
    var errors: String
}

/// Runs a program of the system for an operator's command: text in, text out, a deadline, never a shell.
///
/// Secrets go by the environment or standard input: arguments are seen by every user of the machine.
enum ChildProgram {
    static func run(
        _ path: String, _ arguments: [String], environment: [String: String], input: String = "",
        deadline: Duration = .seconds(60)
    ) async throws -> ProgramResult {
        // Not Foundation's Process: its waitUntilExit was seen to spin for ever after the program had ended.
        let program = try Spawned(path, arguments, environment: environment)
        let watchdog = Task {
            try await Task.sleep(for: deadline)
            program.terminate()
        }
        defer { watchdog.cancel() }
        // Three pipes at once: whichever filled up while another is waited for would hold the program.
        async let output = Self.all(of: program.output)
        async let errors = Self.all(of: program.errors)
        await Self.write(input, to: program.input)
        let texts = await (output, errors)
        let status = await withCheckedContinuation { done in
            DispatchQueue.global().async { done.resume(returning: program.wait()) }
        }
        return ProgramResult(status: status, output: texts.0, errors: texts.1)
    }

    /// Where `name` is, in the folders of PATH.
    static func find(_ name: String, environment: [String: String]) -> String? {
        let folders = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":").map(String.init)
        return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    private static func all(of handle: FileHandle) async -> String {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(returning: String(decoding: handle.readDataToEndOfFile(), as: UTF8.self))
            }
        }
    }

    private static func write(_ text: String, to handle: FileHandle) async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            DispatchQueue.global().async {
                // A program that ends early closes its end; its status and its words say why.
                try? handle.write(contentsOf: Data(text.utf8))
                try? handle.close()
                done.resume()
            }
        }
    }
}

/// A program that runs, with a pipe at each of its three standard descriptors.
private final class Spawned: Sendable {
    let input: FileHandle
    let output: FileHandle
    let errors: FileHandle
    /// Nil once it has been waited for: its number may then be somebody else's.
    private let pid: Mutex<pid_t?>

    init(_ path: String, _ arguments: [String], environment: [String: String]) throws {
        // Closed on exec: an end of ours that the program inherited would keep its own pipe open for ever.
        var pipes: [(read: FileHandle, write: FileHandle)] = []
        for _ in 0..<3 {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw CommandFailure("no file descriptor left for \(path)") }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            pipes.append(
                (
                    FileHandle(fileDescriptor: ends[0], closeOnDealloc: true),
                    FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
                ))
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let theirs = [pipes[0].read, pipes[1].write, pipes[2].write]
        for (target, handle) in theirs.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, handle.fileDescriptor, Int32(target))
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Our signal mask and our ignored SIGPIPE are not the program's business.
        var (defaults, mask) = (sigset_t(), sigset_t())
        sigfillset(&defaults)
        sigemptyset(&mask)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setsigmask(&attributes, &mask)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        let variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for string in argv + variables { free(string) } }
        var started: pid_t = 0
        guard posix_spawn(&started, path, &actions, &attributes, argv, variables) == 0 else {
            throw CommandFailure("\(path) cannot be started: is it installed?")
        }
        for handle in theirs { try? handle.close() }  // the program has its own; ours would keep the pipes open
        self.pid = Mutex(started)
        self.input = pipes[0].write
        self.output = pipes[1].read
        self.errors = pipes[2].read
    }

    func terminate() {
        self.pid.withLock { pid in
            if let pid { _ = kill(pid, SIGTERM) }
        }
    }

    /// Waits for the end. The exit status, or 128 and the signal's number, as a shell says it. Once.
    func wait() -> Int32 {
        var status: Int32 = 0
        while true {
            let isGone = self.pid.withLock { pid -> Bool in
                guard let running = pid else { return true }
                let result = waitpid(running, &status, WNOHANG)
                guard result == running || (result < 0 && errno != EINTR) else { return false }
                pid = nil
                return true
            }
            if isGone { break }
            usleep(2000)
        }
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }
}
