import Audio
import Foundation
import Synchronization
import Telephony
import Testing

@testable import SpeechEngines

@Suite struct RecognitionTests {
    @Test(
        "Phrases through the telephone band are understood",
        arguments: [
            ("en", "technical support please"), ("en", "opening hours"), ("it", "amministrazione"),
            ("it", "ufficio vendite"), ("pt-BR", "suporte técnico"), ("pt-BR", "quero falar com financeiro por favor"),
        ])
    func understood(language: String, phrase: String) async throws {
        let recognizer = try PocketSphinxRecognizer()
        defer { recognizer.stop() }
        let grammar: PreparedGrammar = try recognizer.prepared(try Voices.grammar(language))
        let result: RecognitionResult = try recognizer.decode(
            try await Voices.telephone(phrase, language: language), grammar)
        // An article that nobody spoke is in the grammar and changes no meaning: a breath is enough for it.
        let words = result.words.value
        #expect((words.hasPrefix("the ") ? String(words.dropFirst(4)) : words) == phrase)
        #expect(result.confidence > 0.15)
    }

    @Test(
        "Speech about something else has little confidence, silence and hum have no words",
        arguments: [
            "my dog ate the newspaper this morning", "seventeen yellow bananas",
        ])
    func somethingElse(phrase: String) async throws {
        let recognizer = try PocketSphinxRecognizer()
        defer { recognizer.stop() }
        let grammar: PreparedGrammar = try recognizer.prepared(try Voices.grammar("en"))
        let other: RecognitionResult = try recognizer.decode(
            try await Voices.telephone(phrase, language: "en"), grammar)
        #expect(other.confidence < 0.65)
        #expect(try recognizer.decode([], grammar).confidence == 0)
        let endless = [Int16](repeating: 0, count: PocketSphinxRecognizer.maximumSamples * 2)
        #expect(try recognizer.decode(endless, grammar).confidence < 0.65)
    }

    @Test("One caller's utterance leaves nothing behind for the next: the same audio gives the same result")
    func independent() async throws {
        let recognizer = try PocketSphinxRecognizer()
        defer { recognizer.stop() }
        let grammar: PreparedGrammar = try recognizer.prepared(try Voices.grammar("en"))
        let audio: [Int16] = try await Voices.telephone("billing", language: "en")
        let first: RecognitionResult = try recognizer.decode(audio, grammar)
        _ = try recognizer.decode(audio.map { $0 / 8 }, grammar)
        #expect(try recognizer.decode(audio, grammar) == first)
    }

    @Test("A missing model is an error that names the path")
    func missingModel() {
        #expect(throws: SpeechEngineError.modelMissing(path: "/nowhere/mdef")) {
            _ = try PocketSphinxRecognizer(.init(model: "/nowhere"))
        }
        #expect(throws: SpeechEngineError.modelMissing(path: "/nowhere.dict")) {
            _ = try PocketSphinxRecognizer(.init(dictionary: "/nowhere.dict"))
        }
    }

    @Test("Names that no dictionary has are recognised, as espeak-ng or the tenant pronounce them")
    func names() async throws {
        let recognizer = try PocketSphinxRecognizer()
        defer { recognizer.stop() }
        let text = "#JSGF V1.0;\ngrammar g;\npublic <s> = zorbelix | sales | qqq;\n"
        let grammar: PreparedGrammar = try recognizer.prepared(
            RecognitionGrammar(text: text, language: "en", pronunciations: ["qqq": ["K", "UW"]]))
        let audio: [Int16] = try await Voices.telephone("zorbelix", language: "en")
        #expect(try recognizer.decode(audio, grammar).words.value == "zorbelix")
        #expect(throws: SpeechEngineError.badGrammar) {
            _ = try recognizer.prepared(
                RecognitionGrammar(text: text, language: "en", pronunciations: ["qqq": ["XX"]]))
        }
    }

    @Test(
        "A grammar that would break the engine is refused before it gets there",
        arguments: [
            "", "hello", "#JSGF V1.0;\ngrammar g;\n", "#JSGF V1.0;\ngrammar g;\npublic <a> = <b>;\n",
            "#JSGF V1.0;\ngrammar g;\npublic <a> = x | <a>;\n",
            "#JSGF V1.0;\ngrammar g;\npublic <a> = x <b>;\n<b> = y <a>;\n",
            "#JSGF V1.0;\ngrammar g;\npublic <a> = x {tag};\n", "#JSGF V1.0;\ngrammar g;\npublic <a> = /1e999/ x;\n",
            "#JSGF V1.0;\ngrammar g;\npublic <a> = x\u{0}y;\n", "#JSGF V1.0;\ngrammar g;\npublic <a> = <b;\n",
            "#JSGF V1.0;\ngrammar g;\npublic = x;\n", "#JSGF V1.0;\ngrammar g;\npublic <a> = x;\n<a> = y;\n",
            "#JSGF V1.0;\ngrammar g;\npublic <a> = " + String(repeating: "x", count: 70_000) + ";\n",
        ])
    func badGrammar(text: String) {
        #expect(throws: SpeechEngineError.badGrammar) { _ = try GrammarWords.words(of: text) }
    }

    @Test(
        "IPA becomes the nearest English phones",
        arguments: [
            ("vˈendite", "V EY N D IY T EY"), ("assistˈɛntsa", "AA S IY S T EH N T S AA"), ("nˈɐ̃ʊ̃", "N AW N"),
            ("reklˈamɪ", "R EY K L AA M IH"), ("ɲˈɔkki", "N Y AO K IY"), ("ˈɔɾəɾjʊ", "AO R AH R Y UH"), ("123 ?!", nil),
            ("", nil),
        ] as [(String, String?)])
    func phones(ipa: String, phones: String?) {
        let mapped: [[String]] = PhoneMap.phones(ofIPA: ipa)
        #expect(mapped.first?.joined(separator: " ") == phones)
        #expect(mapped.joined().allSatisfy(PhoneMap.phones.contains))
    }

    @Test("A pool refuses what is too much, runs the rest, and stops")
    func pool() {
        let pool = WorkerPool(name: "test", threads: 1, limit: 2)
        let gate = DispatchSemaphore(value: 0)
        let running = DispatchSemaphore(value: 0)
        let ran = Voices.Box<Int>()
        #expect(
            pool.submit {
                running.signal()
                gate.wait()
                ran.append(0)
            })
        running.wait()
        #expect(pool.submit { ran.append(1) })
        #expect(pool.submit { ran.append(2) })
        #expect(!pool.submit { ran.append(3) })
        let done = DispatchSemaphore(value: 0)
        gate.signal()
        while !pool.submit({ done.signal() }) {}
        done.wait()
        pool.stop()
        #expect(ran.all == [0, 1, 2])
        #expect(!pool.submit {})
    }
}
