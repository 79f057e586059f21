/// Cuts what a model writes into clauses to be spoken, while it still writes.
///
/// The first clause of a reply may end at a comma, so that the caller hears something soon; later ones are whole
/// sentences, which sound better. A full stop ends a sentence only where the language has none within one: not after
/// "Dr.", "Sig.ra", "ecc." before a small letter, an initial, "3.5" or the "1." of a list. What cannot be known before
/// the next letters come is waited for. Marks of writing that nobody speaks (`*`, `#`, backticks) are dropped.
package struct SentenceCutter: Sendable {
    /// A first clause is no shorter than this, or it would sound cut off.
    private static let firstLength = 18
    /// Sentences shorter than this are spoken together with the next: "No. I am sorry."
    private static let leastLength = 6
    /// Beyond this a comma ends a clause, and beyond twice this a space.
    private static let longLength = 180

    private let titles: Set<String>
    private let closers: Set<String>
    private var text: [Character] = []
    /// Nothing of the reply was cut off yet.
    private var isFirst = true
    /// How far `text` has been looked at without finding an end.
    private var looked = 0

    package init(language: String) {
        switch SpokenLanguage(tag: language) {
        case .english:
            self.titles = [
                "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "e.g", "i.e", "no", "dept", "approx", "ext",
                "tel", "rev", "gen", "capt", "ave", "mt",
            ]
            self.closers = ["etc", "inc", "ltd", "co", "corp", "a.m", "p.m", "u.s", "u.k"]
        case .italian:
            self.titles = [
                "sig", "sig.ra", "sig.na", "sigg", "dott", "dott.ssa", "dr", "prof", "prof.ssa", "ing", "avv", "arch",
                "geom", "rag", "on", "tel", "n", "art", "pag", "p.es", "es", "cfr", "c.so", "v.le", "p.za", "p.zza",
            ]
            self.closers = ["ecc", "etc", "s.p.a", "s.r.l", "d.c", "a.c", "cell"]
        case .portuguese:
            self.titles = [
                "sr", "sra", "srta", "srs", "dr", "dra", "prof", "profa", "eng", "av", "r", "tel", "p.ex", "ex", "n",
                "pág", "art", "exmo", "exma", "d", "s.a",
            ]
            self.closers = ["etc", "ltda", "cia", "a.m", "p.m"]
        }
    }

    /// Adds what the model wrote; answers the clauses that are now certain.
    package mutating func feed(_ piece: some StringProtocol) -> [String] {
        for character in piece where !"*#`".contains(character) { self.text.append(character) }
        var clauses: [String] = []
        while let end = self.nextEnd() { self.cut(at: end, into: &clauses) }
        return clauses
    }

    /// The model is done: the rest, if there is any.
    package mutating func finish() -> [String] {
        var clauses: [String] = []
        while let end = self.nextEnd() { self.cut(at: end, into: &clauses) }
        self.cut(at: self.text.count, into: &clauses)
        self.isFirst = true
        return clauses
    }

    private mutating func cut(at end: Int, into clauses: inout [String]) {
        let clause = String(self.text[..<end]).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        self.text.removeFirst(end)
        self.looked = 0
        // Only what has a sound: a line of dashes is none.
        guard clause.contains(where: { $0.isLetter || $0.isNumber }) else { return }
        clauses.append(clause)
        self.isFirst = false
    }

    /// Where the first clause in `text` ends; nil: not known yet.
    private mutating func nextEnd() -> Int? {
        var index = self.looked
        while index < self.text.count {
            let character = self.text[index]
            if character.isNewline, index >= 1 { return index + 1 }
            if "!?…。！？".contains(character) || character == "." {
                switch self.endsSentence(at: index) {
                case .yes(let end) where end >= Self.leastLength: return end
                case .unknown:
                    self.looked = index
                    return nil
                case .yes, .no: break
                }
            } else if ",;:—".contains(character) {
                let least = self.isFirst ? Self.firstLength : Self.longLength
                if index >= least {
                    guard index + 1 < self.text.count else {
                        self.looked = index
                        return nil
                    }
                    // "3,50" and "10:30" go on.
                    if self.text[index + 1].isWhitespace { return index + 1 }
                }
            } else if character.isWhitespace, index >= Self.longLength * 2 {
                return index + 1
            }
            index += 1
        }
        self.looked = index
        return nil
    }

    private enum Verdict { case yes(end: Int), no, unknown }

    private func endsSentence(at index: Int) -> Verdict {
        // Closing quotes and brackets, and more marks, belong to the sentence.
        var end = index + 1
        while end < self.text.count, "\"'”’»)]!?….".contains(self.text[end]) { end += 1 }
        guard end < self.text.count else { return .unknown }
        guard self.text[end].isWhitespace else { return .no }
        guard self.text[index] == ".", end == index + 1 else { return .yes(end: end) }
        let token = self.token(before: index)
        let word = String(token).lowercased()
        if self.titles.contains(word) { return .no }
        // An initial: "J. Smith". "I" and "o" stand alone at the end of no sentence worth the risk.
        if token.count == 1, let letter = token.first, letter.isLetter { return .no }
        let isAlone = token.count == index || self.text[..<(index - token.count)].allSatisfy(\.isWhitespace)
        if token.count <= 2, !token.isEmpty, token.allSatisfy(\.isNumber), isAlone { return .no }
        guard self.closers.contains(word) || self.isAcronym(token) else { return .yes(end: end) }
        // "etc." goes on where a small letter follows.
        guard let next = self.text[end...].first(where: { !$0.isWhitespace }) else { return .unknown }
        return next.isUppercase || next.isNumber ? .yes(end: end) : .no
    }

    /// "I.V.A" and "S.p.A": letters with full stops between them.
    private func isAcronym(_ token: ArraySlice<Character>) -> Bool {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count > 1 && parts.allSatisfy { (1...3).contains($0.count) && $0.allSatisfy(\.isLetter) }
    }

    private func token(before index: Int) -> ArraySlice<Character> {
        var start = index
        while start > 0, !self.text[start - 1].isWhitespace, !"(\"'“‘«[".contains(self.text[start - 1]) { start -= 1 }
        return self.text[start..<index]
    }
}
