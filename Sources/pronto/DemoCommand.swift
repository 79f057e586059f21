import Assistants
import Configuration
import Foundation
import Records

/// `pronto demo`: a whole gateway, a switch and a caller in one process, and one call between them on real sockets.
enum DemoCommand {
    /// 0: all that a demo must show was seen. 1: something was not. 78: `--assistant openai` without a key.
    static func run(_ arguments: [String]) async throws -> Int32 {
        if arguments.contains("--help") {
            print(self.help)
            return 0
        }
        let parsed = try Arguments(
            arguments, options: ["--assistant", "--language", "--recordings", "--started-at"], flags: ["--quick"])
        if let word = parsed.words.first { throw ArgumentError.tooMany(word) }
        let provider =
            try parsed.optional("--assistant", allowed: "local, openai") { text -> ProviderName? in
                ["local": .local, "openai": .openAI][text]
            } ?? .local
        let language =
            try parsed.optional("--language", allowed: "en, it, pt-BR") { SpokenLanguage(rawValue: $0) } ?? .english
        let environment = ProcessInfo.processInfo.environment
        if provider == .openAI, (environment["OPENAI_API_KEY"] ?? "").isEmpty {
            Pronto.complain("pronto demo: --assistant openai needs OPENAI_API_KEY in the environment")
            return 78
        }
        let recordings = try parsed.optional("--recordings") ?? "./recordings"
        let beginning = ProcessBeginning(
            startedAt: try parsed.optional("--started-at", allowed: "milliseconds since 1970") { Int($0) })
        let scenario = DemoScenario.of(language)
        let ours: Set<String> = [
            "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_REALTIME_MODEL", "OPENAI_REALTIME_VOICE",
            "PRONTO_OPENAI_SHAPE", "PRONTO_CA_FILE",
        ]
        let fromEnvironment = environment.filter { ours.contains($0.key) }
            .map { RawValue(key: $0.key, text: $0.value, origin: .environment) }
        let demo = Demo(
            scenario: scenario, provider: provider, recordings: recordings, isQuick: parsed.has("--quick"),
            settings: [fromEnvironment, parsed.settings], beginning: beginning)
        return try await demo.run()
    }

    static let help = """
        pronto demo [options]

        A caller with a synthetic voice calls an assistant on this machine: speech over the real mod_audio_stream
        protocol, a barge-in, a hand-over by Event Socket (to a simulated FreeSWITCH), a call record, a recording.

          --quick               without the pauses between turns
          --assistant NAME      local (default), or openai (OPENAI_API_KEY; OPENAI_BASE_URL for elsewhere)
          --language CODE       en (default), it, pt-BR
          --recordings FOLDER   where the stereo WAV goes (./recordings)
        Any setting may be given as an option (docs/configuration.md).
        """
}
