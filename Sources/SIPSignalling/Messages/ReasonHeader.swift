import Telephony

/// The header that says why a call ends (RFC 3326), as FreeSWITCH and other switches write it:
/// `Q.850;cause=16;text="NORMAL_CLEARING"`.
package enum ReasonHeader {
    /// The cause that the values of a message's Reason headers state; nil when none does. Q.850 says more than SIP.
    package static func cause(in values: [String]) -> HangupCause? {
        let reasons = values.compactMap(Self.parse)
        for reason in reasons where reason.scheme == "q.850" {
            if (1...127).contains(reason.number) { return HangupCause(q850: reason.number) }
        }
        for reason in reasons where reason.scheme == "freeswitch" {
            // FreeSWITCH's own causes lie beyond Q.850's seven bits.
            if (128...999).contains(reason.number) { return HangupCause(q850: reason.number) }
        }
        // "Call completed elsewhere": another phone of a forked call was quicker (RFC 3326 §3.1).
        if reasons.contains(where: { $0.scheme == "sip" && $0.number == 200 }) { return .loseRace }
        return nil
    }

    /// One line of a BYE of ours. The name is from our own table, never from a peer.
    package static func line(_ cause: HangupCause) -> String {
        let scheme = (1...127).contains(cause.q850) ? "Q.850" : "FreeSWITCH"
        let name = cause.name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C } ? cause.name : ""
        return "Reason: \(scheme);cause=\(cause.q850)" + (name.isEmpty ? "" : ";text=\"\(name)\"") + "\r\n"
    }

    private static func parse(_ value: String) -> (scheme: String, number: Int)? {
        let parts = value.split(separator: ";").map { part in
            String(part.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" })
        }
        guard let scheme = parts.first?.lowercased() else { return nil }
        for part in parts.dropFirst() where part.lowercased().hasPrefix("cause=") {
            let digits = part.dropFirst("cause=".count)
            guard digits.utf8.count <= 3, let number = Int(digits) else { return nil }
            return (scheme, number)
        }
        return nil
    }
}

extension HangupCause {
    package static let originatorCancel = HangupCause(q850: 487, name: "ORIGINATOR_CANCEL")
    package static let loseRace = HangupCause(q850: 502, name: "LOSE_RACE")
    package static let recoveryOnTimer = HangupCause(q850: 102, name: "RECOVERY_ON_TIMER_EXPIRE")

    /// Q.850's number with FreeSWITCH's name for it (the table of `hangup causes` in its documentation); a number that
    /// has none there is named by itself.
    package init(q850 number: Int) {
        self.init(q850: number, name: Self.names[number] ?? "CAUSE_\(number)")
    }

    private static let names: [Int: String] = [
        1: "UNALLOCATED_NUMBER", 2: "NO_ROUTE_TRANSIT_NET", 3: "NO_ROUTE_DESTINATION", 6: "CHANNEL_UNACCEPTABLE",
        7: "CALL_AWARDED_DELIVERED", 16: "NORMAL_CLEARING", 17: "USER_BUSY", 18: "NO_USER_RESPONSE", 19: "NO_ANSWER",
        20: "SUBSCRIBER_ABSENT", 21: "CALL_REJECTED", 22: "NUMBER_CHANGED", 23: "REDIRECTION_TO_NEW_DESTINATION",
        25: "EXCHANGE_ROUTING_ERROR", 27: "DESTINATION_OUT_OF_ORDER", 28: "INVALID_NUMBER_FORMAT",
        29: "FACILITY_REJECTED", 30: "RESPONSE_TO_STATUS_ENQUIRY", 31: "NORMAL_UNSPECIFIED",
        34: "NORMAL_CIRCUIT_CONGESTION", 38: "NETWORK_OUT_OF_ORDER", 41: "NORMAL_TEMPORARY_FAILURE",
        42: "SWITCH_CONGESTION", 43: "ACCESS_INFO_DISCARDED", 44: "REQUESTED_CHAN_UNAVAIL", 45: "PRE_EMPTED",
        50: "FACILITY_NOT_SUBSCRIBED", 52: "OUTGOING_CALL_BARRED", 54: "INCOMING_CALL_BARRED",
        57: "BEARERCAPABILITY_NOTAUTH", 58: "BEARERCAPABILITY_NOTAVAIL", 63: "SERVICE_UNAVAILABLE",
        65: "BEARERCAPABILITY_NOTIMPL", 66: "CHAN_NOT_IMPLEMENTED", 69: "FACILITY_NOT_IMPLEMENTED",
        79: "SERVICE_NOT_IMPLEMENTED", 81: "INVALID_CALL_REFERENCE", 88: "INCOMPATIBLE_DESTINATION",
        95: "INVALID_MSG_UNSPECIFIED", 96: "MANDATORY_IE_MISSING", 97: "MESSAGE_TYPE_NONEXIST", 98: "WRONG_MESSAGE",
        99: "IE_NONEXIST", 100: "INVALID_IE_CONTENTS", 101: "WRONG_CALL_STATE", 102: "RECOVERY_ON_TIMER_EXPIRE",
        103: "MANDATORY_IE_LENGTH_ERROR", 111: "PROTOCOL_ERROR", 127: "INTERWORKING", 487: "ORIGINATOR_CANCEL",
        500: "CRASH", 501: "SYSTEM_SHUTDOWN", 502: "LOSE_RACE", 503: "MANAGER_REQUEST", 600: "BLIND_TRANSFER",
        601: "ATTENDED_TRANSFER", 602: "ALLOTTED_TIMEOUT", 603: "USER_CHALLENGE", 604: "MEDIA_TIMEOUT",
        605: "PICKED_OFF", 606: "USER_NOT_REGISTERED", 607: "PROGRESS_TIMEOUT", 608: "INVALID_GATEWAY",
        609: "GATEWAY_DOWN", 610: "INVALID_URL", 611: "INVALID_PROFILE", 612: "NO_PICKUP", 613: "SRTP_READ_ERROR",
    ]
}
