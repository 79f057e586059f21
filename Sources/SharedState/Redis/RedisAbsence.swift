/// Why there is no Redis to ask. Slugs for the log, each with its repair.
package enum RedisAbsence: String, Sendable, Equatable {
    case unresolved
    case unreachable
    case tls
    case timeout
    /// AUTH was refused, or one is needed.
    case authentication
    /// The user may not run what is asked (ACL).
    case permission
    /// SELECT was refused.
    case database
    /// Redis reads its data set, or has lost its master.
    case loading
    /// A replica, or a Redis that cannot write to its disk.
    case readOnly = "read-only"
    /// Connected, and silent: a stopped process, a script that does not end, a machine that swaps.
    case stalled
    case garbled
    case closed
    case overloaded
    case stopped

    package var repair: String {
        switch self {
        case .unresolved: "REDIS_HOST has no address"
        case .unreachable: "is Redis running at REDIS_HOST and REDIS_PORT?"
        case .tls: "REDIS_TLS, the certificate's name, and PRONTO_CA_FILE have to fit"
        case .timeout: "REDIS_HOST does not answer: a firewall, or not a Redis"
        case .authentication: "REDIS_PASSWORD (and REDIS_USER, for ACLs) are refused"
        case .permission: "the ACL of REDIS_USER has to allow the commands in docs/several-nodes.md"
        case .database: "REDIS_DB is beyond the server's `databases`"
        case .loading: "it is starting; nothing to do"
        case .readOnly: "REDIS_HOST has to be a Redis that takes writes"
        case .stalled: "it is stopped, overloaded, or runs something long"
        case .garbled: "what answers there is not a Redis"
        case .closed: "it closed the connection: restarted, or `maxclients`"
        case .overloaded: "it reads more slowly than this node writes"
        case .stopped: "this node is leaving"
        }
    }

    /// What an error reply says about the whole connection; nil: it is about that command only.
    init?(reply code: String) {
        switch code {
        case "NOAUTH", "WRONGPASS": self = .authentication
        case "NOPERM": self = .permission
        case "LOADING", "MASTERDOWN", "BUSY": self = .loading
        case "READONLY", "MISCONF": self = .readOnly
        default: return nil
        }
    }
}
