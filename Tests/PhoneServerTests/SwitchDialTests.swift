import EventSocket
import Records
import Routing
import Telephony
import Testing

@testable import PhoneServer

private let channel = "708cb2e8-5f6e-4238-a18d-3b64fd03d8a1"
private let tenant = "11111111-2222-3333-4444-555555555555"
private let assistant = "aaaaaaaa-0000-4000-8000-000000000001"

private func read(_ headers: [(String, String)]) -> SwitchDial? {
    let all = [("Event-Name", "CHANNEL_DATA"), ("Unique-ID", channel)] + headers
    return SwitchDial(SwitchEvent(headers: EventSocketHeaders(plain: all.map { (name: $0.0, value: $0.1) }), body: []))
}

@Suite struct SwitchDialTests {
    @Test("Everything that a dialplan may say is read")
    func whole() throws {
        let dial = try #require(
            read([
                ("Answer-State", "answered"), ("variable_domain_uuid", tenant), ("variable_domain_name", "example.com"),
                ("variable_VOICE_AI_SECRETARY_UUID", assistant), ("Caller-Caller-ID-Number", "0551234"),
                ("Caller-Destination-Number", "8000"), ("Caller-Context", "public"),
                ("variable_VOICE_AI_AUDIO_MODE", "DUAL"), ("variable_pronto_fuse", "4 2000 XML default"),
                ("variable_last_sched_id", "17"),
            ]))
        #expect(dial.channel.text == channel)
        #expect(dial.isAnswered)
        #expect(dial.hints.tenant?.text == tenant)
        #expect(dial.hints.channelAssistant?.text == assistant)
        #expect(dial.hints.dialed == "8000")
        #expect(dial.domainName == "example.com")
        #expect(dial.caller?.value == "0551234")
        #expect(dial.audio == .dual)
        #expect(dial.entry == DialplanTarget(extension: "8000", context: "public"))
        #expect(dial.fuse?.target == DialplanTarget(extension: "2000", context: "default"))
        #expect(dial.fuse?.seconds == 4)
        #expect(dial.fuse?.task == 17)
        var printed = ""
        dump(dial.caller, to: &printed)
        dump(dial.dialed, to: &printed)
        #expect(!printed.contains("0551234") && !printed.contains("8000"))
    }

    @Test("The row of routing says who answers and how, as it does for a stream; a stranger's row says nothing")
    func route() throws {
        let (own, stranger) = (try #require(TenantID(tenant)), try #require(TenantID(assistant)))
        let agent = try #require(AssistantID("cccccccc-0000-4000-8000-000000000001"))
        var rows = RoutingRows(tenants: [
            RoutingTenantRow(tenant: own, domain: "own.example"),
            RoutingTenantRow(tenant: stranger, domain: "stranger.example"),
        ])
        var entry = AgentRow(id: agent, tenant: own, name: "agent")
        entry.systemPrompt = Redacted("The shop is in Rome.")
        rows.agents = [entry]
        let id = try #require(RouteID("dddddddd-0000-4000-8000-000000000001"))
        var row = TrunkSettings(id: id, tenant: own)
        row.agent = agent.text
        row.language = "it-IT"
        row.maximumMinutes = 8
        rows.trunks = [row]
        let directory = AssistantDirectory()
        directory.replace(with: [
            .init(tenant: Tenant(id: own, name: "own.example")),
            .init(tenant: Tenant(id: stranger, name: "stranger.example")),
        ])
        directory.replace(routing: RoutingTable(rows, home: .utc))
        func dial(_ more: [(String, String)]) throws -> SwitchDial {
            var dial = try #require(read([("variable_pronto_route", id.text)] + more))
            dial.resolve(in: directory)
            return dial
        }
        for headers in [[], [("variable_domain_uuid", tenant)], [("variable_domain_name", "OWN.example")]] {
            let found = try dial(headers)
            #expect(found.hints.tenant == own && found.hints.assistant == agent)
            let chosen = try directory.choose(found.hints).get()
            let identity = found.identity(for: chosen, in: directory)
            #expect(identity.assistant == agent && identity.overrides?.language == "it-IT")
            #expect(identity.overrides?.maximumDuration == .seconds(480))
        }
        // Another tenant's channel with our row: neither our agent nor our words.
        let crossed = try dial([("variable_domain_uuid", assistant)])
        #expect(crossed.hints.tenant == stranger && crossed.hints.assistant == nil)
        #expect(directory.overrides(by: id, of: stranger) == nil)
        // The dialplan's own word goes before the row's agent.
        #expect(try dial([("variable_secretary_uuid", assistant)]).hints.assistant == nil)
    }

    @Test("The module's stream is asked for as the dialplan states it")
    func stream() throws {
        let call = try #require(CallID(channel))
        let secretary = try #require(AssistantID(assistant))
        let silent = try #require(read([])).stream
        #expect(
            silent.url(base: "ws://127.0.0.1:8085", assistant: secretary, call: call)
                == "ws://127.0.0.1:8085/stream/\(assistant)/\(channel)?rate=16000&encoding=l16")
        let stated = try #require(
            read([
                ("variable_pronto_ws_dialect", "fork"), ("variable_pronto_ws_rate", "8k"),
                ("variable_pronto_ws_base", "wss://voice.example.com/"),
            ])
        ).stream
        #expect(stated.rate == .narrowband && stated.wrong == nil)
        let base = try #require(stated.base)
        #expect(
            stated.url(base: base, assistant: secretary, call: call)
                == "wss://voice.example.com/stream/\(assistant)/\(channel)?rate=8000&encoding=l16&dialect=mod-audio-stream-fork"
        )
        for (name, value) in [
            ("pronto_ws_dialect", "morse"), ("pronto_ws_rate", "44100"), ("pronto_ws_base", "http://127.0.0.1"),
            ("pronto_ws_base", "ws://127.0.0.1/?a=b"),
        ] {
            #expect(try #require(read([("variable_" + name, value)])).stream.wrong == name, "\(value)")
        }
    }

    @Test("The newest name wins; what is empty or no id counts as not said")
    func names() throws {
        let dial = try #require(
            read([
                ("variable_voiceai_domain_uuid", assistant), ("variable_domain_uuid", tenant),
                ("variable_VOICE_AI_DOMAIN_UUID", ""), ("variable_secretary_uuid", "none"),
                ("variable_pronto_mode", "telepathy"), ("Answer-State", "early"),
            ]))
        #expect(dial.hints.tenant?.text == tenant)
        #expect(dial.hints.channelAssistant == nil)
        #expect(dial.audio == nil)
        #expect(!dial.isAnswered)
        #expect(dial.entry == nil)
        #expect(dial.fuse == nil)
    }

    @Test("Without a usable channel there is no call")
    func noChannel() {
        for id in ["", "a b", "a\nb", String(repeating: "x", count: 65)] {
            let headers = EventSocketHeaders(plain: [(name: "Unique-ID", value: id)])
            #expect(SwitchDial(SwitchEvent(headers: headers, body: [])) == nil)
        }
    }

    @Test(
        "Targets are one to three words; the context comes from the call where none is said",
        arguments: [
            ("2000", "public", "2000 XML public"), ("2000 XML", "public", "2000 XML public"),
            ("2000 XML default", "public", "2000 XML default"), ("2000 LUA default", nil, "2000 LUA default"),
            ("2000", nil, nil), ("", "public", nil), ("1 2 3 4", "public", nil), ("   ", "public", nil),
        ] as [(String, String?, String?)])
    func targets(text: String, context: String?, expected: String?) {
        let target = SwitchDial.target(text, context: context)
        #expect(target.map { "\($0.extension.value) \($0.dialplan) \($0.context)" } == expected)
    }

    @Test(
        "A fuse says seconds and a target; anything else is none",
        arguments: [
            ("4 2000 XML default", 4, "2000"), ("0 2000", 0, "2000"), ("2000", nil, nil), ("x 2000", nil, nil),
            ("", nil, nil), ("4", nil, nil), ("4 2000 XML default more", nil, nil),
            ("99999999999999999999 2000", nil, nil),
            // The seconds are the setting's (PRONTO_DEAD_MAN_SECONDS).
            ("- 2000 XML default", nil, "2000"), ("- 2000", nil, "2000"), ("-", nil, nil), ("-- 2000", nil, nil),
        ] as [(String, Int?, String?)])
    func fuses(text: String, seconds: Int?, number: String?) {
        let fuse = Fuse(text, context: "public", task: "no number")
        #expect(fuse?.seconds == seconds)
        #expect(fuse?.target.extension.value == number)
        #expect(fuse?.task == nil)
    }
}
