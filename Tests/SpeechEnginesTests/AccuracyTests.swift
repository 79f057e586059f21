import Audio
import Foundation
import Telephony
import Testing

@testable import SpeechEngines

/// How often the local assistant understands, in figures: not a test of anything, `scripts/accuracy` runs it.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["PRONTO_ACCURACY"] != nil, "only for scripts/accuracy"))
struct AccuracyTests {
    struct Language: Sendable {
        var tag: String
        var voices: [String]
        var leads: [String]
        /// Each line: spellings that mean the same.
        var choices: [[String]]
        var others: [String]
    }

    static let languages: [Language] = [
        Language(
            tag: "en", voices: ["en-us", "en-us+f3", "en-gb", "en-us+m4", "en-gb-x-rp"],
            leads: ["", "i would like", "can i speak to", "connect me to"],
            choices: [
                ["sales", "sales department"], ["support", "technical support", "help desk"],
                ["billing", "accounting", "invoices"], ["workshop"], ["opening hours", "what time do you open"],
                ["address", "where are you"], ["operator", "a person"],
            ],
            others: [
                "the weather is nice today", "my dog ate the newspaper", "what do you think about football",
                "seventeen bananas",
            ]),
        Language(
            tag: "it", voices: ["it", "it+f2", "it+m3", "it+f4"],
            leads: ["", "vorrei", "vorrei parlare con", "mi passi"],
            choices: [
                ["vendite", "ufficio vendite"], ["assistenza", "assistenza tecnica", "supporto"],
                ["amministrazione", "contabilità", "fatture"], ["officina"],
                ["orari", "orari di apertura", "a che ora aprite"], ["indirizzo", "dove siete"],
                ["operatore", "una persona"],
            ],
            others: [
                "oggi il tempo è bello", "il mio cane ha mangiato il giornale", "cosa pensi del calcio",
                "diciassette banane",
            ]),
        Language(
            tag: "pt-BR", voices: ["pt-br", "pt-br+f2", "pt-br+m3", "pt-br+f4"],
            leads: ["", "eu quero", "quero falar com", "posso falar com"],
            choices: [
                ["vendas", "setor de vendas"], ["suporte", "suporte técnico", "assistência"],
                ["financeiro", "faturas", "cobrança"], ["oficina"],
                ["horário", "horário de atendimento", "que horas abre"], ["endereço", "onde vocês ficam"],
                ["atendente", "uma pessoa"],
            ],
            others: [
                "o tempo está bonito hoje", "meu cachorro comeu o jornal", "o que você acha do futebol",
                "dezessete bananas",
            ]),
    ]

    /// The thresholds of `SpokenLanguage` in Assistants.
    static func sure(_ tag: String) -> Double { tag == "en" ? 0.65 : 0.58 }
    static func least(_ tag: String) -> Double { tag == "en" ? 0.32 : 0.25 }

    @Test("Recognition accuracy on espeak-ng speech in the telephone band")
    func table() async throws {
        var report =
            "| language | said | right | right and sure | asked back, rightly | not understood | wrong and sure | asked back, wrongly | other speech rejected | other speech acted on |\n|---|---|---|---|---|---|---|---|---|---|\n"
        for language in Self.languages {
            let recognizer = try PocketSphinxRecognizer()
            let grammar: PreparedGrammar = try recognizer.prepared(try Voices.grammar(language.tag))
            var said = 0
            var right = [0, 0, 0]
            var wrong = [0, 0, 0]
            var others = [0, 0, 0]
            func grade(_ result: RecognitionResult) -> Int {
                result.words.value.isEmpty || result.confidence < Self.least(language.tag)
                    ? 0 : result.confidence < Self.sure(language.tag) ? 1 : 2
            }
            for (index, choice) in language.choices.enumerated() {
                for (number, phrase) in choice.enumerated() {
                    for (turn, voice) in language.voices.enumerated() {
                        for rate in [140, 175] {
                            let lead: String = language.leads[
                                (index + number + turn + rate / 35) % language.leads.count]
                            let text: String = lead.isEmpty ? phrase : lead + " " + phrase
                            let audio: [Int16] = try await Voices.telephone(
                                text, language: language.tag, voice: voice, rate: rate)
                            let result: RecognitionResult = try recognizer.decode(audio, grammar)
                            said += 1
                            let heard = " \(result.words.value) "
                            let longest: String? = language.choices.joined()
                                .filter { heard.contains(" \($0) ") }.max { $0.count < $1.count }
                            if let longest, choice.contains(longest) {
                                right[grade(result)] += 1
                            } else {
                                wrong[grade(result)] += 1
                            }
                        }
                    }
                }
            }
            for phrase in language.others {
                for voice in language.voices {
                    let audio: [Int16] = try await Voices.telephone(phrase, language: language.tag, voice: voice)
                    others[grade(try recognizer.decode(audio, grammar))] += 1
                }
            }
            recognizer.stop()
            func percent(_ count: Int, of total: Int) -> String { "\((count * 100 + total / 2) / max(1, total)) %" }
            let strange: Int = others.reduce(0, +)
            report +=
                "| \(language.tag) | \(said) | \(percent(right.reduce(0, +), of: said)) | \(percent(right[2], of: said)) | \(percent(right[1], of: said)) | \(percent(right[0] + wrong[0], of: said)) | \(percent(wrong[2], of: said)) | \(percent(wrong[1], of: said)) | \(percent(others[0], of: strange)) | \(percent(others[2], of: strange)) |\n"
        }
        print(report)
    }

    @Test(
        "Free recognition on this machine, in figures",
        .enabled(if: SileroDetector.isBuiltIn, "built without the trait LocalSpeech"),
        .enabled(if: LocalModels.hasVoice && LocalModels.hasRecogniser, "no models here: scripts/install --with-models")
    )
    func free() async throws {
        let scribe = try SherpaRecognizer(folder: LocalModels.recogniser, threads: 1)
        defer { scribe.stop() }
        let piper = try SherpaSynthesizer(.init(voices: try VoiceFiles([LocalModels.voice]), threads: 1))
        defer { piper.stop() }
        let sentences = [
            "Good morning, I would like to speak to the sales department.", "When do you open on Sunday?",
            "Can you tell me where my order is?", "I need to change my appointment to next Tuesday afternoon.",
            "The printer on the second floor does not work since yesterday.", "How much does the annual contract cost?",
            "Please call me back tomorrow morning.", "I have a question about my last invoice.",
            "My name is Sarah and I am calling about the apartment.", "Could you send me the documents by email?",
        ]
        var report =
            "| voice | sentences | words | words wrong | time of a sentence, median | longest |\n|---|---|---|---|---|---|\n"
        for (name, voices) in [("espeak-ng, 5 voices", Self.languages[0].voices), ("en_US-joe-medium", [""])] {
            var words = 0
            var wrong = 0
            var times: [Duration] = []
            for sentence in sentences {
                for voice in voices {
                    let samples: [Int16]
                    if voice.isEmpty {
                        let (audio, _) = await Voices.collect {
                            piper.speak(SynthesisRequest(text: sentence, language: "en", format: .pcmu), $0)
                        }
                        samples = try Voices.wideband(audio)
                    } else {
                        samples = try await Voices.telephone(sentence, language: "en", voice: voice)
                    }
                    let began = ContinuousClock.now
                    let result = await withCheckedContinuation { continuation in
                        _ = scribe.transcribe(samples, language: "en") { continuation.resume(returning: $0) }
                    }
                    times.append(ContinuousClock.now - began)
                    let wanted = Self.words(sentence)
                    words += wanted.count
                    wrong += Self.distance(wanted, Self.words(try result.get().value))
                }
            }
            times.sort()
            let percent = Double(wrong) * 100 / Double(words)
            report +=
                "| \(name) | \(times.count) | \(words) | \(String(format: "%.1f", percent)) % | \(times[times.count / 2].milliseconds) ms | \(times[times.count - 1].milliseconds) ms |\n"
        }
        print(report)
    }

    @Test(
        "Voices of files, in figures",
        .enabled(if: SileroDetector.isBuiltIn, "built without the trait LocalSpeech"),
        .enabled(if: LocalModels.hasPiper, "no Piper here: scripts/install --with-piper --with-models"))
    func voices() async throws {
        let voices = try VoiceFiles([LocalModels.voice])
        let piper = PiperSynthesizer(.init(program: LocalModels.piper, voices: voices, processes: 1, cacheBytes: 0))
        defer { piper.stop() }
        try piper.check()
        let sherpa = try SherpaSynthesizer(.init(voices: voices, threads: 1, cacheBytes: 0))
        defer { sherpa.stop() }
        let engines: [(String, (SynthesisRequest, @escaping @Sendable (SynthesisEvent) -> Void) -> SpeechJob)] = [
            ("piper", piper.speak), ("sherpa", sherpa.speak),
        ]
        var report =
            "| engine | clauses | seconds of sound | first sound, median | longest | whole clause, median |\n|---|---|---|---|---|---|\n"
        for (name, speak) in engines {
            var firsts: [Duration] = []
            var wholes: [Duration] = []
            var sound: Duration = .zero
            for number in 1...20 {
                let began = ContinuousClock.now
                let first = Voices.Box<Duration>()
                let (audio, _) = await Voices.collect { deliver in
                    let request = SynthesisRequest(
                        text: "We are open from nine to five, number \(number).", language: "en", format: .pcmu)
                    return speak(request) { event in
                        if case .audio = event { first.append(ContinuousClock.now - began) }
                        deliver(event)
                    }
                }
                wholes.append(ContinuousClock.now - began)
                firsts.append(try #require(first.all.first))
                sound += AudioFormat.pcmu.duration(ofBytes: audio.count)
            }
            firsts.sort()
            wholes.sort()
            report +=
                "| \(name) | \(firsts.count) | \(String(format: "%.1f", sound.inSeconds)) | \(firsts[10].milliseconds) ms | \(firsts[19].milliseconds) ms | \(wholes[10].milliseconds) ms |\n"
        }
        print(report)
    }

    private static func words(_ text: String) -> [String] {
        text.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "'" }).map(String.init)
    }

    /// Words inserted, left out or replaced (Levenshtein).
    private static func distance(_ a: [String], _ b: [String]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var previous = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let old = row[j + 1]
                row[j + 1] = min(old + 1, row[j] + 1, previous + (x == y ? 0 : 1))
                previous = old
            }
        }
        return row[b.count]
    }
}
