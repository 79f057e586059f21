import Foundation
import TestDatabases
import Testing

@testable import pronto

/// FusionPBX's database in the tests' PostgreSQL, as `pronto dialplan` reaches it: through the environment and `psql`.
struct PostgresCluster: Sendable {
    static let password = TestPostgres.password
    let port: Int
    private let name: String

    /// What `pronto` is run with to reach it.
    var access: [String: String] {
        [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "DB_HOST": "127.0.0.1",
            "DB_PORT": String(self.port), "DB_NAME": self.name, "DB_USER": TestPostgres.user,
            "DB_PASS": Self.password,
        ]
    }

    static func with(_ body: (PostgresCluster) async throws -> Void) async throws {
        let server = try await TestPostgres.shared()
        try await server.withDatabase { name in try await body(PostgresCluster(port: server.port, name: name)) }
    }

    func sql(_ text: String) async throws -> String {
        try await FusionPBXHost(file: "/nonexistent", environment: self.access).psql(text, environment: self.access)
    }
}
