import Assistants
import Telephony

/// What a client of Gemini Live may write, and how the server spells it.
enum GeminiLiveWire {
    /// protobuf's JSON takes both spellings of every name; the SDK mixes them (providers.md §3.1). What is a tool's own
    /// (its schema, its outcome) is left alone.
    static func camelCased(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map(self.camelCased))
        case .object(let members):
            return .object(
                members.map { member in
                    let name = self.camelCased(member.name)
                    return JSONValue.Member(
                        name, self.verbatim.contains(name) ? member.value : self.camelCased(member.value))
                })
        default: return value
        }
    }

    static func camelCased(_ name: String) -> String {
        let words = name.split(separator: "_", omittingEmptySubsequences: true)
        guard words.count > 1, let first = words.first else { return name }
        return String(first) + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }

    private static let verbatim: Set<String> = ["parametersJsonSchema", "parameters", "response", "labels", "args"]

    // MARK: Shapes

    /// One message: exactly one of these at its top.
    static let messages: [String: WireShape] = [
        "setup": setup, "clientContent": clientContent, "realtimeInput": realtimeInput, "toolResponse": toolResponse,
        "contextUpdate": contextUpdate,
    ]

    private static let content: WireShape = .object(
        [
            // No system, no null: both close the session with 1007 (providers.md §3.5).
            "role": .words(["user", "model"]),
            "parts": .list(.object(["text": .text, "inlineData": blob])),
        ], required: ["parts"])
    private static let blob: WireShape = .object(["mimeType": .text, "data": .text], required: ["mimeType", "data"])
    private static let empty: WireShape = .object([:])
    private static let count: WireShape = .whole(0...10_000_000)

    private static let tools: WireShape = .list(
        .object([
            "functionDeclarations": .list(
                .object(
                    [
                        "name": .text, "description": .text, "parameters": .any, "parametersJsonSchema": .any,
                        "response": .any, "responseJsonSchema": .any,
                        "behavior": .words(["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"]),
                    ], required: ["name"])),
            "googleSearch": .any, "codeExecution": .any, "urlContext": .any,
        ]))

    private static let setup: WireShape = .object(
        [
            "model": .text,
            "generationConfig": .object([
                "responseModalities": .list(.words(["AUDIO", "TEXT"])),
                "speechConfig": .object([
                    "voiceConfig": .object([
                        "prebuiltVoiceConfig": .object(["voiceName": .text], required: ["voiceName"])
                    ]),
                    "languageCode": .text,
                ]),
                "temperature": .number(0...2), "topP": .number(0...1), "topK": .number(0...1000),
                "maxOutputTokens": .whole(1...65_536), "seed": .whole(Int.min...Int.max), "mediaResolution": .text,
                "thinkingConfig": .any, "enableAffectiveDialog": .flag, "translationConfig": .any,
            ]),
            "systemInstruction": content, "tools": tools,
            "realtimeInputConfig": .object([
                "automaticActivityDetection": .object([
                    "disabled": .flag,
                    "startOfSpeechSensitivity": .words([
                        "START_SENSITIVITY_UNSPECIFIED", "START_SENSITIVITY_HIGH", "START_SENSITIVITY_LOW",
                    ]),
                    "endOfSpeechSensitivity": .words([
                        "END_SENSITIVITY_UNSPECIFIED", "END_SENSITIVITY_HIGH", "END_SENSITIVITY_LOW",
                    ]),
                    "prefixPaddingMs": count, "silenceDurationMs": count,
                ]),
                "activityHandling": .words([
                    "ACTIVITY_HANDLING_UNSPECIFIED", "START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION",
                ]),
                "turnCoverage": .text,
            ]),
            "sessionResumption": .object(["handle": .nullable(.text), "transparent": .flag]),
            "contextWindowCompression": .object([
                "triggerTokens": .either(count, .text),
                "slidingWindow": .object(["targetTokens": .either(count, .text)]),
            ]),
            "inputAudioTranscription": .any, "outputAudioTranscription": .any, "proactivity": .any,
            "historyConfig": .object(["initialHistoryInClientContent": .flag]), "safetySettings": .any,
            "labels": .any,
        ], required: ["model"])

    private static let clientContent: WireShape = .object(["turns": .list(content), "turnComplete": .flag])

    private static let realtimeInput: WireShape = .object([
        "audio": blob, "video": blob, "text": .text, "activityStart": empty, "activityEnd": empty,
        "audioStreamEnd": .flag, "mediaChunks": .list(blob),
    ])

    private static let toolResponse: WireShape = .object(
        [
            "functionResponses": .list(
                .object(
                    [
                        "id": .text, "name": .text,
                        "response": .object(["output": .any, "error": .any, "result": .any]),
                        "scheduling": .words(["SCHEDULING_UNSPECIFIED", "SILENT", "WHEN_IDLE", "INTERRUPT"]),
                        "willContinue": .flag,
                    ],
                    // The Developer API requires the id (providers.md §3.2).
                    required: ["id", "name", "response"]))
        ], required: ["functionResponses"])

    private static let contextUpdate: WireShape = .object([
        "systemInstruction": content, "tools": .object(["tools": tools]),
    ])
}
