import Audio
import Foundation
import Synchronization
import Telephony
import Testing

@testable import SpeechEngines

/// What the engine tests share: engines of this machine, and spoken phrases as a telephone hears them.
enum Voices {
    static let synthesizer = EspeakSynthesizer()

    /// Speaks and collects; the outcome is the last event.
    static func speak(
        _ text: String, language: String, voice: String? = nil, format: AudioFormat,
        with synthesizer: EspeakSynthesizer = Voices.synthesizer
    ) async -> (audio: [UInt8], events: [SynthesisEvent]) {
        let request = SynthesisRequest(text: text, language: language, voice: voice, format: format)
        return await Self.collect { synthesizer.speak(request, $0) }
    }

    /// Collects what a synthesis reports, up to its outcome.
    static func collect(
        _ start: (@escaping @Sendable (SynthesisEvent) -> Void) -> SpeechJob
    ) async -> (audio: [UInt8], events: [SynthesisEvent]) {
        let events: [SynthesisEvent] = await withCheckedContinuation { continuation in
            let collected = Mutex<[SynthesisEvent]>([])
            let box = Box(collected)
            _ = start { event in
                let all: [SynthesisEvent] = box.append(event)
                switch event {
                case .finished, .failed: continuation.resume(returning: all)
                default: break
                }
            }
        }
        let audio: [UInt8] = events.flatMap { event -> [UInt8] in
            if case .audio(let bytes) = event { bytes } else { [] }
        }
        return (audio, events)
    }

    /// A list that callbacks on other threads append to.
    final class Box<Element: Sendable>: Sendable {
        private let list: Mutex<[Element]>
        init(_ list: consuming sending Mutex<[Element]> = Mutex([])) { self.list = list }
        @discardableResult
        func append(_ element: Element) -> [Element] {
            self.list.withLock {
                $0.append(element)
                return $0
            }
        }
        var all: [Element] { self.list.withLock { $0 } }
    }

    /// A phrase through the telephone band: µ-law at 8 kHz and back to 16 kHz samples, quiet around it.
    static func telephone(_ text: String, language: String, voice: String? = nil, rate: Int = 160) async throws
        -> [Int16]
    {
        let speaker = rate == 160 ? Voices.synthesizer : EspeakSynthesizer(.init(rate: rate, processes: 1))
        defer { if rate != 160 { speaker.stop() } }
        let (audio, _) = await Voices.speak(text, language: language, voice: voice, format: .pcmu, with: speaker)
        return try Voices.wideband(
            [UInt8](repeating: 0xFF, count: 1600) + audio + [UInt8](repeating: 0xFF, count: 2400))
    }

    static func wideband(_ pcmu: [UInt8]) throws -> [Int16] {
        var transcoder = try Transcoder(from: .pcmu, to: .l16(.wideband))
        var bytes: [UInt8] = []
        pcmu.withUnsafeBytes { transcoder.convert($0, into: &bytes) }
        return stride(from: 0, to: bytes.count - 1, by: 2).map {
            Int16(truncatingIfNeeded: Int(bytes[$0]) | Int(bytes[$0 + 1]) << 8)
        }
    }

    static var repository: URL {
        (0..<3).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
    }
    static func grammar(_ language: String) throws -> RecognitionGrammar {
        let file = Voices.repository.appendingPathComponent("scripts/lib/accuracy/reference-\(language).jsgf")
        return RecognitionGrammar(text: try String(contentsOf: file, encoding: .utf8), language: language)
    }
    static var sileroModel: String {
        Voices.repository.appendingPathComponent(".deps/models/\(SileroDetector.modelName)").path
    }
}
