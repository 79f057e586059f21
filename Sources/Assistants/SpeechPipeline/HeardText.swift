import Telephony

/// Which words of an item were in how much of its audio: what an interrupted caller has heard can then be told.
package struct HeardText: Sendable {
    /// A clause, and the bytes of the item up to its end once they are all there.
    private struct Clause: Sendable {
        var text: String
        var end: Int?
    }
    private var clauses: [Clause] = []
    /// Audio of the item so far.
    package private(set) var bytes = 0

    package init() {}

    package var text: String { self.clauses.map(\.text).joined(separator: " ") }

    /// A clause was given to the voice.
    package mutating func said(_ clause: String) { self.clauses.append(Clause(text: clause)) }
    package mutating func sounded(_ count: Int) { self.bytes &+= count }

    /// All audio of the first clause that was not complete is there.
    package mutating func clauseEnded() {
        guard let index = self.clauses.firstIndex(where: { $0.end == nil }) else { return }
        self.clauses[index].end = self.bytes
    }

    /// Everything said so far has sounded.
    package mutating func allEnded() {
        for index in self.clauses.indices where self.clauses[index].end == nil { self.clauses[index].end = self.bytes }
    }

    /// The words within the first `heard` bytes, whole words only.
    package func heard(bytes heard: Int) -> String {
        var words: [String] = []
        var start = 0
        for (index, clause) in self.clauses.enumerated() {
            if let end = clause.end {
                if heard >= end {
                    words.append(clause.text)
                    start = end
                    continue
                }
                words.append(Self.part(of: clause.text, Double(heard - start) / Double(max(1, end - start))))
                break
            }
            // Clauses whose end is not known share what there is of them evenly, by their letters.
            let rest = self.clauses[index...].map(\.text).joined(separator: " ")
            let total = max(1, self.bytes - start)
            words.append(heard >= self.bytes ? rest : Self.part(of: rest, Double(heard - start) / Double(total)))
            break
        }
        return words.filter { !$0.isEmpty }.joined(separator: " ")
    }

    private static func part(of text: String, _ share: Double) -> String {
        guard share > 0 else { return "" }
        let cut = text.prefix(Int(Double(text.count) * min(share, 1)))
        return String(cut.lastIndex(of: " ").map { cut[..<$0] } ?? cut.prefix(0))
    }
}
