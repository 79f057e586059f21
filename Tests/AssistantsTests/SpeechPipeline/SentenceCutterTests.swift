import Testing

@testable import Assistants

@Suite struct SentenceCutterTests {
    private func clauses(_ text: String, _ language: String, piece: Int) -> [String] {
        var cutter = SentenceCutter(language: language)
        var clauses: [String] = []
        var rest = Substring(text)
        while !rest.isEmpty {
            clauses += cutter.feed(rest.prefix(piece))
            rest = rest.dropFirst(piece)
        }
        return clauses + cutter.finish()
    }

    @Test(
        "Clauses end where a speaker would pause, however the text comes",
        arguments: [
            ("en", "I see. Mr. Smith is out.", ["I see.", "Mr. Smith is out."]),
            ("en", "It costs 3.50 euros. Is that fine?", ["It costs 3.50 euros.", "Is that fine?"]),
            ("en", "We have apples, pears, etc. and more. Yes!", ["We have apples, pears,", "etc. and more.", "Yes!"]),
            (
                "en", "Of course I can do that, give me a moment. Thanks.",
                ["Of course I can do that,", "give me a moment.", "Thanks."]
            ),
            (
                "it", "La dott.ssa Rossi arriva alle 10.30. Va bene?",
                ["La dott.ssa Rossi arriva alle 10.30.", "Va bene?"]
            ),
            ("it", "Chiami il sig. Bianchi, ecc. Poi vediamo.", ["Chiami il sig. Bianchi,", "ecc. Poi vediamo."]),
            ("pt-BR", "O Sr. Silva mora na Av. Paulista. Ok?", ["O Sr. Silva mora na Av. Paulista.", "Ok?"]),
            ("pt-BR", "Custa R$ 1.500,00 por mês. Certo?", ["Custa R$ 1.500,00 por mês.", "Certo?"]),
            (
                "it", "Il prezzo è di 1.250,50 euro più I.V.A. al 22%. Procediamo?",
                ["Il prezzo è di 1.250,50 euro più I.V.A. al 22%.", "Procediamo?"]
            ),
            (
                "it", "L'avv. Neri è in V.le Roma n. 3. La S.p.A. apre alle 8,30.",
                ["L'avv. Neri è in V.le Roma n. 3.", "La S.p.A. apre alle 8,30."]
            ),
            ("it", "Il 3. piano è chiuso. Prenda l'ascensore.", ["Il 3. piano è chiuso.", "Prenda l'ascensore."]),
            (
                "pt-BR", "A Profa. Dra. Lima atende na R. Augusta, n. 10. Sim?",
                ["A Profa. Dra. Lima atende na R. Augusta,", "n. 10.", "Sim?"]
            ),
            ("pt-BR", "São 3,5 km até o Exmo. Sr. Juiz. Tá?", ["São 3,5 km até o Exmo. Sr. Juiz.", "Tá?"]),
            (
                "en", "Call ext. 12 at 9 a.m. or ask for J. K. Lee. OK?",
                ["Call ext. 12 at 9 a.m. or ask for J. K. Lee.", "OK?"]
            ),
            (
                "en", "It weighs 1,250.75 kg, e.g. two pallets. Fine?",
                ["It weighs 1,250.75 kg,", "e.g. two pallets.", "Fine?"]
            ),
            ("en", "**Bold** words and `code` are spoken plainly.", ["Bold words and code are spoken plainly."]),
            ("en", "---\n", []),
        ], [1, 3, 1000])
    func cuts(_ example: (language: String, text: String, clauses: [String]), piece: Int) {
        #expect(self.clauses(example.text, example.language, piece: piece) == example.clauses)
    }

    @Test("Nothing is lost and nothing waits for ever, without any mark")
    func bounded() {
        let text = String(repeating: "word ", count: 400)
        let clauses = self.clauses(text, "en", piece: 7)
        #expect(clauses.count > 4)
        #expect(clauses.joined(separator: " ").split(separator: " ").count == 400)
    }
}

@Suite struct ServerSentEventsTests {
    @Test("Events come out whole, however the stream is cut", arguments: [1, 2, 5, 1000])
    func drip(_ piece: Int) throws {
        let text = "\u{FEFF}: comment\r\ndata: a\r\ndata:b\r\n\r\nevent: x\ndata: {\"y\":1}\n\nid: 4\n\ndata: last"
        var stream = ServerSentEvents()
        var events: [ServerSentEvents.Event] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: piece) {
            events += try bytes[start..<min(start + piece, bytes.count)].withUnsafeBytes { try stream.feed($0) }
        }
        events += stream.finish()
        #expect(events.map(\.name) == ["message", "x", "message"])
        #expect(events.map { String(decoding: $0.data, as: UTF8.self) } == ["a\nb", "{\"y\":1}", "last"])
    }

    @Test("An endless line is refused")
    func endless() {
        var stream = ServerSentEvents()
        let piece = [UInt8](repeating: 65, count: 600_000)
        #expect(throws: ServerSentEvents.TooLong.self) {
            for _ in 0..<3 { _ = try piece.withUnsafeBytes { try stream.feed($0) } }
        }
    }
}

@Suite struct HeardTextTests {
    @Test("What was heard ends at a word within the clause that was cut")
    func words() {
        var heard = HeardText()
        heard.said("One two three.")
        heard.sounded(1000)
        heard.clauseEnded()
        heard.said("Four five six seven.")
        heard.sounded(1000)
        #expect(heard.heard(bytes: 0) == "")
        #expect(heard.heard(bytes: 1000) == "One two three.")
        #expect(heard.heard(bytes: 1500) == "One two three. Four five")
        #expect(heard.heard(bytes: 2000) == "One two three. Four five six seven.")
    }
}
