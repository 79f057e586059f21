import Foundation
import Glibc

/// A real Redis of its own: Debian's server on a free port of loopback, without a disk, in a folder that goes away.
/// Stopped by its pid.
///
/// `@unchecked Sendable`: one test uses it, one step after another.
package final class RedisServer: @unchecked Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    package let port: Int
    private let folder: String
    private let arguments: [String]
    private var process: Process?

    private init(port: Int, folder: String, arguments: [String]) {
        self.port = port
        self.folder = folder
        self.arguments = arguments
    }

    /// - Parameter arguments: of redis-server, beside those that make it harmless.
    package static func with(_ arguments: [String] = [], _ body: (RedisServer) async throws -> Void) async throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/redis-server") else {
            throw Failure(description: "redis-server is missing: scripts/install installs it")
        }
        let folder = "/tmp/pronto-redis-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let server = RedisServer(port: try freePort(), folder: folder, arguments: arguments)
        let result: Result<Void, any Error>
        do {
            try await server.start()
            result = .success(try await body(server))
        } catch {
            result = .failure(error)
        }
        server.kill()
        try FileManager.default.removeItem(atPath: folder)
        try result.get()
    }

    /// Starts it (again), empty, and waits until it listens.
    package func start() async throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/redis-server")
        process.arguments =
            [
                "--port", String(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                self.folder, "--loglevel", "warning", "--databases", "4",
            ] + self.arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        for _ in 0..<1000 {
            if Self.accepts(self.port) { return }
            guard process.isRunning else { throw Failure(description: "redis-server ended: \(self.arguments)") }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw Failure(description: "redis-server does not listen")
    }

    /// As by a crash: nothing is said to anybody.
    package func kill() {
        guard let process = self.process else { return }
        self.process = nil
        self.signal(SIGCONT, process)
        self.signal(SIGKILL, process)
        process.waitUntilExit()
    }

    /// It keeps its connections, and answers nothing.
    package func freeze() { if let process = self.process { self.signal(SIGSTOP, process) } }
    package func thaw() { if let process = self.process { self.signal(SIGCONT, process) } }

    private func signal(_ number: Int32, _ process: Process) { _ = Glibc.kill(process.processIdentifier, number) }

    private static func accepts(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        return Self.withLoopback(port) { connect(descriptor, $0, $1) } == 0
    }

    /// A port that was free a moment ago.
    package static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        guard Self.withLoopback(0, { bind(descriptor, $0, $1) }) == 0 else {
            throw Failure(description: "no free port on loopback")
        }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard status == 0 else { throw Failure(description: "no free port on loopback") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private static func withLoopback(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
