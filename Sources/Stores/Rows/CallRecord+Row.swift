import Foundation
import Records
import Telephony

extension CallRecord {
    static let table = "voip_cdr"

    var row: Row {
        var row = Row()
        row.set("domain_uuid", self.tenant.text)
        row.set("call_uuid", self.id.text)
        row.set("start_time", self.startedAt)
        row.set("answer_time", self.answeredAt)
        row.set("end_time", self.endedAt)
        row.set("duration_ms", milliseconds: self.duration)
        row.set("voice_secretary_uuid", self.assistant?.text)
        row.set("direction", self.direction.rawValue)
        row.set("caller_id_number", self.caller?.value)
        row.set("destination_number", self.dialed?.value)
        row.set("dialect", self.dialect)
        row.set("providers", list: self.providers.map(\.text))
        row.set("hangup_cause_q850", self.termination.cause.q850)
        row.set("hangup_cause", self.termination.cause.name)
        row.set("fault", self.termination.fault.rawValue)
        row.set("reason", self.termination.reason)
        row.set("spoken_fallback", self.termination.spoken.rawValue)
        row.set("transfer_name", self.transferredTo?.name)
        row.set("transfer_extension", self.transferredTo?.number.value)
        row.set("transfer_context", self.transferredTo?.context)
        row.set("recording_path", self.recording)
        row.set("underruns", self.quality.underruns)
        row.set("barge_ins", self.quality.bargeIns)
        row.set("false_interruptions", self.quality.falseInterruptions)
        row.set("latency_p50_ms", milliseconds: self.quality.latencyMedian)
        row.set("latency_p95_ms", milliseconds: self.quality.latencyP95)
        row.set("uplink_bytes", self.quality.uplinkBytes)
        row.set("downlink_bytes", self.quality.downlinkBytes)
        row.set("packets_received", self.quality.media?.received)
        row.set("packets_lost", self.quality.media?.lost)
        row.set("packets_late", self.quality.media?.late)
        row.set("jitter_us", self.quality.media.map { Int($0.jitter.nanoseconds / 1000) })
        row.set("round_trip_us", self.quality.media?.roundTrip.map { Int($0.nanoseconds / 1000) })
        row.set("mos_hundredths", self.quality.media.map { Int(($0.score * 100).rounded()) })
        row.set("input_text_tokens", self.usage.inputTextTokens)
        row.set("input_audio_tokens", self.usage.inputAudioTokens)
        row.set("cached_tokens", self.usage.cachedTokens)
        row.set("output_text_tokens", self.usage.outputTextTokens)
        row.set("output_audio_tokens", self.usage.outputAudioTokens)
        row.set("speech_characters", self.usage.characters)
        row.set("recognised_ms", milliseconds: self.usage.heard)
        row.set("connected_ms", milliseconds: self.usage.connected)
        row.set("cost_micros", self.cost?.micros)
        row.set("cost_known_micros", self.cost?.knownMicros)
        row.set("cost_currency", self.cost?.currency)
        row.set("price_date", self.cost?.priceDate)
        row.set("node", self.node)
        return row
    }

    init(row: Row) throws(StoreError) {
        let cause = HangupCause(q850: try row.integer("hangup_cause_q850"), name: try row.text("hangup_cause"))
        let termination = CallTermination(
            cause: cause, fault: try row.value("fault") { Fault(rawValue: $0) }, reason: try row.text("reason"),
            spoken: try row.value("spoken_fallback") { SpokenFallback(rawValue: $0) })
        self.init(
            id: try row.value("call_uuid") { CallID($0) }, tenant: try row.value("domain_uuid") { TenantID($0) },
            startedAt: try row.date("start_time"), endedAt: try row.date("end_time"), termination: termination)
        self.answeredAt = try row.dateIfAny("answer_time")
        self.assistant = try row.valueIfAny("voice_secretary_uuid") { AssistantID($0) }
        self.direction = try row.value("direction") { Direction(rawValue: $0) }
        self.caller = try row.textIfAny("caller_id_number").map { Redacted($0) }
        self.dialed = try row.textIfAny("destination_number").map { Redacted($0) }
        self.dialect = try row.textIfAny("dialect")
        self.providers = try ProviderName.list(row, "providers")
        if let name = try row.textIfAny("transfer_name") {
            self.transferredTo = TransferDestination(
                name: name, number: try row.text("transfer_extension"), context: try row.text("transfer_context"))
        }
        self.recording = try row.textIfAny("recording_path")
        self.quality.underruns = try row.integer("underruns")
        self.quality.bargeIns = try row.integer("barge_ins")
        self.quality.falseInterruptions = try row.integer("false_interruptions")
        self.quality.latencyMedian = try row.millisecondsIfAny("latency_p50_ms")
        self.quality.latencyP95 = try row.millisecondsIfAny("latency_p95_ms")
        self.quality.uplinkBytes = try row.integer("uplink_bytes")
        self.quality.downlinkBytes = try row.integer("downlink_bytes")
        if let received = try row.integerIfAny("packets_received") {
            var media = MediaQuality()
            media.received = received
            media.lost = try row.integerIfAny("packets_lost") ?? 0
            media.late = try row.integerIfAny("packets_late") ?? 0
            media.jitter = .microseconds(try row.integerIfAny("jitter_us") ?? 0)
            media.roundTrip = try row.integerIfAny("round_trip_us").map { .microseconds($0) }
            media.score = Double(try row.integerIfAny("mos_hundredths") ?? 0) / 100
            self.quality.media = media
        }
        self.usage.inputTextTokens = try row.integer("input_text_tokens")
        self.usage.inputAudioTokens = try row.integer("input_audio_tokens")
        self.usage.cachedTokens = try row.integer("cached_tokens")
        self.usage.outputTextTokens = try row.integer("output_text_tokens")
        self.usage.outputAudioTokens = try row.integer("output_audio_tokens")
        // A line of the spool may be of a version that did not count these.
        self.usage.characters = try row.integerIfAny("speech_characters") ?? 0
        self.usage.heard = try row.millisecondsIfAny("recognised_ms") ?? .zero
        self.usage.connected = try row.millisecondsIfAny("connected_ms") ?? .zero
        if let currency = try row.textIfAny("cost_currency") {
            self.cost = CallCost(
                micros: try row.integerIfAny("cost_micros"),
                knownMicros: try row.integerIfAny("cost_known_micros") ?? 0,
                currency: currency, priceDate: try row.textIfAny("price_date") ?? "")
        }
        self.node = try row.textIfAny("node")
    }
}

extension ConversationRecord {
    static let table = "v_voice_conversations"

    func row(turns: Int) -> Row {
        var row = Row()
        row.set("voice_conversation_uuid", self.id.text)
        row.set("domain_uuid", self.tenant.text)
        row.set("voice_secretary_uuid", self.assistant?.text)
        row.set("call_uuid", self.call.text)
        row.set("start_time", self.startedAt)
        row.set("end_time", self.endedAt)
        let length = self.endedAt.timeIntervalSince(self.startedAt)
        row.set("duration_seconds", seconds: .seconds(length.isFinite ? min(max(length, 0), 1e9) : 0))
        row.set("processing_mode", self.mode.rawValue)
        row.set("language", self.language)
        row.set("total_turns", turns)
        row.set("final_action", self.finalAction.rawValue)
        return row
    }

    init(row: Row) throws(StoreError) {
        let start = try row.date("start_time")
        let id = try row.value("voice_conversation_uuid") { ConversationID($0) }
        // An older system's row may name no call, or one by an id that no call of ours has: it is a conversation all the
        // same, and goes by its own.
        guard let call = try row.known("call_uuid", { CallID($0) }) ?? CallID(id.text) else {
            throw Row.corrupt("call_uuid", "an id: letters, digits, - and _")
        }
        self.init(
            id: id, tenant: try row.value("domain_uuid") { TenantID($0) }, call: call,
            // Empty for calls that it did not see end; and it has other words for how they did.
            startedAt: start, endedAt: try row.dateIfAny("end_time") ?? start,
            finalAction: try row.known("final_action") { FinalAction(any: $0) } ?? .abandoned)
        self.assistant = try row.known("voice_secretary_uuid") { AssistantID($0) }
        self.mode = try row.known("processing_mode") { ProcessingMode(rawValue: $0) } ?? self.mode
        self.language = try row.textIfAny("language")
    }
}

extension ConversationRecord.FinalAction {
    /// Also by the words of other systems.
    fileprivate init?(any text: String) {
        switch text.lowercased() {
        case "hang_up", "hungup", "hung_up", "end", "ended", "end_call", "completed", "finished": self = .hangup
        case "transferred", "handoff", "handed_off", "forward", "forwarded": self = .transfer
        case "error": self = .failed
        case let word: self.init(rawValue: word)
        }
    }
}

extension TurnRecord.Role {
    /// Also by the words of other systems. Nil: neither of the two who speak (`system`, `tool`).
    fileprivate init?(any text: String) {
        switch text.lowercased() {
        case "caller", "human", "customer", "client": self = .caller
        case "agent", "ai", "bot", "secretary", "model": self = .agent
        case let word: self.init(rawValue: word)
        }
    }
}

extension TurnRecord {
    static let table = "v_voice_messages"

    func row(of conversation: ConversationRecord) -> Row {
        var row = Row()
        row.set("voice_conversation_uuid", conversation.id.text)
        row.set("turn_number", self.number)
        row.set("domain_uuid", conversation.tenant.text)
        row.set("role", self.role.rawValue)
        row.set("content", self.text.value)
        row.set("content_heard", self.heardText?.value)
        row.set("heard_ms", milliseconds: self.heard)
        row.set("was_interrupted", self.wasInterrupted)
        row.set("latency_ms", milliseconds: self.latency)
        row.set("provider_used", self.provider?.text)
        row.set("cost_micros", self.costMicros)
        row.set("start_time", self.startedAt)
        row.set("end_time", self.endedAt)
        return row
    }

    init(row: Row) throws(StoreError) {
        self.init(
            number: try row.integer("turn_number"), role: try row.role(), text: try row.text("content"),
            startedAt: try row.moment("start_time"), endedAt: try row.moment("end_time"))
        self.heardText = try row.textIfAny("content_heard").map { Redacted($0) }
        self.heard = try row.millisecondsIfAny("heard_ms")
        self.wasInterrupted = try row.bool("was_interrupted")
        self.latency = try row.millisecondsIfAny("latency_ms")
        self.provider = try row.known("provider_used") { ProviderName($0) }
        self.costMicros = try row.integerIfAny("cost_micros")
    }
}

extension Row {
    fileprivate func role() throws(StoreError) -> TurnRecord.Role {
        guard let role = TurnRecord.Role(any: try self.text("role")) else {
            throw Row.corrupt("role", "user or assistant")
        }
        return role
    }

    /// An older system says only when the row was made.
    fileprivate func moment(_ column: String) throws(StoreError) -> Date {
        if let date = try self.dateIfAny(column) { return date }
        guard self[column: "insert_date"] != nil else { return try self.date(column) }
        return try self.date("insert_date")
    }
}

extension ToolUse {
    static let table = "v_voice_tool_uses"

    func row(of conversation: ConversationRecord) -> Row {
        var row = Row()
        row.set("voice_conversation_uuid", conversation.id.text)
        row.set("tool_number", self.number)
        row.set("domain_uuid", conversation.tenant.text)
        row.set("tool_name", self.name)
        row.set("arguments", self.arguments.value)
        row.set("result", self.result?.value)
        row.set("outcome", self.outcome.rawValue)
        row.set("start_time", self.startedAt)
        row.set("duration_ms", milliseconds: self.duration)
        return row
    }

    init(row: Row) throws(StoreError) {
        self.init(
            number: try row.integer("tool_number"), name: try row.text("tool_name"),
            arguments: try row.text("arguments"), result: try row.textIfAny("result"),
            outcome: try row.value("outcome") { Outcome(rawValue: $0) }, startedAt: try row.date("start_time"),
            duration: try row.milliseconds("duration_ms"))
    }
}
