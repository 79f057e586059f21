/// Models that OpenAI has announced the end of (types of SDK openai 3.52.0, read 2026-11-20; providers.md §1.2).
///
/// `pronto doctor` and start-up warn by this table; a session that names one still starts.
package enum OpenAIRealtimeModels {
    package struct Retirement: Sendable, Equatable {
        package var model: String
        /// ISO 8601 date.
        package var shutdown: String
    }

    package static let retirements: [Retirement] =
        [
            "gpt-realtime", "gpt-realtime-2025-08-28", "gpt-realtime-mini", "gpt-realtime-mini-2025-12-15",
            "gpt-audio-mini", "gpt-audio-mini-2025-12-15",
        ].map { Retirement(model: $0, shutdown: "2027-01-20") }
        + [
            "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15",
            "gpt-4o-transcribe-diarize",
        ].map { Retirement(model: $0, shutdown: "2027-02-26") }

    /// When `model` will be shut down, as far as announced.
    package static func announcedShutdown(of model: String) -> String? {
        self.retirements.first { $0.model == model }?.shutdown
    }
}
