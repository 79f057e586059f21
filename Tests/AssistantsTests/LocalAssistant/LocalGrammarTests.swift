import Foundation
import Testing

@testable import Assistants

@Suite struct LocalGrammarTests {
    /// The configuration that scripts/accuracy measures with: typical of a small company.
    static func reference(_ language: SpokenLanguage) -> LocalAssistantConfiguration {
        switch language {
        case .english:
            LocalAssistantConfiguration(
                destinations: [
                    .init(name: "sales", aliases: ["sales department"]),
                    .init(name: "support", aliases: ["technical support", "help desk"]),
                    .init(name: "billing", aliases: ["accounting", "invoices"]), .init(name: "workshop"),
                ],
                topics: [
                    .init(name: "opening hours", keywords: ["what time do you open"], answer: "Nine to six."),
                    .init(name: "address", keywords: ["where are you"], answer: "Station Road."),
                ])
        case .italian:
            LocalAssistantConfiguration(
                destinations: [
                    .init(name: "vendite", aliases: ["ufficio vendite"]),
                    .init(name: "assistenza", aliases: ["assistenza tecnica", "supporto"]),
                    .init(name: "amministrazione", aliases: ["contabilità", "fatture"]), .init(name: "officina"),
                ],
                topics: [
                    .init(name: "orari", keywords: ["orari di apertura", "a che ora aprite"], answer: "Dalle nove."),
                    .init(name: "indirizzo", keywords: ["dove siete"], answer: "Via Roma."),
                ])
        case .portuguese:
            LocalAssistantConfiguration(
                destinations: [
                    .init(name: "vendas", aliases: ["setor de vendas"]),
                    .init(name: "suporte", aliases: ["suporte técnico", "assistência"]),
                    .init(name: "financeiro", aliases: ["faturas", "cobrança"]), .init(name: "oficina"),
                ],
                topics: [
                    .init(
                        name: "horário", keywords: ["horário de atendimento", "que horas abre"], answer: "Das nove."),
                    .init(name: "endereço", keywords: ["onde vocês ficam"], answer: "Rua Central."),
                ])
        }
    }

    /// The grammars that the accuracy is measured with are these very ones, as files. `PRONTO_WRITE_FIXTURES=1`
    /// writes them anew after a wanted change.
    @Test("The measured grammars are the ones that the machine uses", arguments: SpokenLanguage.allCases)
    func golden(language: SpokenLanguage) throws {
        // Tests/AssistantsTests/LocalAssistant/LocalGrammarTests.swift → the repository.
        let root: URL = (0..<4).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
        let file: URL = root.appendingPathComponent("scripts/lib/accuracy/reference-\(language.rawValue).jsgf")
        let text: String = LocalGrammar(Self.reference(language), language: language).text
        if ProcessInfo.processInfo.environment["PRONTO_WRITE_FIXTURES"] != nil {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == text)
    }

    @Test(
        "A phrase means what it was configured for, with whatever politeness around it",
        arguments: [
            ("sales", LocalIntent.destination(0)), ("can i speak to technical support please", .destination(1)),
            ("what time do you open", .topic(0)), ("please a person", .callOperator), ("no thank you", .no),
            ("that's right", .yes), ("say that again", .repeatLast),
        ])
    func meaning(words: String, intent: LocalIntent) {
        #expect(LocalGrammar(Self.reference(.english), language: .english).intent(of: words) == intent)
    }

    @Test("A tenant's word wins over ours")
    func tenantWins() {
        let configuration = LocalAssistantConfiguration(destinations: [.init(name: "Help")])
        #expect(LocalGrammar(configuration, language: .english).intent(of: "help") == .destination(0))
    }

    @Test(
        "Only what can be spoken gets into a grammar",
        arguments: [
            ("Sales & Rentals", "sales rentals"), ("L’Officina", "l'officina"), ("O'Neill's'", "o'neill's"),
            ("a;b <c> | {d}", "a b c d"), ("Room 12", nil), ("!!!", nil), ("", nil), ("'''", nil),
            (String(repeating: "x", count: 41), nil), ("a b c d e f g h i", nil),
        ] as [(String, String?)])
    func normalised(spoken: String, phrase: String?) {
        #expect(LocalGrammar.normalise(spoken) == phrase)
    }

    @Test(
        "Text is cut where a speaker breathes",
        arguments: [
            ("One. Two! Three?", ["One.", "Two!", "Three?"]),
            (
                "It costs 3.50 at pronto.com today",
                ["It costs 3.50 at pronto.com today"]
            ), ("  \n . !", []), ("a\nb", ["a", "b"]),
        ] as [(String, [String])])
    func sentences(text: String, pieces: [String]) {
        #expect(SentenceSplitter.split(text) == pieces)
    }
}
