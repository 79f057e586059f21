import CPostgreSQL
import Records

/// What PostgreSQL's errors mean to us, by their SQLSTATE (postgresql.org/docs/15/errcodes-appendix.html).
///
/// A server's message may quote a value of the row ("invalid input syntax for type uuid: …"), so that it is repeated only
/// for the classes where it names nothing but users, databases, tables and columns; otherwise the names that the error
/// carries apart are said.
enum PostgresFailure {
    static func error(_ result: OpaquePointer?) -> StoreError {
        guard let state = Self.text(pronto_pq_sqlstate(result)) else {
            // libpq made the result itself: the connection is gone.
            return StoreError(.unavailable, "the connection to the database was lost")
        }
        let names = [
            Self.text(pronto_pq_table(result)), Self.text(pronto_pq_column(result)),
            Self.text(pronto_pq_constraint(result)),
        ].compactMap { $0 }.joined(separator: ", ")
        return Self.error(
            state: state, names: names.isEmpty ? "" : " (\(names))", message: Self.text(pronto_pq_primary(result)) ?? ""
        )
    }

    static func error(state: String, names: String, message: String) -> StoreError {
        switch state {
        case "57014": return StoreError(.unavailable, "the database did not answer in the time that a statement has")
        case "55P03", "40P01", "40001": return StoreError(.locked, "another transaction keeps the rows locked")
        case "53100": return StoreError(.full, "the database's disk is full")
        case "25006": return StoreError(.readOnly, "the database takes no writes: it is a standby, or set read-only")
        case "42501": return StoreError(.readOnly, "the database user may not: \(message)")
        case "23505": return StoreError(.conflict, "a row of that name, number or id exists\(names)")
        case "23503": return StoreError(.invalid, "the row refers to one that does not exist\(names)")
        case "42P01", "42703":
            return StoreError(.wrongSchema, "\(message): look at pronto migrate status")
        default: break
        }
        switch state.prefix(2) {
        // 08: connection; 28, 3D: who may come in where; 57: the server stops, or is starting.
        case "08", "28", "3D", "57": return StoreError(.unavailable, message)
        case "53": return StoreError(.overloaded, message)
        case "22", "23": return StoreError(.invalid, "a value breaks a rule of its table\(names), SQLSTATE \(state)")
        // XX001, XX002: damaged data.
        case "XX" where state != "XX000": return StoreError(.corrupt, "the database is damaged, SQLSTATE \(state)")
        // A statement that the server does not understand: names and SQL words only.
        case "42": return StoreError(.failed, "\(message), SQLSTATE \(state)")
        default: return StoreError(.failed, "PostgreSQL error \(state)\(names)")
        }
    }

    /// libpq's own words about a connection that was not made: hosts, users and reasons, never a password.
    static func connecting(_ connection: OpaquePointer?) -> StoreError {
        let words = Self.text(PQerrorMessage(connection)) ?? ""
        let line = words.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return StoreError(.unavailable, line.isEmpty ? "the database cannot be reached" : line)
    }

    private static func text(_ pointer: UnsafePointer<CChar>?) -> String? { pointer.map { String(cString: $0) } }
}
