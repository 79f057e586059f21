import Networking
import Records
import Telephony

/// Accounts with providers. A key goes in and never comes out.
extension APIBackEnd {
    private static let parameters = [
        APIParameter(.path, "kind", .word(ProviderAccount.Kind.allCases.map(\.rawValue)), "What it serves."),
        APIParameter(.path, "provider", .text(.provider), "The provider's slug, as openai."),
    ]

    var providerRoutes: [APIRoute] {
        [
            APIRoute(
                .get, "/api/providers", .tenant(.viewer), name: "listProviders",
                "The tenant's accounts, by priority; without keys.",
                answers: [
                    APIAnswer(
                        200, .object([APIField("items", .list(ProviderAccount.answer, atMost: 100_000))]),
                        "All of them.")
                ]
            ) { asked throws(APIProblem) in
                let tenant = try asked.tenant()
                let all = try await self.ask { store throws(StoreError) in try await store.accounts(of: tenant) }
                return .json(["items": .array(all.map(\.json))])
            },
            APIRoute(
                .get, "/api/providers/{kind}/{provider}", .tenant(.viewer), name: "getProvider",
                "One account, without its key.", parameters: Self.parameters,
                answers: [APIAnswer(200, ProviderAccount.answer, "The account.")]
            ) { asked throws(APIProblem) in
                guard let found = try await self.account(asked) else { throw Self.noAccount }
                return .json(found.json)
            },
            APIRoute(
                .put, "/api/providers/{kind}/{provider}", .tenant(.admin), name: "putProvider",
                "Makes an account, or replaces it. Without `secret` the key that is kept stays, and with it the `base_url` that it was given for.",
                parameters: Self.parameters, body: ProviderAccount.input,
                answers: [APIAnswer(200, ProviderAccount.answer, "As it is kept, without the key.")]
            ) { asked throws(APIProblem) in try await self.putProvider(asked) },
            APIRoute(
                .delete, "/api/providers/{kind}/{provider}", .tenant(.admin), name: "deleteProvider",
                "Removes an account and its key.", parameters: Self.parameters, answers: [.done]
            ) { asked throws(APIProblem) in
                let (tenant, kind, provider) = try Self.key(asked)
                let wasThere = try await self.ask { store throws(StoreError) in
                    try await store.removeAccount(provider, kind: kind, of: tenant)
                }
                guard wasThere else { throw Self.noAccount }
                await self.changed()
                return .done
            },
        ]
    }

    private static let noAccount = APIProblem.notFound("The tenant has no such account.")

    private static func key(
        _ asked: APIRequest
    ) throws(APIProblem) -> (TenantID, ProviderAccount.Kind, ProviderName) {
        (
            try asked.tenant(), try asked.path("kind") { ProviderAccount.Kind(rawValue: $0) },
            try asked.path("provider") { ProviderName($0) }
        )
    }

    /// From the listing, which decrypts nothing.
    private func account(_ asked: APIRequest) async throws(APIProblem) -> ProviderAccount? {
        let (tenant, kind, provider) = try Self.key(asked)
        let all = try await self.ask { store throws(StoreError) in try await store.accounts(of: tenant) }
        return all.first { $0.kind == kind && $0.provider == provider }
    }

    private func putProvider(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let (tenant, kind, provider) = try Self.key(asked)
        let known = try await self.account(asked)
        var account = ProviderAccount(tenant: tenant, kind: kind, provider: provider)
        account.displayName = asked.body["display_name"]?.text
        let config = asked.body["config"]?.members?.filter { !$0.value.isNull } ?? []
        account.configuration = JSONValue.object(config).json
        account.isDefault = asked.body["default"]?.flag ?? false
        account.isEnabled = asked.body["enabled"]?.flag ?? true
        account.priority = asked.body["priority"].flatMap { APISchema.whole($0) } ?? 100
        account.secret = asked.body["secret"]?.text.map { Redacted($0) }
        account.hasSecret = account.secret != nil || known?.hasSecret ?? false
        let problems = account.addressProblems(known, mayBePrivate: self.mayNamePrivateHosts)
        guard problems.isEmpty else { throw .body(problems) }
        let saved = account
        try await self.ask { store throws(StoreError) in try await store.save(saved, of: tenant) }
        await self.changed()
        return .json(saved.json)
    }
}

extension ProviderAccount {
    /// What is wrong with where the account says that its service is.
    ///
    /// A key that is kept goes where it was given for and nowhere else: whoever could send it elsewhere could read it,
    /// although it is never given back. The store looks again when it saves: meanwhile another may have changed it.
    func addressProblems(_ known: ProviderAccount?, mayBePrivate: Bool) -> [APIProblem.Field] {
        var problems: [APIProblem.Field] = []
        if self.secret == nil, let known, known.hasSecret, known.baseURL != self.baseURL {
            problems = [
                APIProblem.Field(
                    "body.config.base_url",
                    "another address than the one that the kept key was given for: leave it as it was, or send secret too"
                ),
                APIProblem.Field("body.secret", "the key for the new base_url is missing"),
            ]
        }
        if !mayBePrivate, let base = self.baseURL, base != known?.baseURL, PublicHost.isPrivate(inURL: base) {
            problems.append(
                APIProblem.Field(
                    "body.config.base_url",
                    "a host on the internet is needed: loopback, link-local and private addresses are the installation's (PRONTO_TENANT_PRIVATE_HOSTS)"
                ))
        }
        return problems
    }

    /// The account's own settings that the API reads and writes.
    private static let settings = ["model", "voice", "agent_id", "base_url"]

    /// TLS, and no name and password before the host: a tenant's administrator decides where this gateway connects to,
    /// and a plain address of the gateway's own network is not theirs to name.
    private static let address = TextRule(
        9...512, pattern: #"^(https|wss)://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$"#,
        needed: "https:// or wss://, a host, and perhaps a port and a path"
    ) { text in
        guard let scheme = ["https://", "wss://"].first(where: { text.hasPrefix($0) }) else { return false }
        let rest = text.utf8.dropFirst(scheme.utf8.count)
        let authority = rest.prefix { $0 != UInt8(ascii: "/") }
        let parts = authority.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        func isPlain(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
        }
        guard let host = parts.first, !host.isEmpty, host.allSatisfy(isPlain), parts.count <= 2 else { return false }
        if parts.count == 2 {
            guard (1...5).contains(parts[1].count), parts[1].allSatisfy({ (0x30...0x39).contains($0) }) else {
                return false
            }
        }
        return rest.dropFirst(authority.count).allSatisfy { isPlain($0) || "_~/".utf8.contains($0) }
    }

    private static let config = APISchema.object([
        .optional("model", .plain(1...256)), .optional("voice", .plain(1...256)),
        .optional("agent_id", .plain(1...256), "ElevenLabs' agent"), .optional("base_url", .text(address)),
    ])

    static let input = APISchema.named(
        "ProviderInput",
        .object([
            .optional("display_name", .plain(1...256)),
            .optional("config", config, "The account's own settings; never a key"),
            .optional("default", .flag), .optional("enabled", .flag),
            .optional("priority", .whole(-1_000_000...1_000_000), "Smaller comes first"),
            APIField.optional("secret", .plain(1...2000), "The API key: taken, encrypted, never given back").writeOnly,
        ]))

    static let answer = APISchema.named(
        "Provider",
        .object([
            APIField("kind", .word(Kind.allCases.map(\.rawValue))), APIField("provider", .text(.provider)),
            APIField("display_name", .nullable(.prose(0...1024))),
            APIField("config", .anyObject, "Its settings that are no secrets"), APIField("default", .flag),
            APIField("enabled", .flag),
            APIField("priority", .whole(Int.min...Int.max)), APIField("has_secret", .flag, "Whether a key is kept"),
        ]))

    var json: JSONValue {
        // Existing installations keep keys in `config`, by whatever name: only what is known to be none goes out.
        let config = JSONValue(json: self.configuration)?.members?.filter { member in
            // An @ would be somebody's name and password in an address.
            Self.settings.contains(member.name) && member.value.text?.contains("@") == false
        }
        return [
            "kind": .string(self.kind.rawValue), "provider": .string(self.provider.text),
            "display_name": .of(self.displayName), "config": .object(config ?? []), "default": .bool(self.isDefault),
            "enabled": .bool(self.isEnabled), "priority": .integer(self.priority), "has_secret": .bool(self.hasSecret),
        ]
    }
}
