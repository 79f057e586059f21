import Foundation
import Networking
import Records
import Telephony
import Testing

@testable import AdminAPI

@Suite("What a tenant may use, how long its records are kept, how its calls bring their audio")
struct PolicyRouteTests {
    @Test("Each is set by itself and leaves the others as they are")
    func apart() async throws {
        try await APIUnderTest.run { api in
            func put(_ path: String, _ token: String, _ body: JSONValue) async throws -> HTTPResponse {
                try await api.ask("PUT", path, token: token, body: body)
            }
            let company = "?tenant=\(api.one.tenant.text)"
            #expect(try await put("/api/audio", api.tokens.admin, ["mode": "rtp"]).json == ["mode": "rtp"])
            #expect(try await put("/api/retention", api.tokens.admin, ["calls": 30]).status == 200)
            #expect(try await put("/api/limits" + company, api.tokens.installation, ["calls": 2]).status == 200)
            let policy = try await api.store.policy(of: api.one.tenant)
            #expect(
                policy
                    == TenantPolicy(limits: TenantLimits(calls: 2), retention: Retention(calls: 30), audio: .rtp))
        }
    }

    @Test("The audio mode: as the setting names them, null for the installation's, and nothing else")
    func audio() async throws {
        try await APIUnderTest.run { api in
            func audio(_ body: JSONValue, _ token: String, _ path: String = "/api/audio") async throws -> HTTPResponse {
                try await api.ask("PUT", path, token: token, body: body)
            }
            for mode in ["esl", "rtp", "dual", "websocket"] {
                #expect(try await audio(["mode": .string(mode)], api.tokens.admin).status == 200)
                let read = try await api.ask("GET", "/api/audio", token: api.tokens.viewer)
                #expect(read.status == 200 && read.json == ["mode": .string(mode)])
            }
            for wrong: JSONValue in [["mode": "smoke"], ["mode": 1], ["mode": ""], ["audio": "rtp"], ["mode": "RTP"]] {
                #expect(try await audio(wrong, api.tokens.admin).status == 422, "\(wrong)")
            }
            #expect(try await audio(["mode": "esl"], api.tokens.operator).status == 403)
            #expect(try await api.store.policy(of: api.one.tenant).audio == .websocket)
            let there = "/api/audio?tenant=\(api.two.tenant.text)"
            #expect(try await audio(["mode": "dual"], api.tokens.installation, there).status == 200)
            #expect(try await api.store.policy(of: api.two.tenant).audio == .dual)
            #expect(try await audio(["mode": .null], api.tokens.admin).json == ["mode": .null])
            #expect(try await api.store.policy(of: api.one.tenant).audio == nil)
            #expect(try await api.ask("GET", "/api/audio", token: api.tokens.viewer).json == ["mode": .null])
            let document = try await api.ask("GET", "/api/openapi.json", token: nil)
            #expect(document.text.contains("\"/api/audio\"") && document.text.contains("putAudio"))
        }
    }
}
