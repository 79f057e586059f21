import Telephony

/// The number of a task that the switch has scheduled, as `sched_api` answers (`+OK Added: 17`, measured).
package enum SwitchTask {
    package static func number(in reply: String) -> Int? {
        guard reply.hasPrefix("+OK Added:") else { return nil }
        return Int(reply.dropFirst("+OK Added:".count).drop { $0 == " " })
    }
}
