import Foundation
import Networking
import Records
import Telephony
import Testing

@testable import AdminAPI

@Suite("No route shows or changes another tenant's data")
struct TenantCrossingTests {
    /// A body that each route with one takes.
    private static func body(_ route: APIRoute, _ company: APIUnderTest.Company) -> JSONValue? {
        switch route.name {
        case "putAssistant": ["name": "crossed"]
        case "putDestination": ["name": "crossed", "number": "1002", "context": "default"]
        case "putProvider": ["secret": "crossed"]
        case "putRetention", "putLimits", "putAudio": [:]
        case "createToken": ["name": "crossed", "role": "viewer"]
        case "putSigningKey":
            [
                "key": [
                    "kty": "oct", "alg": "HS256", "kid": .string("key-\(company.mark)"),
                    "k": .string(String(repeating: "A", count: 43)),
                ]
            ]
        case "transferCall": ["destination": .string(company.destination.text)]
        default: route.body == nil ? nil : .object([])
        }
    }

    /// The route's path with the ids of one company.
    private static func path(_ route: APIRoute, _ company: APIUnderTest.Company) -> String {
        route.path.replacing("{assistant}", with: company.assistant.text)
            .replacing("{destination}", with: company.destination.text)
            .replacing(
                "{call}",
                with: route.path.hasPrefix("/api/calls/") ? company.live.text : company.call.text
            )
            .replacing("{conversation}", with: company.conversation.text)
            .replacing("{kind}/{provider}", with: "realtime/openai")
            .replacing("{id}", with: company.token.text).replacing("{kid}", with: "key-\(company.mark)")
            .replacing("{number}", with: "%2B39061234567")
    }

    /// All that the second company has, as its own administrator sees it.
    private static func view(_ api: APIUnderTest) async throws -> [String: String] {
        var view: [String: String] = [:]
        for route in api.routes where route.method == .get {
            guard case .tenant = route.access else { continue }
            view[route.name] = try await api.ask("GET", Self.path(route, api.two), token: api.tokens.other).text
        }
        return view
    }

    @Test("Every declared route, with another tenant's ids and with another tenant named")
    func everyRoute() async throws {
        try await APIUnderTest.run { api in
            let before = try await Self.view(api)
            #expect(before["getConversation"]?.contains("words mark222") ?? false)
            var crossed = 0
            for route in api.routes {
                guard case .tenant = route.access else { continue }
                crossed += 1
                let body = Self.body(route, api.two)
                #expect((body == nil) == (route.body == nil), "\(route.name)")
                // By its ids: whatever it answers, nothing of the other is in it, and nothing of the other changes.
                let path = Self.path(route, api.two)
                let byID = try await api.ask(route.method.rawValue, path, token: api.tokens.admin, body: body)
                #expect(
                    !byID.text.contains("mark222") || byID.text.contains("key-mark222"), "\(route.name): \(byID.text)")
                let hasOwn = route.path.contains("{") && route.method != .put && route.name != "forgetCaller"
                // Slugs and key ids are each tenant's own names: the same one is another thing.
                if hasOwn, !route.path.contains("{kind}"), !route.path.contains("{kid}") {
                    #expect(byID.status == 404, "\(route.name): \(byID.text)")
                }
                // By naming it.
                let named = try await api.ask(
                    route.method.rawValue, path + "?tenant=\(api.two.tenant.text)", token: api.tokens.admin, body: body)
                #expect(named.status == 403, "\(route.name): \(named.text)")
                #expect(!named.text.contains("mark222"))
            }
            #expect(crossed > 25)
            let after = try await Self.view(api)
            #expect(after == before)
            // The same caller of the other tenant stays, and so does the recording.
            #expect(before["getCallRecord"]?.contains("+39061234567") ?? false)
            #expect(before["getRecording"] == "recording of mark222")
            #expect(api.desk.count == 2)
        }
    }

    @Test("Without a credential, or with one that is not good, every route but the open ones says 401")
    func everyRouteNeedsAuthentication() async throws {
        try await APIUnderTest.run { api in
            for route in api.routes where route.access != .open {
                let path = Self.path(route, api.one)
                for token in [
                    nil, "pronto_" + String(repeating: "A", count: 43), api.tokens.revoked, api.tokens.expired,
                ] {
                    let answer = try await api.ask(
                        route.method.rawValue, path, token: token, body: Self.body(route, api.one))
                    #expect(answer.status == 401 || answer.status == 429, "\(route.name)")
                    #expect(!answer.text.contains("mark111"))
                    #expect(answer.headers["Content-Type"] == "application/problem+json")
                    if answer.status == 401 {
                        #expect(answer.headers["WWW-Authenticate"]?.hasPrefix("Bearer") ?? false)
                    }
                }
            }
        }
    }

    @Test("A lower role is refused by every route that asks for a higher one")
    func everyRouteHasItsRole() async throws {
        try await APIUnderTest.run { api in
            for route in api.routes {
                guard case .tenant(let role) = route.access else { continue }
                for (token, has) in [(api.tokens.viewer, AccessRole.viewer), (api.tokens.operator, .operator)]
                where has < role {
                    let answer = try await api.ask(
                        route.method.rawValue, Self.path(route, api.one), token: token,
                        body: Self.body(route, api.one))
                    #expect(answer.status == 403, "\(route.name) with \(has)")
                }
            }
            for route in api.routes {
                guard case .installation = route.access else { continue }
                #expect(try await api.ask(route.method.rawValue, route.path, token: api.tokens.admin).status == 403)
            }
            #expect(try await api.ask("PUT", "/api/limits", token: api.tokens.admin, body: [:]).status == 403)
        }
    }

    @Test("An installation's credential names the tenant, and one that exists")
    func installation() async throws {
        try await APIUnderTest.run { api in
            let token = api.tokens.installation
            #expect(try await api.ask("GET", "/api/cdr", token: token).status == 400)
            let other = "00000000-0000-4000-8000-00000000ffff"
            #expect(try await api.ask("GET", "/api/cdr?tenant=\(other)", token: token).status == 404)
            let two = try await api.ask("GET", "/api/cdr?tenant=\(api.two.tenant.text)", token: token)
            #expect(two.text.contains("mark222") && !two.text.contains("mark111"))
        }
    }

    @Test("Nothing that is secret comes out, by any route")
    func secrets() async throws {
        try await APIUnderTest.run { api in
            for route in api.routes where route.method == .get {
                let answer = try await api.ask("GET", Self.path(route, api.one), token: api.tokens.admin)
                for secret in ["secret mark111", "hash mark111", "\"k\":"] {
                    #expect(!answer.text.contains(secret), "\(route.name)")
                }
            }
            let path = "/api/providers/realtime/openai"
            let put = try await api.ask(
                "PUT", path, token: api.tokens.admin, body: ["secret": "fresh secret", "config": ["model": "m"]])
            #expect(put.status == 200 && put.json["has_secret"] == true && !put.text.contains("fresh secret"))
            // Without a secret the one that is kept stays.
            #expect(try await api.ask("PUT", path, token: api.tokens.admin, body: [:]).status == 200)
            let account = try await api.store.account(.openAI, kind: .realtime, of: api.one.tenant)
            #expect(account?.secret?.value == "fresh secret")
        }
    }
}
