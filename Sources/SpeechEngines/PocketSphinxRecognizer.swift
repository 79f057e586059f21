import Audio
import CPocketSphinx
import Foundation
import Telephony

/// What was understood of one talkspurt.
package struct RecognitionResult: Sendable, Equatable {
    /// Empty: nothing in the grammar fits.
    package var words: Redacted<String>
    /// 0–1: how much better the grammar explains the sound than a loop of any phones does. See
    /// `PocketSphinxRecognizer.confidence`.
    package var confidence: Double
}

/// A grammar that pocketsphinx will take: every word pronounceable, every phone known.
package struct PreparedGrammar: Sendable, Hashable {
    let text: String
    /// The dictionary file's text: the grammar's words and the phone loop's.
    let dictionary: String
}

/// pocketsphinx with closed grammars, on a bounded pool of threads.
///
/// A talkspurt is decoded twice: by the grammar, and by a loop of all phones that explains any speech. Their scores'
/// difference a frame is the confidence: a grammar alone always finds something, also in speech about football.
package final class PocketSphinxRecognizer: Sendable {
    package struct Configuration: Sendable {
        /// The acoustic model's folder.
        package var model: String
        package var dictionary: String
        /// For words that the dictionary lacks.
        package var espeak: String
        /// Decodings at the same time.
        package var threads: Int
        /// Talkspurts that may wait.
        package var waiting: Int

        package init(
            model: String = "/usr/share/pocketsphinx/model/en-us/en-us",
            dictionary: String = "/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict",
            espeak: String = "/usr/bin/espeak-ng", threads: Int = 2, waiting: Int = 64
        ) {
            self.model = model
            self.dictionary = dictionary
            self.espeak = espeak
            self.threads = max(1, threads)
            self.waiting = waiting
        }
    }

    /// The longest talkspurt that is decoded, in samples of 16 kHz: 15 s. What is beyond is no command.
    package static let maximumSamples = 15 * 16_000

    private let configuration: Configuration
    private let pronouncer: Pronouncer
    private let pool: WorkerPool

    /// Throws `modelMissing` naming the path.
    package init(_ configuration: Configuration = Configuration()) throws(SpeechEngineError) {
        for path in [configuration.model + "/mdef", configuration.dictionary] where access(path, R_OK) != 0 {
            throw .modelMissing(path: path)
        }
        self.configuration = configuration
        self.pronouncer = Pronouncer(dictionaryPath: configuration.dictionary, espeak: configuration.espeak)
        self.pool = WorkerPool(name: "sphinx", threads: configuration.threads, limit: configuration.waiting)
    }

    /// Lets what runs end and returns when all threads are gone.
    package func stop() { self.pool.stop() }

    /// Checks a grammar and finds its words' phones, on a pool thread (a first grammar takes some 100 ms).
    package func prepare(
        _ grammar: RecognitionGrammar,
        _ done: @escaping @Sendable (Result<PreparedGrammar, SpeechEngineError>) -> Void
    ) -> SpeechJob {
        let job = SpeechJob()
        let isTaken: Bool = self.pool.submit {
            if job.isCancelled { return }
            let result: Result<PreparedGrammar, SpeechEngineError>
            do throws(SpeechEngineError) { result = .success(try self.prepared(grammar)) } catch {
                result = .failure(error)
            }
            if !job.isCancelled { done(result) }
        }
        if !isTaken { done(.failure(.overloaded)) }
        return job
    }

    /// Decodes one talkspurt of 16 kHz samples, on a pool thread.
    package func recognise(
        _ samples: [Int16], with grammar: PreparedGrammar,
        _ done: @escaping @Sendable (Result<RecognitionResult, SpeechEngineError>) -> Void
    ) -> SpeechJob {
        let job = SpeechJob()
        let isTaken: Bool = self.pool.submit {
            if job.isCancelled { return }
            let result: Result<RecognitionResult, SpeechEngineError>
            do throws(SpeechEngineError) { result = .success(try self.decode(samples, grammar)) } catch {
                result = .failure(error)
            }
            if !job.isCancelled { done(result) }
        }
        if !isTaken { done(.failure(.overloaded)) }
        return job
    }

    /// `prepare` on the calling thread.
    func prepared(_ grammar: RecognitionGrammar) throws(SpeechEngineError) -> PreparedGrammar {
        let words: [String] = try GrammarWords.words(of: grammar.text)
        let phones: [String: [[String]]] = try self.pronouncer.pronounce(
            words, language: grammar.language, given: grammar.pronunciations)
        var dictionary = ""
        for word in words {
            guard let readings = phones[word] else { throw .badGrammar }
            for (index, reading) in readings.enumerated() {
                dictionary += index == 0 ? word : "\(word)(\(index + 1))"
                dictionary += " " + reading.joined(separator: " ") + "\n"
            }
        }
        for phone in PhoneMap.phones.sorted() { dictionary += "\(Self.loopWord(phone)) \(phone)\n" }
        return PreparedGrammar(text: grammar.text, dictionary: dictionary)
    }

    /// `recognise` on the calling thread.
    func decode(_ samples: [Int16], _ grammar: PreparedGrammar) throws(SpeechEngineError) -> RecognitionResult {
        // A tenth of a second holds no word, and an empty utterance is an error to pocketsphinx.
        guard samples.count >= 1600, Self.hasSound(samples) else {
            return RecognitionResult(words: Redacted(""), confidence: 0)
        }
        // A fresh decoder (10 ms) for each talkspurt: its noise estimate would otherwise carry one caller to the next.
        let decoder = try Decoder(model: self.configuration.model, grammar: grammar)
        let dithered: [Int16] = Self.dithered(samples.prefix(Self.maximumSamples))
        guard let result = decoder.decode(dithered[...]) else { throw .rejected("a talkspurt") }
        return result
    }

    /// Whether a tenth of a second in all is above −55 dBFS. Silence fits a grammar as well as it fits the phone loop:
    /// the confidence says nothing of it.
    static func hasSound(_ samples: [Int16]) -> Bool {
        let loud: Int = samples.withUnsafeBufferPointer { samples in
            stride(from: 0, to: samples.count - 319, by: 320).reduce(0) { count, start in
                let level: Double = Level(of: UnsafeBufferPointer(rebasing: samples[start..<(start + 320)])).rms
                return count + (level > -55 ? 1 : 0)
            }
        }
        return loud >= 5
    }

    /// Adds noise of ±6 of 32 768, the same to the same audio. A line with silence suppression carries digital zeros,
    /// whose logarithm is far from any silence that the model was trained on, and drags the utterance's mean along.
    static func dithered(_ samples: ArraySlice<Int16>) -> [Int16] {
        var state: UInt32 = 1
        return samples.map { sample in
            // Numerical Recipes' linear congruential generator: plenty for noise.
            state = state &* 1_664_525 &+ 1_013_904_223
            let (sum, overflow) = sample.addingReportingOverflow(Int16(truncatingIfNeeded: state >> 16) % 7)
            return overflow ? sample : sum
        }
    }

    static func loopWord(_ phone: String) -> String { "__" + phone.lowercased() }

    /// The loop of all phones, as a grammar.
    static let phoneLoop: String = {
        let words: String = PhoneMap.phones.sorted().map(PocketSphinxRecognizer.loopWord).joined(separator: " | ")
        return "#JSGF V1.0;\ngrammar loop;\npublic <any> = ( \(words) )+;\n"
    }()

    /// Maps the score difference a frame to 0–1. Measured on espeak-ng speech in three languages: what was understood
    /// rightly lies between −17 and 3, other speech below −16 (docs/local-assistant.md). 0 → 1, −24 → 0.
    static func confidence(grammar: Int32, loop: Int32, frames: Int) -> Double {
        guard frames > 0 else { return 0 }
        let difference: Double = (Double(grammar) - Double(loop)) / Double(frames)
        return min(max(1 + difference / 24, 0), 1)
    }
}

/// One loaded decoder with its grammar.
///
/// Not Sendable: made, used and freed by one job on one thread.
private final class Decoder {
    let grammar: PreparedGrammar
    private let decoder: OpaquePointer

    init(model: String, grammar: PreparedGrammar) throws(SpeechEngineError) {
        self.grammar = grammar
        // pocketsphinx reads dictionaries from files only.
        let path: String =
            FileManager.default.temporaryDirectory.path + "/pronto-\(getpid())-\(UInt64.random(in: 0...(.max))).dict"
        guard
            FileManager.default.createFile(
                atPath: path, contents: Data(grammar.dictionary.utf8), attributes: [.posixPermissions: 0o600])
        else { throw .rejected("a temporary file") }
        defer { unlink(path) }
        guard let configuration = pronto_ps_config(model, path) else { throw .rejected("its settings") }
        // ps_init keeps a reference of its own.
        defer { cmd_ln_free_r(configuration) }
        guard let decoder = ps_init(configuration) else { throw .modelMissing(path: model) }
        guard ps_set_jsgf_string(decoder, "grammar", grammar.text) == 0,
            ps_set_jsgf_string(decoder, "loop", PocketSphinxRecognizer.phoneLoop) == 0
        else {
            ps_free(decoder)
            throw .badGrammar
        }
        self.decoder = decoder
    }

    deinit { ps_free(self.decoder) }

    /// Nil when the decoder refuses the audio: it is then thrown away.
    func decode(_ samples: ArraySlice<Int16>) -> RecognitionResult? {
        guard let (words, score) = self.pass("grammar", samples) else { return nil }
        guard let words else { return RecognitionResult(words: Redacted(""), confidence: 0) }
        guard let (_, loop) = self.pass("loop", samples) else { return nil }
        // 100 frames a second.
        let confidence: Double = PocketSphinxRecognizer.confidence(
            grammar: score, loop: loop, frames: samples.count / 160)
        return RecognitionResult(words: Redacted(words), confidence: confidence)
    }

    private func pass(_ search: String, _ samples: ArraySlice<Int16>) -> (words: String?, score: Int32)? {
        guard ps_set_search(self.decoder, search) == 0, ps_start_utt(self.decoder) == 0 else { return nil }
        let frames: Int32 = samples.withUnsafeBufferPointer {
            ps_process_raw(self.decoder, $0.baseAddress, $0.count, 0, 1)
        }
        guard ps_end_utt(self.decoder) == 0, frames >= 0 else { return nil }
        var score: Int32 = 0
        guard let hypothesis = ps_get_hyp(self.decoder, &score) else { return (nil, 0) }
        return (String(cString: hypothesis), score)
    }
}
