import Assistants

/// Voices that are known without asking: those of services that have no list to ask for, as read on `readOn`, and those
/// of this machine's engines.
package enum SpeakerVoices {
    package struct Voice: Sendable, Equatable {
        package var id: String
        package var name: String
        /// BCP 47; `multi`: every language of the model.
        package var language: String
        package init(id: String, name: String, language: String) {
            self.id = id
            self.name = name
            self.language = language
        }
    }

    /// When the fixed lists were read.
    package static let readOn = "2026-11-20"

    /// The types of the SDK openai 3.52.0 (providers.md §1.2).
    package static let openAI = [
        "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar",
    ]

    /// The prebuilt voices of Gemini Live (the type `Voice` of livekit's Google plugin, the same thirty as in Google's
    /// speech models).
    package static let gemini = [
        "Zephyr", "Puck", "Charon", "Kore", "Fenrir", "Leda", "Orus", "Aoede", "Callirrhoe", "Autonoe", "Enceladus",
        "Iapetus", "Umbriel", "Algieba", "Despina", "Erinome", "Algenib", "Rasalgethi", "Laomedeia", "Achernar",
        "Alnilam", "Schedar", "Gacrux", "Pulcherrima", "Achird", "Zubenelgenubi", "Vindemiatrix", "Sadachbia",
        "Sadaltager", "Sulafat",
    ]

    /// - Parameter local: the voices of this machine's engines, as they are configured.
    package static func known(of speaker: SpeakerConfiguration, local: [LocalVoice: [Voice]] = [:]) -> [Voice] {
        switch speaker.service {
        case .piper: local[.piper] ?? []
        case .sherpa: local[.sherpa] ?? []
        case .openAI: self.openAI.map { Voice(id: $0, name: $0, language: "multi") }
        case .deepgram:
            [("aura-2-thalia-en", "Thalia", "en"), ("aura-2-livia-it", "Livia", "it")].map {
                Voice(id: $0.0, name: $0.1, language: $0.2)
            }
        case .local:
            [("en", "English"), ("it", "Italian"), ("pt-br", "Portuguese (Brazil)")].map {
                Voice(id: $0.0, name: "espeak-ng " + $0.1, language: $0.0)
            }
        // The account's own: what is configured is what is known.
        case .elevenLabs: speaker.voice.map { [Voice(id: $0, name: $0, language: "multi")] } ?? []
        }
    }
}
