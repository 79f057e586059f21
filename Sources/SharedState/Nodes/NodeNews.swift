import Records
import Telephony

/// What nodes tell each other on their channel: a word, its arguments, and who says so, with spaces between them.
package enum NodeNews: Sendable, Equatable {
    case circuit(CircuitChange)
    case configurationChanged

    package func text(from instance: String) -> String {
        switch self {
        case .circuit(.opened(let circuit, let pause)):
            "open \(NodeScripts.text(of: circuit)) \(pause.milliseconds) \(instance)"
        case .circuit(.closed(let circuit)): "closed \(NodeScripts.text(of: circuit)) \(instance)"
        case .configurationChanged: "configuration \(instance)"
        }
    }

    /// Nil: not understood. Whoever may write to Redis may write this: nothing in it is believed that has another shape.
    package static func parse(_ text: String) -> (news: NodeNews, from: String)? {
        guard text.utf8.count <= 256 else { return nil }
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count >= 2, let from = words.last, NodeScripts.isSlug(from) else { return nil }
        switch (words[0], words.count) {
        case ("configuration", 2): return (.configurationChanged, from)
        case ("closed", 4):
            guard let circuit = NodeScripts.circuit("\(words[1]) \(words[2])") else { return nil }
            return (.circuit(.closed(circuit)), from)
        case ("open", 5):
            guard let circuit = NodeScripts.circuit("\(words[1]) \(words[2])"), let pause = Int(words[3]),
                (0...86_400_000).contains(pause)
            else { return nil }
            return (.circuit(.opened(circuit, pause: .milliseconds(pause))), from)
        default: return nil
        }
    }
}
