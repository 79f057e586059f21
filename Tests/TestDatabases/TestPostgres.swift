import Foundation
import Glibc
import Synchronization

/// A real PostgreSQL for tests: Debian's server as an unprivileged user, on a free port of loopback, in a folder that goes
/// away. One serves the whole test process; each test has a database of its own.
///
/// The server belongs to a watchman: a shell that waits for the test process's end (its standard input closes, however
/// the process ends), stops the server by its id and removes the folder.
package final class TestPostgres: Sendable {
    package static let user = "fusionpbx"
    package static let password = "cinnamon"

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
        var isPortTaken = false
    }

    package let port: Int
    private let folder: String
    private let programs: String
    /// Closing it ends the server.
    private let watch: Int32
    private let databases = Atomic<Int>(0)

    /// The one of this process, started when first asked for.
    package static func shared() async throws -> TestPostgres { try await Shared.instance.server() }

    private actor Shared {
        static let instance = Shared()
        private var starting: Task<TestPostgres, any Error>?
        func server() async throws -> TestPostgres {
            if let starting { return try await starting.value }
            let task = Task { try await TestPostgres.start() }
            self.starting = task
            return try await task.value
        }
    }

    private init(port: Int, folder: String, programs: String, watch: Int32) {
        self.port = port
        self.folder = folder
        self.programs = programs
        self.watch = watch
    }

    deinit { close(self.watch) }

    /// A server of its own, for a test that stops it.
    ///
    /// A port that was free can be somebody else's a second later, when the server takes it: then another is tried.
    package static func start() async throws -> TestPostgres {
        for _ in 0..<4 {
            do { return try await self.startOnce() } catch let failure as Failure where failure.isPortTaken { continue }
        }
        return try await self.startOnce()
    }

    private static func startOnce() async throws -> TestPostgres {
        guard let programs = Self.programs else {
            throw Failure(description: "PostgreSQL is missing: scripts/install installs postgresql-15")
        }
        let folder = "/tmp/pronto-pg-\(UUID().uuidString.prefix(8).lowercased())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        try Self.password.write(toFile: "\(folder)/password", atomically: true, encoding: .utf8)
        let port = try Self.freePort()
        // initdb refuses root; Debian's package makes the user `postgres`.
        let start = """
            set -eu
            cd \(folder)
            \(programs)/initdb -D data -U \(Self.user) --pwfile password --auth scram-sha-256 -E UTF8 --no-sync >log 2>&1
            cat >>data/postgresql.conf <<END
            port = \(port)
            listen_addresses = '127.0.0.1'
            unix_socket_directories = '\(folder)'
            fsync = off
            max_connections = 400
            shared_buffers = 64MB
            log_min_messages = fatal
            END
            \(programs)/pg_ctl -D data -l log -w start >/dev/null
            """
        if getuid() == 0 { try await Self.run(["/bin/chown", "-R", "postgres:postgres", folder]) }
        do {
            try await Self.unprivileged(start)
        } catch {
            let log = (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? ""
            // Its words where no address could be had.
            let isPortTaken: Bool = log.contains("could not create any TCP/IP sockets")
            if isPortTaken { try? FileManager.default.removeItem(atPath: folder) }
            throw Failure(
                description: "PostgreSQL does not start: \(error) \(log.suffix(2000))", isPortTaken: isPortTaken)
        }
        return TestPostgres(
            port: port, folder: folder, programs: programs, watch: try Self.watchman(folder, programs))
    }

    /// A database of its own, gone afterwards.
    package func withDatabase<Value>(_ body: (String) async throws -> Value) async throws -> Value {
        let number = self.databases.add(1, ordering: .relaxed).newValue
        let name = "test\(number)"
        try await self.sql("CREATE DATABASE \(name)", in: "postgres")
        let result: Result<Value, any Error>
        do { result = .success(try await body(name)) } catch { result = .failure(error) }
        // A test that stopped the server has nothing to remove.
        _ = try? await self.sql("DROP DATABASE \(name) WITH (FORCE)", in: "postgres")
        return try result.get()
    }

    /// What `psql` prints, values alone.
    @discardableResult
    package func sql(_ text: String, in database: String) async throws -> String {
        let program = "\(self.programs)/psql"
        return try await Self.run(
            [program, "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"], input: text,
            environment: [
                "PGHOST=127.0.0.1", "PGPORT=\(self.port)", "PGUSER=\(Self.user)", "PGPASSWORD=\(Self.password)",
                "PGDATABASE=\(database)", "LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin", "PGCONNECT_TIMEOUT=10",
            ])
    }

    /// As a power cut would: at once, nothing written down.
    package func crash() async throws {
        try await Self.unprivileged("\(self.programs)/pg_ctl -D \(self.folder)/data -m immediate -w stop >/dev/null")
    }

    package func restart() async throws {
        try await Self.unprivileged(
            "\(self.programs)/pg_ctl -D \(self.folder)/data -l \(self.folder)/log -w start >/dev/null")
    }

    /// Stops every process of the server where it stands, and lets it go on: a database that stalls.
    package func freeze() async throws { try await self.signal("STOP") }
    package func thaw() async throws { try await self.signal("CONT") }

    private func signal(_ name: String) async throws {
        try await Self.unprivileged(
            """
            main=$(head -1 \(self.folder)/data/postmaster.pid)
            kill -\(name) $main $(cat /proc/$main/task/$main/children)
            """)
    }

    // MARK: Processes

    /// The folder of Debian's server programs; nil: it is not installed.
    package static var programs: String? {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.sorted().reversed().map { "\(root)/\($0)/bin" }.first {
            FileManager.default.isExecutableFile(atPath: "\($0)/initdb")
        }
    }

    /// What the test process has open is none of the server's business: it would keep it open for ever.
    private static let closing = "for f in /proc/$$/fd/*; do n=${f##*/}; [ $n -gt 2 ] && eval \"exec $n>&-\"; done\n"

    /// Runs a script as somebody whom PostgreSQL accepts.
    @discardableResult
    private static func unprivileged(_ script: String) async throws -> String {
        let words = ["/bin/bash", "-c", Self.closing + script]
        return try await Self.run(getuid() == 0 ? ["/sbin/runuser", "-u", "postgres", "--"] + words : words)
    }

    private static func watchman(_ folder: String, _ programs: String) throws -> Int32 {
        let script = """
            cat >/dev/null
            main=$(head -1 \(folder)/data/postmaster.pid 2>/dev/null) && kill -QUIT $main
            for i in $(seq 50); do [ -e \(folder)/data/postmaster.pid ] || break; sleep 0.1; done
            rm -rf \(folder)
            """
        var pipe: [Int32] = [0, 0]
        guard Glibc.pipe(&pipe) == 0 else { throw Failure(description: "no pipe") }
        for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(pipe[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipe[0], 0)
        // Whoever started the tests waits for the end of their output: it must not be held open.
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        _ = try Self.spawn(["/bin/bash", "-c", Self.closing + script], ["PATH=/usr/bin:/bin"], &actions)
        return pipe[1]
    }

    private static func spawn(
        _ words: [String], _ environment: [String], _ actions: inout posix_spawn_file_actions_t
    ) throws -> pid_t {
        var (arguments, variables) = (words.map { strdup($0) }, environment.map { strdup($0) })
        defer { for pointer in arguments + variables { free(pointer) } }
        arguments.append(nil)
        variables.append(nil)
        var pid: pid_t = 0
        let code = posix_spawn(&pid, words[0], &actions, nil, arguments, variables)
        guard code == 0 else { throw Failure(description: "\(words[0]) does not start: errno \(code)") }
        return pid
    }

    /// Runs a program to its end, on a thread of its own, and returns what it said.
    @discardableResult
    private static func run(
        _ words: [String], input: String = "", environment: [String] = ["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"]
    ) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try Self.runHere(words, input, environment) })
            }
        }
    }

    private static func runHere(_ words: [String], _ input: String, _ environment: [String]) throws -> String {
        let files = FileManager.default.temporaryDirectory.path + "/pronto-run-" + UUID().uuidString
        try input.write(toFile: files + ".in", atomically: false, encoding: .utf8)
        defer { for end in [".in", ".out"] { unlink(files + end) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, files + ".in", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, files + ".out", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let pid = try Self.spawn(words, environment, &actions)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let output = (try? String(contentsOfFile: files + ".out", encoding: .utf8)) ?? ""
        guard status == 0 else { throw Failure(description: "\(words[0]) ended with \(status >> 8): \(output)") }
        return output
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw Failure(description: "no free port on 127.0.0.1") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
