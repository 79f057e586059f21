import Telephony

/// Why a store could not do what it was asked. Safe to log: it carries no data of a row.
package struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// The database cannot be opened or reached.
        case unavailable
        /// Another writer kept the database locked for longer than we wait.
        case locked
        /// The disk, or the database's own limit, is full.
        case full
        case readOnly = "read-only"
        /// The file is no database, or a row has a value that cannot be.
        case corrupt
        /// The row would double a unique one (a name, an extension).
        case conflict
        /// A value of one tenant was handed over in the name of another.
        case otherTenant = "other-tenant"
        /// A value that may not be stored.
        case invalid
        /// A secret is to be kept or read, and no key is configured (`PRONTO_SECRET_KEY`).
        case noSecretKey = "no-secret-key"
        /// A secret was encrypted with a key that is not configured, or was changed.
        case unreadableSecret = "unreadable-secret"
        /// The schema is older or newer than this program.
        case wrongSchema = "wrong-schema"
        /// More work is waiting than the store takes.
        case overloaded
        case closed
        case failed
    }

    package var code: Code
    /// A static sentence with the names of columns, files and keys; never a value.
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The same call may work later: the record is to be kept until then, not thrown away.
    package var isRetryable: Bool {
        switch self.code {
        case .unavailable, .locked, .full, .readOnly, .overloaded, .closed, .failed, .corrupt, .wrongSchema: true
        case .conflict, .otherTenant, .invalid, .noSecretKey, .unreadableSecret: false
        }
    }

    /// It may be over soon, without anybody's doing: what was known before serves meanwhile.
    package var isPassing: Bool {
        switch self.code {
        case .unavailable, .locked, .overloaded, .full: true
        default: false
        }
    }

    /// How a call ends that cannot begin because its assistant cannot be read.
    package var termination: CallTermination {
        CallTermination(
            cause: .temporaryFailure, fault: .gateway, reason: "store-\(self.code.rawValue)", spoken: .transfer)
    }

    package var description: String { "\(self.code.rawValue): \(self.message)" }
}
