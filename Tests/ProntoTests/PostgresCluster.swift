import Foundation
import Testing

@testable import pronto

/// A real PostgreSQL of its own: Debian's server as an unprivileged user, on loopback, in a folder that goes away.
struct PostgresCluster: Sendable {
    static let password = "cinnamon"
    let port: Int
    private let folder: String
    private let programs: String
    private let environment: [String: String]

    /// What `pronto` is run with to reach it.
    var access: [String: String] {
        self.environment.merging([
            "DB_HOST": "127.0.0.1", "DB_PORT": String(self.port), "DB_NAME": "fusionpbx", "DB_USER": "fusionpbx",
            "DB_PASS": Self.password,
        ]) { _, new in new }
    }

    /// The folder of Debian's server programs; nil: it is not installed.
    static var programs: String? {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.sorted().reversed().map { "\(root)/\($0)/bin" }.first {
            FileManager.default.isExecutableFile(atPath: "\($0)/initdb")
        }
    }

    static func with(_ body: (PostgresCluster) async throws -> Void) async throws {
        guard let programs = Self.programs else {
            Issue.record("PostgreSQL is missing: scripts/install installs postgresql-15")
            return
        }
        let folder = "/tmp/pronto-pg-\(UUID().uuidString.prefix(8))"
        let cluster = PostgresCluster(
            port: try Self.freePort(), folder: folder, programs: programs,
            environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"])
        let result: Result<Void, any Error>
        do {
            try await cluster.start()
            result = .success(try await body(cluster))
        } catch {
            result = .failure(error)
        }
        _ = try? await cluster.run("pg_ctl", ["-D", "\(folder)/data", "-m", "immediate", "-w", "stop"])
        try? FileManager.default.removeItem(atPath: folder)
        try result.get()
    }

    private func start() async throws {
        try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: false)
        try Self.password.write(toFile: "\(self.folder)/password", atomically: true, encoding: .utf8)
        if getuid() == 0 {
            // initdb refuses root; Debian's package makes this user.
            _ = try await self.system("/bin/chown", ["-R", "postgres:postgres", self.folder])
        }
        _ = try await self.run(
            "initdb",
            [
                "-D", "\(self.folder)/data", "-U", "fusionpbx", "--pwfile", "\(self.folder)/password", "--auth",
                "scram-sha-256", "-E", "UTF8", "--no-sync",
            ])
        _ = try await self.run(
            "pg_ctl",
            [
                "-D", "\(self.folder)/data", "-l", "\(self.folder)/log", "-w", "-o",
                "-p \(self.port) -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off", "start",
            ])
        _ = try await self.sql("CREATE DATABASE fusionpbx", in: "postgres")
    }

    func sql(_ text: String, in database: String = "fusionpbx") async throws -> String {
        var environment = self.access
        environment["DB_NAME"] = database
        return try await FusionPBXHost(file: "/nonexistent", environment: environment).psql(
            text, environment: environment)
    }

    private func run(_ program: String, _ arguments: [String]) async throws -> String {
        // Foundation sees a program's end by a socket that the program inherits; a server that it leaves behind would hold
        // it open for ever (seen). So all but the three streams is closed first.
        let closing = "for f in /proc/$$/fd/*; do n=${f##*/}; [ $n -gt 2 ] && eval \"exec $n>&-\"; done; exec \"$@\""
        let words = ["/bin/bash", "-c", closing, "bash", "\(self.programs)/\(program)"] + arguments
        return getuid() == 0
            ? try await self.system("/sbin/runuser", ["-u", "postgres", "--"] + words)
            : try await self.system(words[0], Array(words.dropFirst()))
    }

    private func system(_ path: String, _ arguments: [String]) async throws -> String {
        let result = try await ChildProgram.run(path, arguments, environment: self.environment)
        guard result.status == 0 else { throw CommandFailure("\(path): \(result.output) \(result.errors)") }
        return result.output
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
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
        try #require(isBound)
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
