import Telephony

/// A tenant's own account with a provider (`v_voice_ai_providers`). The key is encrypted at rest.
package struct ProviderAccount: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable { case realtime, stt, tts, llm, embeddings }

    package var tenant: TenantID
    package var kind: Kind
    package var provider: ProviderName
    package var displayName: String?
    /// A JSON object's text: model, voice, base URL and the like; never a key.
    package var configuration: String = "{}"
    /// The API key. Nil where there is none, and in listings, which decrypt nothing.
    package var secret: Redacted<String>?
    /// There is a key, whether or not `secret` carries it.
    package var hasSecret: Bool = false
    package var isDefault: Bool = false
    package var isEnabled: Bool = true
    /// Smaller comes first.
    package var priority: Int = 100

    package init(tenant: TenantID, kind: Kind = .realtime, provider: ProviderName, secret: String? = nil) {
        self.tenant = tenant
        self.kind = kind
        self.provider = provider
        self.secret = secret.map { Redacted($0) }
        self.hasSecret = secret != nil
    }

    /// Where its service is, when its settings say so: the only place that its key goes to.
    package var baseURL: String? { Self.baseURL(in: self.configuration) }

    /// The same, of a configuration's text.
    package static func baseURL(in configuration: String) -> String? {
        JSONValue(json: configuration)?["base_url"]?.text.flatMap { $0.isEmpty ? nil : $0 }
    }
}
