import Assistants
import Audio
import Telephony

/// The server side of Deepgram's streaming recognition and speech as a value (providers.md §4.1–4.3): client messages
/// go in, server messages come out. Time is the audio's own: a recogniser knows no other.
package struct DeepgramSimulatorCore: Sendable {
    package enum Endpoint: Sendable { case nova, flux, speak }
    package enum Effect: Sendable, Equatable {
        case text(String)
        case binary([UInt8])
        case close(code: UInt16, reason: String)
    }

    private let endpoint: Endpoint
    private let script: DeepgramScript
    private let faults: Set<DeepgramScript.Fault>
    private let format: AudioFormat
    private let endpointing: Duration
    private let interim: Bool
    package private(set) var record: DeepgramRecord
    private var assembler: FrameAssembler
    private var position: Duration = .zero
    private var voiced: Duration = .zero
    private var silent: Duration = .zero
    private var isSpeaking = false
    private var said = 0
    /// Words of this talkspurt that were not final yet.
    private var isOwed = false
    private var turn = 0
    private var sequence = 0
    private var unspoken = ""
    private var isOver = false

    package init(
        _ endpoint: Endpoint, script: DeepgramScript, faults: Set<DeepgramScript.Fault>, format: AudioFormat,
        endpointing: Duration?, interim: Bool, record: DeepgramRecord, said: Int
    ) {
        self.endpoint = endpoint
        self.script = script
        self.faults = faults
        self.format = format
        self.endpointing = endpointing ?? .seconds(3600)
        self.interim = interim
        self.record = record
        self.assembler = FrameAssembler(format: format)
        self.said = said
    }

    package var utterancesSaid: Int { self.said }

    package mutating func opened() -> [Effect] {
        if self.faults.contains(.error) {
            self.isOver = true
            return [
                .text(
                    "{\"type\":\"Error\",\"description\":\"scripted\",\"variant\":\"SCRIPTED\",\"code\":\"SCRIPTED\"}"),
                .close(code: 1011, reason: "scripted"),
            ]
        }
        switch self.endpoint {
        case .nova: return self.faults.contains(.garbage) ? (0..<20).map { _ in .text("{no json") } : []
        case .flux: return [.text("{\"type\":\"Connected\",\"request_id\":\"\(Self.id)\",\"sequence_id\":0}")]
        case .speak:
            return [
                .text(
                    "{\"type\":\"Metadata\",\"request_id\":\"\(Self.id)\",\"model_name\":\"aura\",\"model_version\":\"1\",\"model_uuid\":\"\(Self.id)\"}"
                )
            ]
        }
    }

    private static let id = "00000000-0000-4000-8000-000000000001"

    // MARK: Recognition

    package mutating func binary(_ bytes: UnsafeRawBufferPointer) -> [Effect] {
        guard !self.isOver, self.endpoint != .speak else { return [] }
        if bytes.isEmpty { return self.closeStream() }
        self.record.audioBytes += bytes.count
        var frames: [UInt8] = []
        self.assembler.append(bytes, into: &frames)
        var effects: [Effect] = []
        var start = 0
        while start < frames.count, !self.isOver {
            let end = start + self.assembler.frameBytes
            let level = frames.withUnsafeBytes { all in
                Level(of: UnsafeRawBufferPointer(rebasing: all[start..<end]), encoding: self.format.encoding)
            }
            self.frame(isLoud: level.rms > self.script.speechLevel, &effects)
            start = end
        }
        return self.faults.contains(.deaf) ? [] : effects
    }

    private mutating func frame(isLoud: Bool, _ effects: inout [Effect]) {
        let length: Duration = .milliseconds(20)
        self.position += length
        self.voiced = isLoud ? self.voiced + length : (self.silent > .milliseconds(100) ? .zero : self.voiced)
        self.silent = isLoud ? .zero : self.silent + length
        if !self.isSpeaking, isLoud, self.voiced >= .milliseconds(60) {
            self.isSpeaking = true
            self.isOwed = true
            if self.faults.contains(.closeAtSpeech) {
                self.isOver = true
                effects.append(.close(code: 1011, reason: "NET-0001"))
                return
            }
            if self.endpoint == .flux {
                effects.append(self.turnInfo("StartOfTurn", ""))
            } else {
                effects.append(
                    .text("{\"type\":\"SpeechStarted\",\"channel\":[0,1],\"timestamp\":\(self.position.inSeconds)}"))
            }
        } else if self.isSpeaking, self.isOwed, self.voiced.milliseconds == 200, isLoud {
            let words = self.text.split(separator: " ")
            let half = words.prefix((words.count + 1) / 2).joined(separator: " ")
            if self.endpoint == .flux {
                effects.append(self.turnInfo("Update", half))
            } else if self.interim {
                effects.append(self.results(half, isFinal: false, speechFinal: false, fromFinalize: false))
            }
        } else if self.isSpeaking, self.silent >= self.endpointing {
            self.isSpeaking = false
            if self.endpoint == .flux {
                effects.append(self.turnInfo("EndOfTurn", self.text))
                self.turn += 1
                self.said += 1
            } else {
                let owed = self.takeText()
                effects.append(self.results(owed, isFinal: true, speechFinal: true, fromFinalize: false))
            }
        }
    }

    private var text: String { self.script.utterances[min(self.said, self.script.utterances.count - 1)] }

    private mutating func takeText() -> String {
        guard self.isOwed else { return "" }
        defer { self.said += 1 }
        self.isOwed = false
        return self.text
    }

    private func results(_ text: String, isFinal: Bool, speechFinal: Bool, fromFinalize: Bool) -> Effect {
        let start = max(0, (self.position - .seconds(1)).inSeconds)
        let words = text.split(separator: " ").map { word -> JSONValue in
            [
                "word": .string(word.lowercased()), "punctuated_word": .string(String(word)), "start": .number(start),
                "end": .number(self.position.inSeconds), "confidence": 0.99,
            ]
        }
        let value: JSONValue = [
            "type": "Results", "channel_index": [0, 1], "duration": .number(self.position.inSeconds - start),
            "start": .number(start), "is_final": .bool(isFinal), "speech_final": .bool(speechFinal),
            "from_finalize": .bool(fromFinalize),
            "channel": [
                "alternatives": [["transcript": .string(text), "confidence": 0.99, "words": .array(words)]]
            ],
            "metadata": [
                "request_id": .string(Self.id), "model_uuid": .string(Self.id),
                "model_info": ["name": "simulated", "version": "1", "arch": "nova"],
            ],
        ]
        return .text(value.json)
    }

    private mutating func turnInfo(_ event: String, _ text: String) -> Effect {
        self.sequence += 1
        var value: JSONValue = [
            "type": "TurnInfo", "request_id": .string(Self.id), "sequence_id": .integer(self.sequence),
            "event": .string(event), "turn_index": .integer(self.turn), "audio_window_start": 0.0,
            "audio_window_end": .number(self.position.inSeconds), "transcript": .string(text), "words": [],
            "end_of_turn_confidence": .number(event == "EndOfTurn" ? 0.9 : 0.1),
        ]
        if event == "EndOfTurn" { value.set("model", at: ["trigger"]) }
        return .text(value.json)
    }

    private mutating func closeStream() -> [Effect] {
        self.isOver = true
        return [
            .text(
                "{\"type\":\"Metadata\",\"transaction_key\":\"deprecated\",\"request_id\":\"\(Self.id)\",\"sha256\":\"0\",\"created\":\"2026-01-01T00:00:00Z\",\"duration\":\(self.position.inSeconds),\"channels\":1}"
            ), .close(code: 1000, reason: ""),
        ]
    }

    // MARK: Messages

    package mutating func text(_ text: String) -> [Effect] {
        guard !self.isOver else { return [] }
        if self.record.messages.count < 1000 { self.record.messages.append(text) }
        guard let value = JSONValue(json: text), let type = value["type"]?.text else {
            return self.refuse("the message is not a JSON object with a type")
        }
        switch (self.endpoint, type) {
        case (.nova, "KeepAlive"), (.nova, "Configure"), (.flux, "Configure"): return []
        case (.nova, "Finalize"):
            let owed = self.takeText()
            if self.silent > .zero { self.isSpeaking = false }
            return [self.results(owed, isFinal: true, speechFinal: false, fromFinalize: true)]
                .filter { _ in !self.faults.contains(.deaf) }
        case (.nova, "CloseStream"), (.flux, "CloseStream"): return self.closeStream()
        case (.speak, "Speak"):
            guard let words = value["text"]?.text else { return self.refuse("Speak needs text") }
            if self.faults.contains(.closeAtSpeak) {
                self.isOver = true
                return [.close(code: 1011, reason: "scripted")]
            }
            self.record.spoken.append(words)
            self.unspoken += words
            return []
        case (.speak, "Flush"): return self.flush()
        case (.speak, "Clear"):
            self.record.clears += 1
            self.unspoken = ""
            return [.text("{\"type\":\"Cleared\",\"sequence_id\":\(self.sequence)}")]
        case (.speak, "Close"):
            self.isOver = true
            return self.flush() + [.close(code: 1000, reason: "")]
        default: return self.refuse("no such message here: \(type)")
        }
    }

    private mutating func flush() -> [Effect] {
        guard !self.faults.contains(.mute) else { return [] }
        var effects: [Effect] = []
        let text = self.unspoken
        self.unspoken = ""
        if !text.isEmpty {
            let trimmed = text.last == " " ? String(text.dropLast()) : text
            let length = self.script.sounds[trimmed] ?? self.script.soundPerCharacter * text.count
            let sound = SimulatedSound.tone(length, self.format)
            // A third of a second a message, as bursts come.
            let size = self.format.bytes(in: .milliseconds(320))
            for start in stride(from: 0, to: sound.count, by: size) {
                effects.append(.binary(Array(sound[start..<min(start + size, sound.count)])))
            }
        }
        self.sequence += 1
        return effects + [.text("{\"type\":\"Flushed\",\"sequence_id\":\(self.sequence)}")]
    }

    private mutating func refuse(_ why: String) -> [Effect] {
        if self.endpoint == .speak {
            return [.text("{\"type\":\"Warning\",\"code\":\"UNPARSABLE\",\"description\":\(JSONText.quoted(why))}")]
        }
        self.isOver = true
        return [
            .text(
                "{\"type\":\"Error\",\"code\":\"UNPARSABLE_CLIENT_MESSAGE\",\"variant\":\"UNPARSABLE\",\"description\":\(JSONText.quoted(why))}"
            ), .close(code: 1008, reason: "DATA-0000"),
        ]
    }
}

/// Sound of simulated services.
enum SimulatedSound {
    /// A tone of whole hertz in `format`.
    static func tone(_ length: Duration, _ format: AudioFormat) -> [UInt8] {
        let pcm = Tone(440, rate: format.rate).samples(for: length).withUnsafeBytes { Array($0) }
        guard format.encoding != .l16, var transcoder = try? Transcoder(from: .l16(format.rate), to: format) else {
            return pcm
        }
        var bytes: [UInt8] = []
        pcm.withUnsafeBytes { transcoder.convert($0, into: &bytes) }
        transcoder.finish(into: &bytes)
        return bytes
    }
}
