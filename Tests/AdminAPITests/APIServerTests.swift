import Foundation
import Networking
import Records
import Telephony
import Testing

@testable import AdminAPI

@Suite("The API's server: methods, bodies, limits, deadlines")
struct APIServerTests {
    @Test("A declared path answers every other method with 405 and what it takes")
    func methods() async throws {
        try await APIUnderTest.run { api in
            for path in Set(api.routes.map(\.path)) where !path.contains("{") {
                let taken = Set(api.routes.filter { $0.path == path }.map(\.method.rawValue))
                for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"] where !taken.contains(method) {
                    let answer = try await api.ask(method, path, token: api.tokens.admin)
                    #expect(answer.status == 405, "\(method) \(path)")
                    let allowed = Set(
                        (answer.headers["Allow"] ?? "").split(separator: ",").map { $0.filter { $0 != " " } })
                    #expect(allowed == taken.union(taken.contains("GET") ? ["HEAD", "OPTIONS"] : ["OPTIONS"]))
                }
                #expect(try await api.ask("OPTIONS", path).status == 204)
            }
            let head = try await api.ask("HEAD", "/api/cdr", token: api.tokens.viewer)
            #expect(head.status == 200 && head.body.isEmpty)
            let lost = try await api.ask("GET", "/api/nowhere", token: api.tokens.admin)
            #expect(lost.status == 404 && lost.headers["Content-Type"] == "application/problem+json")
        }
    }

    @Test(
        "Parameters that are not right are named",
        arguments: [
            ("/api/cdr?limit=0", "query.limit"), ("/api/cdr?limit=1.5", "query.limit"),
            ("/api/cdr?limit=1&limit=2", "query.limit"), ("/api/cdr?from=yesterday", "query.from"),
            ("/api/cdr?fault=mine", "query.fault"), ("/api/cdr?nothing=1", "query.nothing"),
            ("/api/cdr?caller=%FF", "query"), ("/api/cdr?caller=1%27%20OR%201=1--", "query.caller"),
            ("/api/cdr?did=%0d%0aX-Evil:%201", "query.did"), ("/api/cdr?tenant=__proto__", "query.tenant"),
            ("/api/conversations?call=a%20b", "query.call"), ("/api/assistants/not-a-uuid", "path.assistant"),
            ("/api/cdr/a%20b", "path.call"),
        ])
    func parameters(path: String, field: String) async throws {
        try await APIUnderTest.run { api in
            let answer = try await api.ask("GET", path, token: api.tokens.viewer)
            #expect(answer.status == 400)
            #expect(answer.json["errors"]?.elements?.contains { $0["field"]?.text == field } ?? false, "\(answer.text)")
            #expect(answer.headers["X-Evil"] == nil)
        }
    }

    @Test("Bodies: no JSON, another type, unknown and missing fields, too large")
    func bodies() async throws {
        try await APIUnderTest.run { api in
            let path = "/api/assistants/\(api.one.assistant.text)"
            let json = [(name: "Content-Type", value: "application/json")]
            let token = [(name: "Authorization", value: "Bearer \(api.tokens.admin)")]
            func put(_ body: JSONValue) async throws -> HTTPResponse {
                try await api.ask("PUT", path, token: api.tokens.admin, body: body)
            }
            #expect(try await api.ask("PUT", path, headers: token).status == 415)
            #expect(try await api.ask("PUT", path, headers: token + json).status == 400)
            for (body, field) in [
                ([:], "body.name"), (["name": "a", "nothing": 1], "body.nothing"), (["name": 7], "body.name"),
                (["name": "a", "turn_threshold": 2], "body.turn_threshold"),
                // What the realtime services refuse.
                (["name": "a", "turn_silence_ms": 99], "body.turn_silence_ms"),
                (["name": "a", "turn_silence_ms": 5001], "body.turn_silence_ms"),
                (["name": "a", "turn_prefix_ms": 2001], "body.turn_prefix_ms"),
                (
                    ["name": "a", "topics": [["name": "b", "phrases": [""], "answer": "c"]]],
                    "body.topics[0].phrases[0]"
                ),
                (["name": "a\u{7}"], "body.name"), ([], "body"),
            ] as [(JSONValue, String)] {
                let answer = try await put(body)
                #expect(answer.status == 422)
                #expect(
                    answer.json["errors"]?.elements?.contains { $0["field"]?.text == field } ?? false, "\(answer.text)")
            }
            let large = try await put(["name": .string(String(repeating: "x", count: 600_000))])
            #expect(large.status == 413)
            // A name that is another assistant's.
            let twin = try await api.ask(
                "PUT", "/api/assistants/00000000-0000-4000-8000-0000000000aa", token: api.tokens.admin,
                body: ["name": .string("assistant \(api.one.mark)")])
            #expect(twin.status == 409)
        }
    }

    @Test("What is put is what is got, for every field of an assistant and a destination")
    func roundTrip() async throws {
        try await APIUnderTest.run { api in
            let assistant: JSONValue = [
                "name": "Àida", "number": "8123", "language": "it-IT", "enabled": false, "mode": "auto",
                "instructions": "Rispondi.\nSempre.", "greeting": "Pronto", "farewell": "Ciao",
                "caller_speaks_first": true, "providers": ["openai", "local"], "voice": "marin", "model": "m",
                "max_output_tokens": 100, "turn_detection": "semantic_vad", "turn_eagerness": "high",
                "turn_threshold": 0.5, "turn_silence_ms": 700, "turn_prefix_ms": 200, "barge_in": false,
                "barge_in_resume_ms": 400, "no_input": false, "no_input_ms": 9000, "no_input_action": "hangup",
                "no_input_prompts": ["Ci sei?"], "no_input_retries": 1, "idle_timeout_s": 60, "max_duration_s": 600,
                "recording": true, "fallback": ["number": "2000", "context": "one.example"], "tools": ["end_call"],
                "topics": [["name": "hours", "phrases": ["orari"], "answer": "Dalle nove."]],
            ]
            let id = "00000000-0000-4000-8000-0000000000bb"
            let path = "/api/assistants/\(id)"
            let put = try await api.ask("PUT", path, token: api.tokens.admin, body: assistant)
            #expect(put.status == 200)
            let got = try await api.ask("GET", path, token: api.tokens.viewer).json
            for member in assistant.members ?? [] { #expect(got[member.name] == member.value, "\(member.name)") }
            let destination: JSONValue = [
                "name": "sales", "number": "+3906", "context": "one.example", "assistant": .string(id),
                "aliases": ["vendite"], "department": "Sales", "role": "r", "summary": "s", "kind": "queue",
                "ring_seconds": 20, "priority": 3, "default": true, "enabled": false,
            ]
            let place = "/api/destinations/00000000-0000-4000-8000-0000000000cc"
            #expect(try await api.ask("PUT", place, token: api.tokens.admin, body: destination).status == 200)
            let there = try await api.ask("GET", place, token: api.tokens.viewer).json
            for member in destination.members ?? [] { #expect(there[member.name] == member.value, "\(member.name)") }
            #expect(try await api.ask("DELETE", path, token: api.tokens.admin).status == 204)
            #expect(try await api.ask("GET", path, token: api.tokens.viewer).status == 404)
        }
    }

    @Test("Every answer is what the document says of it")
    func answersFitTheirSchemas() async throws {
        try await APIUnderTest.run { api in
            let document = try await api.ask("GET", "/api/openapi.json").json
            #expect(document["openapi"] == "3.1.0")
            var checked = 0
            for route in api.routes where route.method == .get && route.name != "getRecording" {
                let path = route.path.replacing("{assistant}", with: api.one.assistant.text)
                    .replacing("{destination}", with: api.one.destination.text)
                    .replacing("{call}", with: api.one.call.text)
                    .replacing("{conversation}", with: api.one.conversation.text)
                    .replacing("{kind}/{provider}", with: "realtime/openai")
                let token = route.access == .installation(.viewer) ? api.tokens.installation : api.tokens.admin
                let answer = try await api.ask("GET", path, token: token)
                #expect(answer.status == 200, "\(route.name): \(answer.text)")
                var problems: [APIProblem.Field] = []
                try #require(route.answers.first?.schema).check(answer.json, at: "answer", &problems)
                #expect(problems.isEmpty, "\(route.name): \(problems)")
                #expect(document[["paths", route.path, "get", "operationId"]]?.text == route.name)
                checked += 1
            }
            #expect(checked > 15)
        }
    }

    @Test("Pages follow each other without a gap or a repetition, whatever is written meanwhile")
    func pages() async throws {
        try await APIUnderTest.run { api in
            let tenant = api.one.tenant
            func finish(_ name: String, at seconds: Double) async throws {
                let start = Date(timeIntervalSince1970: 1_770_000_000 + seconds)
                let id = try #require(CallID(name))
                let call = CallRecord(
                    id: id, tenant: tenant, startedAt: start, endedAt: start, termination: .farewell)
                try await api.store.finish(FinishedCall(call: call), of: tenant)
            }
            // Three at the same millisecond: the id decides.
            for number in 0..<7 { try await finish("page-\(number)", at: Double(number / 3)) }
            var (seen, cursor, rounds): ([String], String?, Int) = ([], nil, 0)
            repeat {
                let next = cursor.map { "&cursor=\($0)" } ?? ""
                let answer = try await api.ask(
                    "GET", "/api/cdr?limit=2&reason=farewell\(next)", token: api.tokens.viewer)
                seen += answer.json["items"]?.elements?.compactMap { $0["call"]?.text } ?? []
                cursor = answer.json["next"]?.text
                try await finish("later-\(rounds)", at: 1000 + Double(rounds))
                rounds += 1
            } while cursor != nil && rounds < 20
            #expect(seen == ["page-6", "page-3", "page-4", "page-5", "page-0", "page-1", "page-2"])
            // A cursor of another's, or of nobody's.
            #expect(try await api.ask("GET", "/api/cdr?cursor=AAAA", token: api.tokens.viewer).status == 404)
        }
    }

    @Test("CSV: all rows, no formula")
    func csv() async throws {
        try await APIUnderTest.run { api in
            for headers in [[], [(name: "Accept", value: "text/csv")]] {
                let path = headers.isEmpty ? "/api/cdr?format=csv" : "/api/cdr"
                let answer = try await api.ask("GET", path, token: api.tokens.viewer, headers: headers)
                #expect(answer.headers["Content-Type"]?.hasPrefix("text/csv") ?? false)
                let lines = answer.text.split(separator: "\r\n")
                #expect(lines.count == 2 && lines[0].hasPrefix("call,start,"))
                #expect(lines[1].contains(",'=cmd|mark111,") && lines[1].contains(",+39061234567,"))
            }
        }
    }

    @Test("A recording: whole, in part, beyond its end, and never outside the tenant's folder")
    func recordings() async throws {
        try await APIUnderTest.run { api in
            let path = "/api/cdr/\(api.one.call.text)/recording"
            func get(_ range: String? = nil) async throws -> HTTPResponse {
                try await api.ask(
                    "GET", path, token: api.tokens.viewer, headers: range.map { [("Range", $0)] } ?? [])
            }
            let whole = try await get()
            #expect(whole.status == 200 && whole.text == "recording of mark111")
            #expect(whole.headers["Content-Length"] == "20" && whole.headers["Content-Type"] == "audio/wav")
            let part = try await get("bytes=13-19")
            #expect(part.status == 206 && part.text == "mark111")
            #expect(part.headers["Content-Range"] == "bytes 13-19/20")
            #expect(try await get("bytes=-7").text == "mark111")
            #expect(try await get("bytes=20-").status == 416)
            #expect(try await get("lines=1-2").status == 200)
            // Rows that somebody wrote by hand.
            for (number, target) in [
                "/etc/passwd", "\(api.folder)/\(api.two.tenant.text)/\(api.two.call.text)-1.wav",
                "\(api.folder)/\(api.one.tenant.text)/../pronto.db", "\(api.folder)/\(api.one.tenant.text)/link.wav",
                "\(api.folder)/\(api.one.tenant.text)", "",
            ].enumerated() {
                try? FileManager.default.createSymbolicLink(
                    atPath: "\(api.folder)/\(api.one.tenant.text)/link.wav", withDestinationPath: "/etc/passwd")
                let start = Date(timeIntervalSince1970: 1_780_000_000)
                var call = CallRecord(
                    id: try #require(CallID("hand-\(number)")), tenant: api.one.tenant, startedAt: start,
                    endedAt: start, termination: .farewell)
                call.recording = target
                try await api.store.finish(FinishedCall(call: call), of: api.one.tenant)
                let answer = try await api.ask("GET", "/api/cdr/hand-\(number)/recording", token: api.tokens.viewer)
                #expect(answer.status == 404, "\(target)")
            }
        }
    }

    @Test("Operators hang up and hand over, to the tenant's own destinations only")
    func liveCalls() async throws {
        try await APIUnderTest.run { api in
            let path = "/api/calls/\(api.one.live.text)"
            let other = try await api.ask(
                "POST", path + "/transfer", token: api.tokens.operator,
                body: ["destination": .string(api.two.destination.text)])
            #expect(other.status == 404 && api.desk.transfers.withLock { $0.isEmpty })
            let own = try await api.ask(
                "POST", path + "/transfer", token: api.tokens.operator,
                body: ["destination": .string(api.one.destination.text)])
            #expect(own.status == 202 && api.desk.transfers.withLock { $0.first?.1.number.value } == "1001")
            #expect(try await api.ask("POST", path + "/hangup", token: api.tokens.operator).status == 204)
            #expect(try await api.ask("POST", path + "/hangup", token: api.tokens.operator).status == 404)
        }
    }

    @Test("One client's requests are counted, with the time to wait; another's are its own")
    func rateLimit() async throws {
        try await APIUnderTest.run(rate: Rate(perSecond: 0.1, burst: 3)) { api in
            for _ in 0..<3 { #expect(try await api.ask("GET", "/api/me", token: api.tokens.viewer).status == 200) }
            let limited = try await api.ask("GET", "/api/me", token: api.tokens.viewer)
            #expect(limited.status == 429)
            let wait = try #require(limited.headers["Retry-After"].flatMap { Int($0) })
            #expect((1...10).contains(wait))
            #expect(try await api.ask("GET", "/api/me", token: api.tokens.admin).status == 200)
        }
    }

    @Test("An answer that takes too long is 503, and nobody waits for it")
    func deadline() async throws {
        var limits = APIServer.Limits()
        limits.deadline = .milliseconds(100)
        let slow = APIRoute(.get, "/api/slow", .open, name: "slow", "Slow.", answers: [.done]) { _ in
            // Ends by cancellation, at the deadline.
            try? await Task.sleep(for: .seconds(60))
            return .done
        }
        try await APIUnderTest.run(limits: limits, more: [slow]) { api in
            let answer = try await api.ask("GET", "/api/slow")
            #expect(answer.status == 503 && answer.headers["Retry-After"] != nil)
        }
    }

    @Test("A token is made, shown once, used, and revoked at once")
    func tokens() async throws {
        try await APIUnderTest.run { api in
            let made = try await api.ask(
                "POST", "/api/tokens", token: api.tokens.admin, body: ["name": "n", "role": "viewer", "lifetime_s": 60])
            #expect(made.status == 201)
            let text = try #require(made.json["token"]?.text)
            let id = try #require(made.json["id"]?.text)
            #expect(try await api.ask("GET", "/api/me", token: text).json["role"] == "viewer")
            #expect(try await !api.ask("GET", "/api/tokens", token: api.tokens.admin).text.contains(text))
            #expect(try await api.ask("DELETE", "/api/tokens/\(id)", token: api.tokens.admin).status == 204)
            #expect(try await api.ask("GET", "/api/me", token: text).status == 401)
        }
    }

    @Test("Metrics are for loopback, and for tokens of the installation where a proxy was between")
    func metrics() async throws {
        try await APIUnderTest.run { api in
            let proxied = [(name: "X-Forwarded-For", value: "10.0.0.1")]
            #expect(try await api.ask("GET", "/metrics").status == 200)
            #expect(try await api.ask("GET", "/metrics", headers: proxied).status == 401)
            #expect(try await api.ask("GET", "/metrics", token: api.tokens.admin, headers: proxied).status == 403)
            let shown = try await api.ask("GET", "/metrics", token: api.tokens.installation, headers: proxied)
            #expect(shown.status == 200)
            #expect(try await api.ask("GET", "/health", headers: proxied).status == 200)
        }
    }
}
