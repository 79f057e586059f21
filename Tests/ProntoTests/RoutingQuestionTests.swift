import Foundation
import Networking
import Records
import Routing
import Simulators
import Stores
import Telephony
import Testing

@testable import PhoneServer
@testable import pronto

/// The routing question over HTTP, as an installation with rows answers it.
@Suite("Routing by rows")
struct RoutingQuestionTests {
    private static let call = "a4e5cb5c-0000-4000-8000-0123456789ab"
    private static let trunk = "trunk-roma01"

    /// A house whose trunk is the AI's in weekday hours, by the operator's own commands.
    private func open(
        _ folder: String, _ given: [String: String] = [:], trunk: [String] = [],
        agent: [String] = ["--assistant", "reception"]
    ) async throws -> House {
        var script = House.script()
        script.keepsMessages = true
        let house = try await House(folder, script: script, given: given)
        func run(_ words: [String]) async throws {
            _ = try await StoreCommands.run(
                words[0], Array(words.dropFirst()), folder: folder, environment: house.environment)
        }
        try await run(["agent", "add", "voice_default", "--model", "gpt-house-7"] + agent)
        try await run(["trunk", "defaults", "--country", "39", "--zone", "Europe/Rome", "--fallback", "ext:1001"])
        try await run(
            [
                "trunk", "add", Self.trunk, "--agent", "voice_default", "--hours", "1-5=09:00-19:00", "--fallback",
                "ring:ring_store_roma01", "--block", "+39069999999",
            ] + trunk)
        await house.process.reload()
        return house
    }

    private static let monday = "ts=2026-11-23T10:00:00%2B01:00"
    private static let sunday = "ts=2026-11-22T10:00:00%2B01:00"

    private func json(_ text: String) throws -> JSONValue { try #require(JSONValue(json: text), "\(text)") }

    @Test("The JSON of requirements 2: the agent in hours, none out of hours, the fallback always")
    func document2() async throws {
        try await withFolder { folder in
            let house = try await self.open(
                folder,
                trunk: [
                    "--language", "it-IT", "--voice", "it-Marta", "--barge-in", "--max-minutes", "8", "--recording",
                    "policy",
                ])
            let path = "/api/voip/ai-routing?sip_domain=clinic.example&trunk_id=\(Self.trunk)&did=+39061234567"
            let (status, text) = try await house.get("\(path)&\(Self.monday)")
            let open = try self.json(text)
            #expect(status == 200 && open["mode"]?.text == "ai" && open["reason"]?.text == "time_window_match")
            #expect(open["tenant_id"]?.text == house.tenant.text)
            let agent = try #require(open["agent"])
            #expect(agent["language"]?.text == "it-IT" && agent["tts_voice"]?.text == "it-Marta")
            #expect(agent["barge_in"]?.flag == true && agent["max_ai_minutes"]?.whole == 8)
            #expect(agent["recording"]?.text == "policy" && agent["token"] == nil)
            let address = try #require(agent["gateway_url"]?.text)
            #expect(address.hasPrefix("ws://\(house.process.mediaAddress)/rt/\(house.tenant.text)?tenantId="))
            #expect(open["fallback"]?["target_type"]?.text == "ring")
            #expect(open["fallback"]?["target_ref"]?.text == "ring_store_roma01")

            let closed = try self.json(try await house.get("\(path)&\(Self.sunday)").text)
            #expect(closed["mode"]?.text == "human" && closed["reason"]?.text == "out_of_hours")
            #expect(closed["agent"] == nil && closed["fallback"] == open["fallback"])
            #expect(closed.members?.map(\.name) == ["tenant_id", "mode", "reason", "fallback"])
            // The number in other spellings, and one that is blocked.
            for (did, reason) in [
                ("0039061234567", "time_window_match"), ("061234567", "time_window_match"),
                ("069999999", "did_blocked"),
                ("%2B39069999999", "did_blocked"),
            ] {
                let answer = try await house.get(
                    "/api/voip/ai-routing?tenant_id=\(house.tenant.text)&trunk_id=\(Self.trunk)&did=\(did)&\(Self.monday)"
                )
                #expect(try self.json(answer.text)["reason"]?.text == reason, "\(did)")
            }
            // A row that somebody broke by hand: its calls go to its fallback, and the log names the column, not the value.
            let database = try SQLiteDatabase(path: folder + "/pronto.db")
            try database.execute("UPDATE voip_trunk_ai_settings SET time_windows = 'rhubarb'")
            await house.process.reload()
            let broken = try self.json(try await house.get("\(path)&\(Self.monday)").text)
            #expect(broken["reason"]?.text == "settings_invalid" && broken["mode"]?.text == "human")
            #expect(broken["fallback"] == open["fallback"])
            #expect(house.lines.all.contains { $0.contains("time_windows") })
            await house.stop()
            for line in house.lines.all { #expect(!line.contains("rhubarb") && !line.contains("061234567")) }

            // Every decision is in the log, with its number as the policy has it.
            let store = try await SQLStore(path: folder + "/pronto.db")
            let log = try await store.activity(of: house.tenant, before: nil, limit: 100)
            #expect(log.count == 7 && Set(log.map(\.reason)).count == 4)
            #expect(log.allSatisfy { $0.did.map { $0.contains("*") } ?? false && $0.trunk == Self.trunk })
            await store.close()
            let shown = try await house.command("activity", "list")
            #expect(shown.contains("did_blocked") && shown.contains("‹redacted›"))
        }
    }

    @Test("The lines of requirements 1, read by the real script, and a call by them has the trunk's parameters")
    func document1() async throws {
        try await withFolder { folder in
            let house = try await self.open(
                folder, ["PRONTO_TOKEN_KEYS": key(3)],
                trunk: ["--voice", "marin-of-roma", "--language", "it-IT", "--max-minutes", "1"])
            let question =
                "/api/freeswitch/ai-routing?tenant_id=\(house.tenant.text)&trunk_id=\(Self.trunk)&call_id=\(Self.call)"
                + "&caller=%2B39333%0AAI_ENABLED%3Dfalse&did=061234567"
            let (status, text) = try await house.get("\(question)&\(Self.monday)")
            #expect(status == 200)
            let variables = try await self.script(text)
            // A line feed in a caller's name is no caller's name: the parameter is refused, and the call is a human's.
            #expect(variables["pronto_ai_enabled"] == "false")
            #expect(variables["pronto_ai_reason"] == "bad_parameter_caller")
            #expect(variables["pronto_failover_ext"] == "ring_store_roma01")

            let fine = try await house.get(
                question.replacing("%0AAI_ENABLED%3Dfalse", with: "%26route%3Dx") + "&\(Self.monday)"
            ).text
            let heard = try await self.script(fine)
            #expect(heard["pronto_ai_enabled"] == "true" && heard["pronto_failover_ext"] == "ring_store_roma01")
            let address = try #require(heard["pronto_ws_url"])
            #expect(address.contains("callId=\(Self.call)&") && address.contains("caller=%2B39333%26route%3Dx&"))
            let token = try #require(heard["pronto_token"])
            #expect(token.hasPrefix("pt2:"))

            var phone = PhoneConfiguration(dialect: .binary, rate: .narrowband)
            phone.ending = .stay
            phone.maximumDuration = .seconds(20)
            let target = PhoneTarget(
                url: "\(address)&token=\(token)&dialect=binary-down&encoding=l16&rate=8000", timeout: .seconds(10))
            let demo = try await DemoPhone.call(phone, target, on: house.phones) { _ in }
            let listen = PhoneStep.waitForAgent(quietFor: .milliseconds(300), timeout: .seconds(10))
            #expect(await demo.perform([listen]) == .done)
            demo.hangUp()
            _ = await demo.result()
            let records = try await house.simulator.records()
            let session = try #require(records.first?.messages.first { $0.contains("\"session.update\"") })
            #expect(session.contains("marin-of-roma"))
            #expect(session.contains(House.prompt))
            await house.stop()
            let id = try #require(CallID(Self.call))
            #expect(try await house.kept(id)?.call.assistant == house.assistant)
        }
    }

    /// What `ai_routing.lua` makes of an answer, under a real Lua.
    private func script(_ answer: String) async throws -> [String: String] {
        let environment = ProcessInfo.processInfo.environment
        let lua = try #require(ChildProgram.find("lua5.2", environment: environment), "scripts/install installs lua5.2")
        return try await withFolderValue { folder in
            let tests = repository().appending(path: "freeswitch/tests").path
            try answer.write(toFile: folder + "/answer", atomically: true, encoding: .utf8)
            try """
            local double = dofile("\(tests)/freeswitch_double.lua")
            double.scripts = "\(tests)/../scripts"
            local file = io.open("\(folder)/answer", "rb")
            local run = double.run("ai_routing.lua", { variables = { curl_response_code = "200",
                curl_response_data = file:read("*a"), pronto_failover_ext = "2000" } })
            for name, value in pairs(run.variables) do
                if name:match("^pronto_") then print(name .. "=" .. value) end
            end
            """.write(toFile: folder + "/read.lua", atomically: true, encoding: .utf8)
            let result = try await ChildProgram.run(lua, [folder + "/read.lua"], environment: environment)
            #expect(result.status == 0, "\(result.errors)")
            let pairs = result.output.split(separator: "\n").map {
                $0.split(separator: "=", maxSplits: 1).map(String.init)
            }
            return Dictionary(uniqueKeysWithValues: pairs.filter { $0.count == 2 }.map { ($0[0], $0[1]) })
        }
    }

    private func withFolderValue<Value>(_ body: (String) async throws -> Value) async throws -> Value {
        var value: Value?
        try await withFolder { folder in value = try await body(folder) }
        return try #require(value)
    }

    @Test("An agent that is its own assistant answers by its id; its prompt is its own")
    func itself() async throws {
        try await withFolder { folder in
            try "Behave like a persimmon.".write(toFile: folder + "/prompt", atomically: true, encoding: .utf8)
            let house = try await self.open(
                folder, agent: ["--prompt-file", folder + "/prompt", "--tools", "end_call"])
            let text = try await house.get(
                "/api/freeswitch/ai-routing?trunk_id=\(Self.trunk)&call_id=\(Self.call)&did=061234567&\(Self.monday)"
            ).text
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("WS_URL=") })
            var phone = PhoneConfiguration(dialect: .binary, rate: .narrowband)
            phone.ending = .stay
            phone.maximumDuration = .seconds(20)
            let target = PhoneTarget(
                url: "\(line.dropFirst(7))&dialect=binary-down&encoding=l16&rate=8000", timeout: .seconds(10))
            let demo = try await DemoPhone.call(phone, target, on: house.phones) { _ in }
            let listen = PhoneStep.waitForAgent(quietFor: .milliseconds(300), timeout: .seconds(10))
            #expect(await demo.perform([listen]) == .done)
            demo.hangUp()
            _ = await demo.result()
            await house.stop()
            let id = try #require(CallID(Self.call))
            let kept = try #require(try await house.kept(id))
            #expect(kept.call.assistant != house.assistant && kept.call.assistant != nil)
        }
    }

    @Test(
        "What is wrong with a question is named: problem+json on one route, AI_ENABLED=false with the field on the other",
        arguments: [
            ("did=anonymous", "did"), ("did=%2B39'%20OR%201=1--", "did"), ("did=+39061&did=+39062", "did"),
            ("did=%ff%fe", "did"), ("did=06%0d%0aX-Evil:%20y", "did"), ("did=06%zz", "did"), ("ts=yesterday", "ts"),
            ("ts=2026-02-29T10:00:00Z", "ts"), ("tenant_id=7", "tenant_id"), ("call_id=a%20b", "call_id"),
            ("call_id=a%0a", "call_id"), ("store_id=%00", "store_id"), ("sip_domain=a%0d%0ab", "sip_domain"),
            ("sip_domain=a;b", "sip_domain"), ("caller=" + String(repeating: "1", count: 65), "caller"),
            ("trunk_id=" + String(repeating: "x", count: 129), "trunk_id"),
            ("x=" + String(repeating: "y", count: 5000), "query"),
            (String(repeating: "a=b&", count: 40), "query"),
        ])
    func wrong(query: String, field: String) async throws {
        try await withFolder { folder in
            let house = try await self.open(folder)
            func path(_ form: String) -> String {
                var base = "/api/\(form)/ai-routing?\(query)"
                if !query.contains("trunk_id") { base += "&trunk_id=\(Self.trunk)" }
                if !query.contains("call_id") { base += "&call_id=\(Self.call)" }
                return base
            }
            let (status, body) = try await house.raw(path("voip"))
            #expect(status == 400, "\(body)")
            let problem = try self.json(body)
            #expect(problem["status"]?.whole == 400 && problem["fields"]?.members?.map(\.name) == [field])
            #expect(problem["mode"]?.text == "human" && problem["reason"]?.text == "bad_parameter")
            #expect(!body.contains("Evil") && !body.contains("OR 1") && !body.contains("yesterday"))
            let (textStatus, text) = try await house.raw(path("freeswitch"))
            #expect(textStatus == 200)
            let lines = text.split(separator: "\n").map(String.init)
            #expect(lines.contains("AI_ENABLED=false") && lines.contains("REASON=bad_parameter_\(field)"), "\(text)")
            // The fallback of the trunk that was named right, else the setting's.
            let wanted =
                ["trunk_id", "query", "store_id", "tenant_id", "sip_domain"].contains(field)
                ? ["1001", "2000", "ring_store_roma01"] : ["ring_store_roma01"]
            #expect(lines.contains { line in wanted.contains { line == "FAILOVER_EXT=\($0)" } }, "\(text)")
            #expect(
                lines.allSatisfy { $0.hasPrefix("AI_ENABLED=") || $0.hasPrefix("REASON=") || $0.hasPrefix("FAILOVER_") }
            )
            await house.stop()
        }
    }

    @Test(
        "Unknown tenants, missing ones, strangers, draining, a full node, and rows that stand while the database is away"
    )
    func others() async throws {
        try await withFolder { folder in
            let house = try await self.open(folder)
            #expect(try await house.get("/api/voip/ai-routing?sip_domain=nobody.example").status == 404)
            let fine = "/api/voip/ai-routing?trunk_id=\(Self.trunk)&did=061234567&\(Self.monday)"
            #expect(try self.json(try await house.get(fine).text)["mode"]?.text == "ai")
            // Without the channel's id there is no address for a stream.
            let text = try await house.get("/api/freeswitch/ai-routing?trunk_id=\(Self.trunk)&\(Self.monday)").text
            #expect(text.contains("AI_ENABLED=false\nREASON=bad_parameter_call_id"))
            let unknown = try self.json(
                try await house.get("/api/voip/ai-routing?sip_domain=clinic.example&trunk_id=x").text)
            #expect(unknown["reason"]?.text == "unknown_trunk" && unknown["fallback"]?["target_ref"]?.text == "1001")
            house.process.gateway.drain()
            #expect(try self.json(try await house.get(fine).text)["reason"]?.text == "draining")
            await house.stop()
        }
        try await withFolder { folder in
            let house = try await House(folder, given: ["PRONTO_ALLOWED_PEERS": "10.9.8.7"])
            let (status, body) = try await house.get("/api/voip/ai-routing?sip_domain=clinic.example")
            #expect(status == 401)
            #expect(try self.json(body)["title"]?.text == "Not authenticated")
            #expect(try await house.get("/api/freeswitch/ai-routing?call_id=\(Self.call)").status == 401)
            await house.stop()
        }
        try await withFolder { folder in
            do {
                let house = try await House(folder, given: ["DEFAULT_TIMEZONE": "Europe/Roma"])
                Issue.record("a zone that does not exist was taken")
                await house.stop()
            } catch { #expect("\(error)".contains("DEFAULT_TIMEZONE")) }
        }
    }

    @Test(
        "When every back end of the assistant is passed over the caller is the human's at once, until one may try again"
    )
    func breaker() async throws {
        try await withFolder { folder in
            let house = try await self.open(
                folder, ["PRONTO_BREAKER_FAILURES": "2", "PRONTO_BREAKER_PAUSE_SECONDS": "1"])
            let path = "/api/voip/ai-routing?trunk_id=\(Self.trunk)&did=061234567&\(Self.monday)"
            func reason() async throws -> String? { try self.json(try await house.get(path).text)["reason"]?.text }
            #expect(try await reason() == "time_window_match")
            let now = EventLoop.freshNow()
            let gateway = house.process.gateway
            gateway.breakerFailed("openai", house.tenant, at: now)
            #expect(try await reason() == "time_window_match")
            // Another tenant's failures are its own.
            let stranger = try #require(TenantID("11111111-2222-3333-4444-555555555555"))
            for _ in 0..<4 { gateway.breakerFailed("openai", stranger, at: now) }
            #expect(try await reason() == "time_window_match")
            // Far ahead, so that a slow machine does not see the pause end.
            gateway.breakerFailed("openai", house.tenant, at: now + .seconds(600))
            #expect(try await reason() == "providers_down")
            gateway.breakerSucceeded("openai", house.tenant)
            #expect(try await reason() == "time_window_match")
            // Half open: the pause is over, and asking makes nobody the probe.
            for _ in 0..<2 { gateway.breakerFailed("openai", house.tenant, at: now - .seconds(5)) }
            #expect(try await reason() == "time_window_match")
            #expect(try await reason() == "time_window_match")
            await house.stop()
        }
    }

    @Test("A running gateway follows what is changed, without being told")
    func follows() async throws {
        try await withFolder { folder in
            let house = try await self.open(folder)
            house.process.start()
            let path = "/api/voip/ai-routing?trunk_id=\(Self.trunk)&did=061234567&\(Self.monday)"
            #expect(try self.json(try await house.get(path).text)["mode"]?.text == "ai")
            _ = try await house.command("trunk", "add", Self.trunk, "--replace", "--disabled")
            var reason: String?
            for _ in 0..<300 where reason != "disabled" {
                try await Task.sleep(for: .milliseconds(50))
                reason = try self.json(try await house.get(path).text)["reason"]?.text
            }
            #expect(reason == "disabled")
            await house.stop()
        }
    }

    @Test("pronto route explains, in text and JSON; wrong options say what is right")
    func command() async throws {
        try await withFolder { folder in
            let house = try await self.open(folder)
            let words = ["--domain", "clinic.example", "--trunk", Self.trunk, "--did", "061234567"]
            func run(_ more: [String]) async throws -> String {
                try await StoreCommands.run("route", words + more, folder: folder, environment: house.environment)
            }
            let text = try await run(["--at", "2026-12-25T20:00:00+01:00"])
            #expect(text.contains("Europe/Rome: Friday 2026-12-25 20:00:00 +01:00"))
            #expect(text.contains("human: out_of_hours") && text.contains("ring ring_store_roma01"))
            let json = try self.json(try await run(["--at", "2026-12-25T10:00:00+01:00", "--json"]))
            #expect(json["mode"]?.text == "ai" && json["steps"]?.elements?.isEmpty == false)
            await #expect(throws: (any Error).self) { try await run(["--at", "Christmas"]) }
            // A calendar takes Christmas out.
            let file = folder + "/festivi.ics"
            try [
                "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", "UID:1", "SUMMARY:Natale",
                "DTSTART;VALUE=DATE:20201225", "RRULE:FREQ=YEARLY", "END:VEVENT", "END:VCALENDAR", "",
            ].joined(separator: "\r\n").write(toFile: file, atomically: true, encoding: .utf8)
            #expect(try await house.command("calendar", "import", file, "--name", "Festivi").hasSuffix("1 dates"))
            #expect(try await house.command("calendar", "show", "Festivi").contains("12-25"))
            _ = try await house.command(
                "trunk", "add", Self.trunk, "--replace", "--calendar", "Festivi")
            let closed = try await run(["--at", "2026-12-25T10:00:00+01:00"])
            #expect(closed.contains("closed: Natale") && closed.contains("exception_closed"))
            for words in [
                ["calendar", "remove", "Festivi"], ["agent", "remove", "voice_default"], ["trunk", "add", Self.trunk],
                ["trunk", "add", "x", "--hours", "1-5=9-19"], ["trunk", "add", "x", "--agent", "nobody"],
                ["trunk", "defaults", "--country", "Italy"], ["calendar", "import", folder + "/none", "--name", "y"],
                ["trunk", "add", "x", "--fallback", "2000"], ["trunk", "remove", "x"], ["activity", "drop"],
            ] {
                await #expect(throws: (any Error).self, "\(words)") {
                    try await StoreCommands.run(
                        words[0], Array(words.dropFirst()), folder: folder, environment: house.environment)
                }
            }
            #expect(try await house.command("trunk", "list").contains("voice_default"))
            #expect(try await house.command("agent", "list").contains("reception"))
            #expect(try await house.command("calendar", "list").contains("Festivi"))
            await house.stop()
        }
    }
}

extension House {
    /// The answer to a request line exactly as it is written here, which URLSession would correct.
    func raw(_ path: String) async throws -> (status: Int, text: String) {
        let result = try await ChildProgram.run(
            "/usr/bin/curl",
            ["-s", "-g", "-w", "\n%{http_code}", "--path-as-is", "http://\(self.process.adminAddress)\(path)"],
            environment: [:])
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
        return (try #require(lines.last.flatMap { Int($0) }), lines.dropLast().joined(separator: "\n"))
    }
}

/// The repository's folder, from this file's place in it.
private func repository() -> URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
}
