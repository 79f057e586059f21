import Foundation
import Synchronization
import Testing

/// A program of somebody else's, run to its end: sipp, baresip.
final class Program: Sendable {
    private let process: Mutex<Process>
    private let output: URL
    private let path: String

    struct Missing: Error, CustomStringConvertible {
        let path: String
        var description: String { "\(path) is missing: scripts/install installs it" }
    }

    /// A folder of this run's own, under the system's temporary one.
    static func folder() throws -> URL {
        let url = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent("pronto-sip-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }

    init(_ path: String, _ arguments: [String], in folder: URL) throws {
        guard FileManager.default.isExecutableFile(atPath: path) else { throw Missing(path: path) }
        self.path = path
        self.output = folder.appendingPathComponent("output-\(UUID().uuidString).txt")
        try Data().write(to: self.output)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        let file = try FileHandle(forWritingTo: self.output)
        process.standardOutput = file
        process.standardError = file
        process.standardInput = FileHandle.nullDevice
        try process.run()
        self.process = Mutex(process)
    }

    /// Its exit status. It is killed after `limit`, which then is the answer of 137.
    func finish(within limit: Duration = .seconds(40)) async throws -> Int32 {
        let rounds = Int(limit.components.seconds) * 100
        for _ in 0..<rounds {
            if let status = self.process.withLock({ $0.isRunning ? nil : $0.terminationStatus }) { return status }
            try await Task.sleep(for: .milliseconds(10))
        }
        self.kill()
        return 137
    }

    func kill() {
        self.process.withLock { process in
            guard process.isRunning else { return }
            // Not waited for: Foundation's own wait needs a run loop, which this thread has not.
            Glibc.kill(process.processIdentifier, SIGKILL)
        }
    }

    var text: String { (try? String(decoding: Data(contentsOf: self.output), as: UTF8.self)) ?? "" }
}
