import Telephony

/// Where a PostgreSQL database is and how to get in (DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASS).
package struct PostgresAddress: Sendable {
    /// What libpq knows of TLS (postgresql.org/docs/15/libpq-ssl.html, table 34.1).
    package enum TLSMode: String, Sendable, CaseIterable {
        case disable, allow, prefer, require
        case verifyCA = "verify-ca"
        case verifyFull = "verify-full"
    }

    /// A name, an address, or the folder of a Unix socket; several with commas between them are tried in turn, and the one
    /// that takes writes is used.
    package var host: String
    package var port: Int
    package var name: String
    package var user: String
    package var password: Redacted<String>?
    package var tls: TLSMode
    /// The certificates that a server's certificate must come from, for the two `verify` modes.
    package var authorities: String?

    package init(
        host: String = "127.0.0.1", port: Int = 5432, name: String, user: String, password: Redacted<String>? = nil,
        tls: TLSMode = .prefer, authorities: String? = nil
    ) {
        self.host = host
        self.port = port
        self.name = name
        self.user = user
        self.password = password
        self.tls = tls
        self.authorities = authorities
    }

    /// For logs and errors: never the password.
    package var summary: String { "\(self.user)@\(self.host):\(self.port)/\(self.name)" }
}
