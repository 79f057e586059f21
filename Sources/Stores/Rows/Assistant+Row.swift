import Foundation
import Records
import Telephony

extension Tenant {
    static let table = "v_domains"

    var row: Row {
        var row = Row()
        row.set("domain_uuid", self.id.text)
        row.set("domain_name", self.name)
        row.set("domain_enabled", self.isEnabled)
        return row
    }

    init(row: Row) throws(StoreError) {
        self.init(
            id: try row.value("domain_uuid") { TenantID($0) }, name: try row.text("domain_name"),
            isEnabled: try row.boolIfAny("domain_enabled") ?? true)
        // Not a column, but what the reading of the configuration adds (`ConfigurationTable.select`).
        if row[column: Self.isFusionPBX] == .integer(1) { self.context = self.name }
    }

    static let isFusionPBX = "is_fusionpbx"
}

extension Assistant {
    static let table = "v_voice_secretaries"

    /// Milliseconds. The services take two seconds and say so themselves; the API once took a minute, and rows of then
    /// still answer calls elsewhere.
    private static let longestPadding = 60_000

    /// How topics stand in their column.
    private struct StoredTopic: Codable {
        var name: String
        var phrases: [String]
        var answer: String
    }

    func row() throws(StoreError) -> Row {
        var row = Row()
        row.set("voice_secretary_uuid", self.id.text)
        row.set("domain_uuid", self.tenant.text)
        row.set("secretary_name", self.name)
        row.set("extension", self.number)
        row.set("language", self.language)
        row.set("enabled", self.isEnabled)
        row.set("is_enabled", self.isEnabled)
        row.set("processing_mode", self.mode.rawValue)
        row.set("personality_prompt", self.instructions.value)
        row.set("greeting_message", self.greeting)
        row.set("farewell_message", self.farewell)
        row.set("caller_speaks_first", self.callerSpeaksFirst)
        row.set("provider_order", list: self.providers.map(\.text))
        row.set("tts_voice_id", self.voice)
        row.set("llm_model_override", self.model)
        row.set("llm_max_tokens", self.maximumOutputTokens)
        row.set("vad_type", self.turns.detection.rawValue)
        row.set("vad_eagerness", self.turns.eagerness.rawValue)
        row.set("vad_threshold", self.turns.threshold)
        row.set("silence_duration_ms", milliseconds: self.turns.silence)
        row.set("prefix_padding_ms", milliseconds: self.turns.prefixPadding)
        row.set("barge_in_enabled", self.bargeIn.isEnabled)
        row.set("barge_in_resume_ms", milliseconds: self.bargeIn.resumeWindow)
        row.set("silence_fallback_enabled", self.noInput.isEnabled)
        row.set("silence_fallback_ms", milliseconds: self.noInput.after)
        row.set("silence_fallback_action", self.noInput.action.rawValue)
        row.set("silence_fallback_prompts", list: self.noInput.prompts)
        row.set("silence_fallback_max_retries", self.noInput.retries)
        row.set("idle_timeout_seconds", seconds: self.idleTimeout)
        row.set("max_duration_seconds", seconds: self.maximumDuration)
        row.set("recording_enabled", self.isRecorded)
        row.set("transfer_extension", self.fallback?.number.value)
        row.set("transfer_context", self.fallback?.context)
        row.set("tools", list: self.tools)
        let topics = self.topics.map {
            StoredTopic(
                name: Row.storable($0.name), phrases: $0.phrases.map(Row.storable), answer: Row.storable($0.answer))
        }
        guard let json = try? JSONEncoder().encode(topics) else { throw StoreError(.invalid, "topics do not encode") }
        row.set("topics", String(decoding: json, as: UTF8.self))
        return row
    }

    init(row: Row) throws(StoreError) {
        self.init(
            id: try row.value("voice_secretary_uuid") { AssistantID($0) },
            tenant: try row.value("domain_uuid") { TenantID($0) }, name: try row.text("secretary_name"),
            // FusionPBX's forms write an empty field as a text without characters.
            number: try row.filledText("extension"), language: try row.filledText("language") ?? "en")
        // Where a column has a default here, an older system's table may hold NULL: it means the same.
        let enabled = (try row.boolIfAny("enabled") ?? true, try row.boolIfAny("is_enabled") ?? true)
        self.isEnabled = enabled.0 && enabled.1
        self.mode = try row.valueIfAny("processing_mode") { ProcessingMode(rawValue: $0) } ?? self.mode
        self.instructions = Redacted(try row.textIfAny("personality_prompt") ?? "")
        self.greeting = try row.textIfAny("greeting_message")
        self.farewell = try row.textIfAny("farewell_message")
        self.callerSpeaksFirst = try row.boolIfAny("caller_speaks_first") ?? self.callerSpeaksFirst
        self.providers = try ProviderName.list(row, "provider_order")
        self.voice = try row.filledText("tts_voice_id")
        self.model = try row.filledText("llm_model_override")
        self.maximumOutputTokens = try row.integerIfAny("llm_max_tokens")
        self.turns.detection =
            try row.valueIfAny("vad_type") { TurnSettings.Detection(rawValue: $0) }
            ?? self.turns.detection
        self.turns.eagerness =
            try row.valueIfAny("vad_eagerness") { TurnSettings.Eagerness(rawValue: $0) }
            ?? self.turns.eagerness
        self.turns.threshold = try row.realIfAny("vad_threshold")
        self.turns.silence = try row.millisecondsIfAny("silence_duration_ms")
        self.turns.prefixPadding = try row.millisecondsIfAny("prefix_padding_ms", atMost: Self.longestPadding)
        self.bargeIn.isEnabled = try row.boolIfAny("barge_in_enabled")
        self.bargeIn.resumeWindow = try row.millisecondsIfAny("barge_in_resume_ms")
        self.noInput.isEnabled = try row.boolIfAny("silence_fallback_enabled") ?? self.noInput.isEnabled
        self.noInput.after = try row.millisecondsIfAny("silence_fallback_ms") ?? self.noInput.after
        self.noInput.action =
            try row.valueIfAny("silence_fallback_action") { NoInputSettings.Action(rawValue: $0) }
            ?? self.noInput.action
        self.noInput.prompts = try row.list("silence_fallback_prompts")
        self.noInput.retries = try row.integerIfAny("silence_fallback_max_retries") ?? self.noInput.retries
        self.idleTimeout = try row.secondsIfAny("idle_timeout_seconds")
        self.maximumDuration = try row.secondsIfAny("max_duration_seconds")
        self.isRecorded = try row.boolIfAny("recording_enabled")
        if let number = try row.filledText("transfer_extension") {
            self.fallback = FallbackDestination(
                number: number, context: try row.filledText("transfer_context") ?? "default")
        }
        self.tools = try row.list("tools")
        guard let json = try row.textIfAny("topics"), json != "[]" else { return }
        guard let topics = try? JSONDecoder().decode([StoredTopic].self, from: Data(json.utf8)) else {
            throw Row.corrupt("topics", "a JSON array of {name, phrases, answer}")
        }
        self.topics = topics.map { Topic(name: $0.name, phrases: $0.phrases, answer: $0.answer) }
    }
}

extension ProviderName {
    static func list(_ row: Row, _ column: String) throws(StoreError) -> [ProviderName] {
        var names: [ProviderName] = []
        for text in try row.list(column) {
            guard let name = ProviderName(text) else {
                throw Row.corrupt(column, "a JSON array of provider names: a-z, 0-9, - and _, at most 32")
            }
            names.append(name)
        }
        return names
    }
}

extension DestinationRecord {
    static let table = "v_voice_transfer_destinations"

    var row: Row {
        var row = Row()
        row.set("transfer_destination_uuid", self.id.text)
        row.set("domain_uuid", self.tenant.text)
        row.set("secretary_uuid", self.assistant?.text)
        row.set("name", self.name)
        row.set("department", self.department)
        row.set("role", self.role)
        row.set("aliases", list: self.aliases)
        row.set("description", self.summary)
        row.set("destination_type", self.kind.rawValue)
        row.set("destination_number", self.number.value)
        row.set("destination_context", self.context)
        row.set("ring_timeout_seconds", seconds: self.ringTimeout)
        row.set("priority", self.priority)
        row.set("is_default", self.isDefault)
        row.set("is_enabled", self.isEnabled)
        return row
    }

    init(row: Row) throws(StoreError) {
        self.init(
            id: try row.value("transfer_destination_uuid") { DestinationID($0) },
            tenant: try row.value("domain_uuid") { TenantID($0) }, name: try row.text("name"),
            number: try row.text("destination_number"), context: try row.text("destination_context"))
        self.assistant = try row.valueIfAny("secretary_uuid") { AssistantID($0) }
        self.department = try row.textIfAny("department")
        self.role = try row.textIfAny("role")
        self.aliases = try row.list("aliases")
        self.summary = try row.textIfAny("description")
        self.kind = try row.value("destination_type") { Kind(rawValue: $0) }
        self.ringTimeout = try row.secondsIfAny("ring_timeout_seconds") ?? self.ringTimeout
        self.priority = try row.integerIfAny("priority") ?? self.priority
        self.isDefault = try row.boolIfAny("is_default") ?? self.isDefault
        self.isEnabled = try row.boolIfAny("is_enabled") ?? self.isEnabled
    }
}

extension ProviderAccount {
    static let table = "v_voice_ai_providers"

    /// All but the id and the key, which the store adds.
    var row: Row {
        var row = Row()
        row.set("domain_uuid", self.tenant.text)
        row.set("provider_type", self.kind.rawValue)
        row.set("provider_name", self.provider.text)
        row.set("display_name", self.displayName)
        row.set("config", self.configuration)
        row.set("is_default", self.isDefault)
        row.set("is_enabled", self.isEnabled)
        row.set("priority", self.priority)
        return row
    }

    /// Without the key: only whether there is one. A key that lies among the settings is taken out of them.
    init(row: Row) throws(StoreError) {
        self.init(
            tenant: try row.value("domain_uuid") { TenantID($0) },
            kind: try row.value("provider_type") { Kind(rawValue: $0) },
            provider: try row.value("provider_name") { ProviderName($0) })
        self.displayName = try row.textIfAny("display_name")
        self.configuration = try row.textIfAny("config") ?? self.configuration
        self.hasSecret = try row.textIfAny("secret") != nil
        if let plain = PlainKey(in: self.configuration) {
            self.configuration = plain.rest
            self.hasSecret = self.hasSecret || plain.key != nil
        }
        self.isDefault = try row.boolIfAny("is_default") ?? self.isDefault
        self.isEnabled = try row.boolIfAny("is_enabled") ?? self.isEnabled
        self.priority = try row.integerIfAny("priority") ?? self.priority
    }
}
