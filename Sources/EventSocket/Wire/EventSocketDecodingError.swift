import Telephony

/// Why bytes from the switch could not be cut into messages. Each is fatal for the connection: the place of the next
/// message is lost. What is merely odd *inside* a well-framed event is not an error (`EventSocketHeaders.oddities`).
package enum EventSocketDecodingError: Error, Equatable {
    /// A line of the outer head has no colon (lines count from 1).
    case malformedHeader(lineNumber: Int)
    /// No blank line within `limit` bytes.
    case headTooLong(limit: Int)
    /// `Content-Length` is no plain decimal number, or is given twice with different values.
    case malformedLength
    /// `Content-Length` announces more than we are ready to pass over.
    case bodyTooLong(announced: Int, limit: Int)

    package var termination: CallTermination {
        CallTermination(cause: .protocolError, fault: .gateway, reason: "event-socket-garbled")
    }
}
