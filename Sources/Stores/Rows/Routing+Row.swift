import Records
import Routing
import Telephony

// Rows of the routing tables. Reading is lenient: a column that holds what it cannot hold is named in `unreadable`, and
// the row stays, so that its calls go to a human and not to whatever else would match.

extension Row {
    /// The value, or nil and the column's name in `unreadable`.
    fileprivate func lenient<Value>(
        _ column: String, _ unreadable: inout [String], _ read: (String) throws(StoreError) -> Value?
    ) -> Value? {
        do throws(StoreError) {
            return try read(column)
        } catch {
            unreadable.append(column)
            return nil
        }
    }
}

extension RoutingTenantRow {
    /// Of `v_domains` with `voip_ai_tenants` beside it.
    init(row: Row) throws(StoreError) {
        self.init(
            tenant: try row.value("domain_uuid") { TenantID($0) }, domain: try row.text("domain_name"),
            // As `Tenant` has it: FusionPBX's column may hold NULL.
            isEnabled: try row.boolIfAny("domain_enabled") ?? true)
        self.country = row.lenient("country_code", &self.unreadable, row.textIfAny)
        self.zone = row.lenient("time_zone", &self.unreadable, row.textIfAny)
        self.fallbackType = row.lenient("fallback_target_type", &self.unreadable, row.textIfAny)
        self.fallbackRef = row.lenient("fallback_target_ref", &self.unreadable, row.textIfAny)
    }

    var row: Row {
        var row = Row()
        row.set("tenant_id", self.tenant.text)
        row.set("country_code", self.country)
        row.set("time_zone", self.zone)
        row.set("fallback_target_type", self.fallbackType)
        row.set("fallback_target_ref", self.fallbackRef)
        return row
    }
}

extension TrunkSettings {
    init(row: Row) throws(StoreError) {
        self.init(id: try row.value("id") { RouteID($0) }, tenant: try row.value("tenant_id") { TenantID($0) })
        let enabled = row.lenient("enabled", &self.unreadable, row.boolIfAny)
        self.isEnabled = enabled ?? false
        self.trunk = row.lenient("trunk_id", &self.unreadable, row.textIfAny)
        self.store = row.lenient("store_id", &self.unreadable, row.textIfAny)
        self.timeWindows = row.lenient("time_windows", &self.unreadable, row.textIfAny)
        self.calendars = row.lenient("calendar_ids", &self.unreadable, row.textIfAny)
        self.didAllow = row.lenient("did_allowlist", &self.unreadable, row.textIfAny)
        self.didBlock = row.lenient("did_blocklist", &self.unreadable, row.textIfAny)
        self.agent = row.lenient("agent_id", &self.unreadable, row.textIfAny)
        self.fallbackType = row.lenient("fallback_target_type", &self.unreadable, row.textIfAny)
        self.fallbackRef = row.lenient("fallback_target_ref", &self.unreadable, row.textIfAny)
        self.language = row.lenient("language", &self.unreadable, row.textIfAny)
        self.voice = row.lenient("tts_voice", &self.unreadable, row.textIfAny)
        self.bargeIn = row.lenient("barge_in", &self.unreadable, row.boolIfAny)
        self.maximumMinutes = row.lenient("max_ai_minutes", &self.unreadable, row.integerIfAny)
        self.recording = row.lenient("recording", &self.unreadable, row.textIfAny)
        self.meta = row.lenient("meta", &self.unreadable, row.textIfAny)
    }

    var row: Row {
        var row = Row()
        row.set("id", self.id.text)
        row.set("tenant_id", self.tenant.text)
        row.set("trunk_id", self.trunk)
        row.set("store_id", self.store)
        row.set("enabled", self.isEnabled)
        row.set("time_windows", self.timeWindows)
        row.set("calendar_ids", self.calendars)
        row.set("did_allowlist", self.didAllow)
        row.set("did_blocklist", self.didBlock)
        row.set("agent_id", self.agent)
        row.set("fallback_target_type", self.fallbackType)
        row.set("fallback_target_ref", self.fallbackRef)
        row.set("language", self.language)
        row.set("tts_voice", self.voice)
        row.set("barge_in", self.bargeIn)
        row.set("max_ai_minutes", self.maximumMinutes)
        row.set("recording", self.recording)
        row.set("meta", self.meta)
        return row
    }
}

extension AgentRow {
    init(row: Row) throws(StoreError) {
        self.init(
            id: try row.value("id") { AssistantID($0) }, tenant: try row.value("tenant_id") { TenantID($0) },
            name: "")
        let name = row.lenient("name", &self.unreadable, row.textIfAny)
        self.name = name ?? ""
        let enabled = row.lenient("enabled", &self.unreadable, row.boolIfAny)
        self.isEnabled = enabled ?? false
        self.model = row.lenient("model", &self.unreadable, row.textIfAny)
        self.gatewayURL = row.lenient("gateway_url", &self.unreadable, row.textIfAny)
        self.toolsProfile = row.lenient("tools_profile", &self.unreadable, row.textIfAny)
        self.systemPrompt = row.lenient("system_prompt", &self.unreadable, row.textIfAny).map { Redacted($0) }
        self.assistant = row.lenient("secretary_uuid", &self.unreadable) { column throws(StoreError) in
            try row.valueIfAny(column) { AssistantID($0) }
        }
    }

    var row: Row {
        var row = Row()
        row.set("id", self.id.text)
        row.set("tenant_id", self.tenant.text)
        row.set("name", self.name)
        row.set("enabled", self.isEnabled)
        row.set("model", self.model)
        row.set("gateway_url", self.gatewayURL)
        row.set("tools_profile", self.toolsProfile)
        row.set("system_prompt", self.systemPrompt?.value)
        row.set("secretary_uuid", self.assistant?.text)
        return row
    }
}

extension CalendarRow {
    init(row: Row) throws(StoreError) {
        self.init(
            id: try row.value("id") { CalendarID($0) }, tenant: try row.value("tenant_id") { TenantID($0) }, name: "")
        let name = row.lenient("name", &self.unreadable, row.textIfAny)
        self.name = name ?? ""
        self.zone = row.lenient("time_zone", &self.unreadable, row.textIfAny)
    }

    var row: Row {
        var row = Row()
        row.set("id", self.id.text)
        row.set("tenant_id", self.tenant.text)
        row.set("name", self.name)
        row.set("time_zone", self.zone)
        return row
    }
}

extension CalendarDateRow {
    init(row: Row) throws(StoreError) {
        self.init(
            number: try row.integer("date_number"), name: try row.textIfAny("name"), mode: try row.text("mode"),
            from: try row.text("date_from"), to: try row.text("date_to"), start: try row.textIfAny("start_time"),
            end: try row.textIfAny("end_time"))
    }

    func row(of calendar: CalendarRow) -> Row {
        var row = Row()
        row.set("calendar_id", calendar.id.text)
        row.set("date_number", self.number)
        row.set("tenant_id", calendar.tenant.text)
        row.set("name", self.name)
        row.set("mode", self.mode)
        row.set("date_from", self.from)
        row.set("date_to", self.to)
        row.set("start_time", self.start)
        row.set("end_time", self.end)
        return row
    }
}

extension ActivityRecord {
    init(row: Row) throws(StoreError) {
        let isAI = try row.value("mode") { $0 == "ai" ? true : $0 == "human" ? false : nil }
        let latency = try row.integer("latency_us")
        guard (0...86_400_000_000).contains(latency) else { throw Row.corrupt("latency_us", "0 to 86400000000") }
        self.init(
            id: try row.text("id"), tenant: try row.value("tenant_id") { TenantID($0) },
            decidedAt: try row.date("created_at"), isAI: isAI, reason: try row.text("reason"),
            latency: .microseconds(latency))
        self.call = try row.valueIfAny("call_id") { CallID($0) }
        self.trunk = try row.textIfAny("trunk_id")
        self.did = try row.textIfAny("did")
        self.route = try row.valueIfAny("settings_id") { RouteID($0) }
        self.agent = try row.valueIfAny("agent_id") { AssistantID($0) }
        self.node = try row.textIfAny("node")
    }

    var row: Row {
        var row = Row()
        let (seconds, attoseconds) = self.latency.components
        row.set("id", self.id)
        row.set("tenant_id", self.tenant.text)
        row.set("created_at", self.decidedAt)
        row.set("call_id", self.call?.text)
        row.set("trunk_id", self.trunk)
        row.set("did", self.did)
        row.set("mode", self.isAI ? "ai" : "human")
        row.set("reason", self.reason)
        row.set("settings_id", self.route?.text)
        row.set("agent_id", self.agent?.text)
        row.set("latency_us", Int(min(max(seconds, 0), 86399) * 1_000_000 + max(attoseconds, 0) / 1_000_000_000_000))
        row.set("node", self.node)
        return row
    }
}
