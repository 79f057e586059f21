import Configuration
import Foundation
import Observability
import Synchronization
import Testing

@testable import pronto

/// A folder that ends with `body`.
func withFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appending(path: "pronto-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    let result: Result<Value, any Error>
    do { result = .success(try await body(folder)) } catch { result = .failure(error) }
    try FileManager.default.removeItem(atPath: folder)
    return try result.get()
}

/// Lines that a logger wrote, from any thread.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { self.lines.withLock { $0 } }
    func logger(_ level: Observability.LogLevel) -> Logger {
        Logger(level: level, form: .json) { line in self.lines.withLock { $0.append(line) } }
    }
}

/// Settings for a gateway in `folder` that disturbs nobody: free ports, two loops, no drain.
func settings(in folder: String, _ given: [String: String] = [:]) throws -> Settings {
    var environment = [
        "REALTIME_PORT": "0", "HEALTH_PORT": "0", "PRONTO_LOOPS": "2", "PRONTO_DATABASE": folder + "/pronto.db",
        "PRONTO_RECORDINGS": folder + "/recordings", "PRONTO_DRAIN_SECONDS": "0",
    ]
    environment.merge(given) { _, new in new }
    return try Settings.load(folder: folder, environment: environment)
}

/// Looks again and again, for ten seconds at most; the pause between two looks is no part of a test.
func soon(_ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ look: () async throws -> Bool)
    async throws
{
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
        if try await look() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("not within thirty seconds: \(what)", sourceLocation: sourceLocation)
}

/// One key of 32 bytes as the settings take it, made of the same byte; not a secret.
func key(_ byte: UInt8, id: String = "k1") -> String {
    "\(id):" + Data(repeating: byte, count: 32).base64EncodedString()
}
