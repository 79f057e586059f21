/// Models of every provider whose end is announced: start-up, `pronto doctor` and `pronto provider test` warn by this.
///
/// A session that names one still starts. What is not here is not known to end; sources stand beside each table.
package enum ModelRetirements {
    /// When `model` will be switched off (ISO 8601), as far as announced.
    package static func announcedShutdown(of model: String) -> String? {
        OpenAIRealtimeModels.announcedShutdown(of: model) ?? self.others[model]
    }

    /// Groq: its announcement, as https://github.com/codedaily04/commit-craft/issues/1 quotes it. Gemini:
    /// https://ai.google.dev/gemini-api/docs/deprecations. Both read 2026-11-21.
    private static let others: [String: String] = [
        "llama-3.3-70b-versatile": "2026-08-16", "gemini-2.0-flash-live-001": "2025-12-09",
        "gemini-live-2.5-flash-preview": "2025-12-09",
    ]
}
