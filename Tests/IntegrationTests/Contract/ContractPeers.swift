import Assistants
import Simulators
import Telephony

/// What the far end of a channel does, in order.
enum PeerEffect: Sendable {
    case text([UInt8])
    case binary([UInt8])
    /// The head of an HTTP answer, and pieces of its body.
    case head(status: Int, type: String)
    case bytes([UInt8])
    case end(ChannelEnd)
    /// Call `wake` then. Replaces the earlier request.
    case wake(at: Duration?)
}

/// The far end of one channel of a machine, in virtual time.
protocol ContractPeer: AnyObject {
    /// Whether a back end's connections are counted by these: by its socket, or by the first of several.
    var isCounted: Bool { get }
    /// What the server behind it was sent so far.
    var record: ContractRecord? { get }
    func opened(at now: Duration) -> [PeerEffect]
    func received(_ message: [UInt8], isText: Bool, at now: Duration) -> [PeerEffect]
    func wake(at now: Duration) -> [PeerEffect]
    /// The machine has closed the channel.
    func closed()
}

/// A simulator's core at the end of a WebSocket.
final class CorePeer: ContractPeer {
    let isCounted = true
    private(set) var core: any SimulatorCore
    private let read: @Sendable (any SimulatorCore) -> ContractRecord?

    init(_ core: any SimulatorCore, _ read: @escaping @Sendable (any SimulatorCore) -> ContractRecord?) {
        self.core = core
        self.read = read
    }

    var record: ContractRecord? { self.read(self.core) }

    func opened(at now: Duration) -> [PeerEffect] { self.perform { $0.opened(at: now, &$1) } }
    func wake(at now: Duration) -> [PeerEffect] { self.perform { $0.wake(at: now, &$1) } }
    func received(_ message: [UInt8], isText: Bool, at now: Duration) -> [PeerEffect] {
        self.perform { core, output in message.withUnsafeBytes { core.received($0, at: now, &output) } }
    }
    func closed() {}

    private func perform(
        _ body: (inout any SimulatorCore, inout SimulatorOutput) -> Void
    ) -> [PeerEffect] {
        var output = SimulatorOutput()
        body(&self.core, &output)
        return output.effects.map { effect in
            switch effect {
            case .sendText(let range): .text(Array(output.bytes[range]))
            case .sendBinary(let range): .binary(Array(output.bytes[range]))
            case .close(let code, let reason): .end(.closed(code: code, reason: reason))
            case .reset: .end(.failed(slug: "reset"))
            case .wake(let due): .wake(at: due)
            }
        }
    }
}

/// What a new channel is for, as its back end's peers are chosen by it.
struct ContractOpening {
    enum Target {
        case socket(WebSocketTarget)
        case request(HTTPTarget)
    }
    var target: Target
    var script: AssistantScript
    /// The machine that opens it, from 1 in the rung.
    var machine: Int
    /// The counted connection of the rung that this would be.
    var number: Int
    /// The rung's peers so far: a session may go on over several connections.
    var earlier: [any ContractPeer]
}
