import Assistants
import Networking

extension WebSocketEnd {
    /// The peer said that it was done: a module closes with 1000 when its channel hangs up or its stream is stopped.
    var isNormal: Bool {
        switch self {
        case .closed(let code, _): code == 1000 || code == 1001 || code == 1005
        case .violation, .lost, .unresponsive: false
        }
    }

    /// A stable name for logs.
    var slug: String {
        switch self {
        case .closed(let code, _): "closed-\(code)"
        case .violation: "violation"
        case .lost(let end): end == .overflow ? "overflow" : "lost"
        case .unresponsive: "unresponsive"
        }
    }

    /// As the assistants' machines know ends.
    var channelEnd: ChannelEnd {
        switch self {
        case .closed(let code, let reason): .closed(code: code, reason: reason)
        case .violation: .failed(slug: "protocol")
        case .lost(.overflow): .failed(slug: "overflow")
        case .lost: .failed(slug: "reset")
        case .unresponsive: .failed(slug: "timeout")
        }
    }
}

extension WebSocketConnectError {
    var channelEnd: ChannelEnd {
        switch self {
        case .refused(let status): .refused(status: status)
        default: .failed(slug: self.slug)
        }
    }
}
