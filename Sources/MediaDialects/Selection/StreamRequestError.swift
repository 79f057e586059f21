import Telephony

/// Why a request's target was refused. Holds names of keys out of our own list, never what was sent.
package enum StreamRequestError: Error, Equatable {
    package enum Part: Sendable, Equatable { case path, query }

    /// More than 4096 bytes, or one value of more than its share.
    case tooLong
    /// Characters that a target may not have, or a `%` without two hexadecimal digits, or no UTF-8, or control
    /// characters.
    case malformed(Part)
    case unknownPath
    case missing(String)
    case invalid(String)
    /// A key is there twice.
    case duplicateKey
    /// Path and query state different values.
    case contradiction(String)
    case tooManyKeys

    /// What is wrong and what would be right, for the refusal's body and the log.
    package var sentence: String {
        switch self {
        case .tooLong: "The address is too long: at most 4096 bytes"
        case .malformed(.path): "The path is not well formed"
        case .malformed(.query): "The query is not well formed"
        case .unknownPath:
            "Unknown path: /stream/{domain_uuid}/{call_uuid}, /stream/{secretary_uuid}/{call_uuid}[/{caller}], "
                + "/api/voip/ai-gateway/route or /rt/{tenant}"
        case .missing(let key): "The address lacks \(key)"
        case .invalid(let key): "The address has an unusable \(key)"
        case .duplicateKey: "A key is in the query twice"
        case .contradiction(let key): "Path and query state different values of \(key)"
        case .tooManyKeys: "The query has more than 32 keys"
        }
    }

    /// HTTP status of the refusal: 404 for a path that is not ours, 414 for length, 400 for the rest.
    package var status: Int {
        switch self {
        case .unknownPath: 404
        case .tooLong: 414
        default: 400
        }
    }

    package var termination: CallTermination {
        CallTermination(cause: .protocolError, fault: .phone, reason: "request-refused", spoken: .transfer)
    }
}
