import Foundation
import Testing

@testable import pronto

@Suite("The routing question of a dialplan")
struct RoutingAnswerTests {
    private static let call = "a4e5cb5c-0000-4000-8000-0123456789ab"

    @Test("While nobody has rows: AI with an address that the media port takes, in lines that the script reads")
    func ai() async throws {
        try await withFolder { folder in
            let house = try await House(
                folder,
                given: ["PRONTO_AI_ROUTING": "ai", "PRONTO_AI_ROUTING_FAILOVER": "2001", "PRONTO_TOKEN_KEYS": key(3)])
            let path = "/api/freeswitch/ai-routing?call_id=\(Self.call)"
            let (status, text) = try await house.get("\(path)&caller=%2B39%26did%3D7&did=5406594427")
            #expect(status == 200)
            let lines = text.split(separator: "\n").map(String.init)
            #expect(
                lines.count == 7 && lines.contains("TENANT=\(house.tenant.text)") && lines.contains("AI_ENABLED=true")
                    && lines.contains("FAILOVER_EXT=2001"))
            #expect(
                lines.contains(
                    "WS_URL=ws://\(house.process.mediaAddress)/api/voip/ai-gateway/route?callId=\(Self.call)&tenantId=\(house.tenant.text)&did=5406594427&caller=%2B39%26did%3D7"
                ))
            #expect(lines.contains { $0.hasPrefix("TOKEN=pt1:") } && lines.contains("REASON=configured"))
            #expect(try await house.get("\(path)&tenant_id=7").text.contains("REASON=bad_parameter_tenant_id"))
            #expect(try await house.get("/api/freeswitch/ai-routing").text.contains("REASON=bad_parameter_call_id"))
            let stranger = "11111111-2222-3333-4444-555555555555"
            #expect(try await house.get("\(path)&tenant_id=\(stranger)").text.contains("REASON=unknown_tenant"))
            house.process.gateway.drain()
            let leaving = try await house.get(path).text
            #expect(leaving.contains("AI_ENABLED=false") && leaving.contains("REASON=draining"))
            #expect(leaving.contains("FAILOVER_EXT=2001"))
            await house.stop()
        }
    }

    @Test("A human where it is configured so, and where nothing is configured; no stranger is answered")
    func others() async throws {
        try await withFolder { folder in
            let house = try await House(
                folder, given: ["PRONTO_AI_ROUTING": "human", "PRONTO_ALLOWED_PEERS": "10.9.8.7"])
            #expect(try await house.get("/api/freeswitch/ai-routing?call_id=\(Self.call)").status == 401)
            await house.stop()
        }
        for (given, reason) in [(["PRONTO_AI_ROUTING": "human"], "switched-off"), ([:], "no_settings")] {
            try await withFolder { folder in
                let house = try await House(folder, given: given)
                let (status, text) = try await house.get("/api/freeswitch/ai-routing?call_id=\(Self.call)")
                #expect(status == 200 && text.contains("AI_ENABLED=false") && text.contains("REASON=\(reason)"))
                #expect(text.contains("FAILOVER_EXT=2000"))
                await house.stop()
            }
        }
    }

    @Test("A wrong setting stops the start and says what is right")
    func settings() async throws {
        for (name, value) in [
            ("PRONTO_AI_ROUTING_URL", "http://127.0.0.1"), ("PRONTO_AI_ROUTING_URL", "ws://h/path"),
            ("PRONTO_AI_ROUTING_FAILOVER", "20 00"),
        ] {
            try await withFolder { folder in
                do {
                    let house = try await House(folder, given: ["PRONTO_AI_ROUTING": "ai", name: value])
                    Issue.record("\(name)=\(value) was taken")
                    await house.stop()
                } catch { #expect("\(error)".contains(name)) }
            }
        }
    }
}
