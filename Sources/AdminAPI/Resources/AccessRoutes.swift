import Records
import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Who asks: the asker itself, the tenants, API tokens, and the keys of signed tokens.
extension APIBackEnd {
    private static let role = APISchema.word(AccessRole.allCases.map(\.rawValue))
    private static let key = APISchema.object([
        APIField("kid", .text(.keyID)), APIField("alg", .word(["HS256", "RS256", "ES256"])),
        APIField("kty", .plain(1...8)), APIField("use", .plain(1...8)),
        APIField("n", .prose(1...2000), required: false), APIField("e", .prose(1...2000), required: false),
        APIField("crv", .plain(1...16), required: false), APIField("x", .prose(1...2000), required: false),
        APIField("y", .prose(1...2000), required: false),
    ])

    var accessRoutes: [APIRoute] {
        [
            APIRoute(
                .get, "/api/jwks.json", .open, name: "getKeys",
                "The public halves of the keys that sign our tokens (RFC 7517 §5).",
                answers: [APIAnswer(200, .object([APIField("keys", .list(Self.key, atMost: 1000))]), "The keys.")]
            ) { _ in .json(self.publicKeys()) },
            APIRoute(
                .get, "/api/me", .anyCredential, name: "getAsker", "What the credential is good for.",
                answers: [
                    APIAnswer(
                        200,
                        .object([
                            APIField("tenant", .nullable(.uuid), "null: the installation"),
                            APIField("role", Self.role), APIField("trunk", .nullable(.prose(1...128))),
                            APIField("routing_only", .flag, "Good for the routing question only"),
                        ]), "The asker.")
                ]
            ) { asked in
                .json([
                    "tenant": .of(asked.asker.tenant?.text), "role": .string(asked.asker.role.rawValue),
                    "trunk": .of(asked.asker.trunk), "routing_only": .bool(asked.asker.asksRoutingOnly),
                ])
            },
            APIRoute(
                .get, "/api/tenants", .installation(.viewer), name: "listTenants", "Every tenant, by name.",
                answers: [
                    APIAnswer(
                        200,
                        .object([
                            APIField(
                                "items",
                                .list(
                                    .object([
                                        APIField("id", .uuid), APIField("name", .prose(0...1024)),
                                        APIField("enabled", .flag),
                                    ]), atMost: 1_000_000))
                        ]), "All of them.")
                ]
            ) { _ throws(APIProblem) in
                let all = try await self.ask { store throws(StoreError) in try await store.tenants() }
                return .json([
                    "items": .array(
                        all.map {
                            ["id": .string($0.id.text), "name": .string($0.name), "enabled": .bool($0.isEnabled)]
                        })
                ])
            },
        ]
    }

    // MARK: API tokens

    private static let tokenSchema = APISchema.named(
        "Token",
        .object([
            APIField("id", .uuid), APIField("name", .prose(0...1024)), APIField("role", role),
            APIField("prefix", .plain(1...32), "The token's first characters"), APIField("created", .moment),
            APIField("expires", .nullable(.moment)), APIField("last_used", .nullable(.moment), "To the minute"),
            APIField("revoked", .nullable(.moment)),
            APIField("token", .plain(1...128), required: false, "The token itself: in the answer that made it only"),
        ]))

    private static let signingKeySchema = APISchema.named("SigningKey", .object([APIField("kid", .text(.keyID))]))

    var tokenRoutes: [APIRoute] {
        [
            APIRoute(
                .get, "/api/tokens", .tenant(.admin), name: "listTokens",
                "The tenant's API tokens, oldest first; never the tokens themselves.",
                answers: [
                    APIAnswer(
                        200, .object([APIField("items", .list(Self.tokenSchema, atMost: 100_000))]), "All of them.")
                ]
            ) { asked throws(APIProblem) in
                let tenant = try asked.tenant()
                let all = try await self.ask { store throws(StoreError) in try await store.apiTokens(of: tenant) }
                return .json(["items": .array(all.map { .object(Self.members($0)) })])
            },
            APIRoute(
                .post, "/api/tokens", .tenant(.admin), name: "createToken",
                "Makes an API token of the tenant. The answer shows it once.",
                body: .object([
                    APIField("name", .plain(1...128)), APIField("role", Self.role),
                    .optional("lifetime_s", .whole(60...315_360_000), "null: until it is revoked"),
                ]),
                answers: [APIAnswer(201, Self.tokenSchema, "The token. Keep it: it is not shown again.")]
            ) { asked throws(APIProblem) in try await self.createToken(asked) },
            APIRoute(
                .delete, "/api/tokens/{id}", .tenant(.admin), name: "revokeToken",
                "Revokes an API token, at once.",
                parameters: [APIParameter(.path, "id", .uuid, "The token's id.")], answers: [.done]
            ) { asked throws(APIProblem) in
                let (tenant, id) = (try asked.tenant(), try asked.path("id") { APITokenID($0) })
                let now = self.now()
                let wasThere = try await self.ask { store throws(StoreError) in
                    try await store.revokeAPIToken(id, of: tenant, at: now)
                }
                self.tokenRevoked(id)
                guard wasThere else { throw .notFound("The tenant has no such token, or it is revoked.") }
                return .done
            },
            APIRoute(
                .get, "/api/signing-keys", .tenant(.admin), name: "listSigningKeys",
                "The ids of the keys that the tenant's own systems sign tokens with.",
                answers: [
                    APIAnswer(
                        200, .object([APIField("items", .list(Self.signingKeySchema, atMost: 100_000))]),
                        "All of them.")
                ]
            ) { asked throws(APIProblem) in
                let tenant = try asked.tenant()
                let all = try await self.ask { store throws(StoreError) in try await store.signingKeys(of: tenant) }
                return .json(["items": .array(all.map { ["kid": .string($0.id)] })])
            },
            APIRoute(
                .put, "/api/signing-keys/{kid}", .tenant(.admin), name: "putSigningKey",
                "Takes a key (RFC 7517) that the tenant's tokens are verified with: a public one, or an HS256 secret.",
                parameters: [APIParameter(.path, "kid", .text(.keyID), "The key's id, as its `kid`.")],
                body: .object([APIField("key", .anyObject, "A JSON Web Key with kid and alg").writeOnly]),
                answers: [APIAnswer(200, Self.signingKeySchema, "Kept, encrypted.")]
            ) { asked throws(APIProblem) in try await self.putSigningKey(asked) },
            APIRoute(
                .delete, "/api/signing-keys/{kid}", .tenant(.admin), name: "deleteSigningKey",
                "Removes a key: its tokens are good no longer.",
                parameters: [APIParameter(.path, "kid", .text(.keyID), "The key's id.")], answers: [.done]
            ) { asked throws(APIProblem) in
                let (tenant, id) = (try asked.tenant(), try asked.path("kid") { $0 })
                let wasThere = try await self.ask { store throws(StoreError) in
                    try await store.removeSigningKey(id, of: tenant)
                }
                guard wasThere else { throw .notFound("The tenant has no such key.") }
                await self.changed()
                return .done
            },
        ]
    }

    private func createToken(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let tenant = try asked.tenant()
        let role = asked.body["role"]?.text.flatMap { AccessRole(rawValue: $0) } ?? .viewer
        let expiry = asked.body["lifetime_s"].flatMap(APISchema.whole).map { self.now().addingTimeInterval(Double($0)) }
        let made: (text: Redacted<String>, token: APIToken)
        do throws(StoreError) {
            made = try self.makeToken(tenant, asked.body["name"]?.text ?? "", role, expiry)
        } catch {
            throw APIProblem(error)
        }
        try await self.ask { store throws(StoreError) in try await store.add(made.token) }
        return .json(
            .object(Self.members(made.token) + [.init("token", .string(made.text.value))]), status: 201)
    }

    private func putSigningKey(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let (tenant, id) = (try asked.tenant(), try asked.path("kid") { $0 })
        let text = asked.body["key"]?.json ?? ""
        switch self.readKey(text, tenant) {
        case .failure(let refusal):
            // No schema can say what a sound key is.
            throw .conflict("body.key: \(refusal.detail).")
        case .success(let kid):
            guard kid == id else { throw .conflict("body.key.kid: the key's kid is not the one of the path.") }
        }
        let now = self.now()
        try await self.ask { store throws(StoreError) in
            try await store.save(SigningKeyRecord(tenant: tenant, id: id, key: Redacted(text)), of: tenant, at: now)
        }
        await self.changed()
        return .json(["kid": .string(id)])
    }

    private static func members(_ token: APIToken) -> [JSONValue.Member] {
        [
            .init("id", .string(token.id.text)), .init("name", .string(token.name)),
            .init("role", .string(token.role.rawValue)), .init("prefix", .string(token.prefix)),
            .init("created", .of(token.createdAt)), .init("expires", .of(token.expiresAt)),
            .init("last_used", .of(token.lastUsedAt)), .init("revoked", .of(token.revokedAt)),
        ]
    }
}

extension TextRule {
    static let keyID = TextRule.ascii(1...128, "A-Za-z0-9._-", needed: "a kid: 1 to 128 letters, digits, -, _ and .")
}
