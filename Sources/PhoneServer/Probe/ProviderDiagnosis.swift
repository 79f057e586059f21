import Assistants
import Telephony

/// What a failure of a provider means in plain words, and what repairs it: for an operator's terminal.
///
/// The slug is the machines' own (bounded); the provider's text, where it says more, decides between causes that share
/// one. Nothing is guessed beyond that: an unknown failure is told as it came.
package struct ProviderDiagnosis: Sendable, Equatable {
    package enum Cause: String, Sendable, CaseIterable {
        case configuration, key, quota, model, region, format, dns, network, tls, proxy, timeout, silence, provider
    }
    package var cause: Cause
    package var meaning: String
    package var repair: String

    package init(_ failure: AssistantFailure) {
        let slug = failure.slug
        let said = failure.detail.value.lowercased()
        self = Self.byText(said) ?? Self.bySlug(slug) ?? Self.byStatus(slug, said) ?? Self.unknown(slug)
    }

    private init(_ cause: Cause, _ meaning: String, _ repair: String) {
        self.cause = cause
        self.meaning = meaning
        self.repair = repair
    }

    // MARK: Causes

    private static let key = Self(
        .key, "The provider does not take the key.",
        "Make a new key at the provider and set it: in the environment, or with `pronto provider set-key`.")
    private static let quota = Self(
        .quota, "The account has no credit or quota left, or asks too often.",
        "Look at billing and limits in the provider's console.")
    private static let model = Self(
        .model, "The model, voice or agent does not exist for this account, or has been switched off.",
        "Name another in the settings or the assistant (`pronto config` shows what is set), or ask for access to it.")
    private static let region = Self(
        .region, "The provider does not serve this model from where this machine, or the account, is.",
        "Use the provider's base URL of your region (for example https://eu.api.openai.com/v1), or another provider.")
    private static let format = Self(
        .format, "The provider's audio format is none that Pronto carries, or is not what was agreed.",
        "Set the agent's formats to PCM or µ-law 8 kHz; for a compatible server look at its audio settings.")
    private static let proxy = Self(
        .proxy, "Something between here and the provider answered: a proxy, a firewall or a captive portal.",
        "Let this machine reach the provider directly, or set the base URL to a proxy that passes WebSockets on.")
    private static let silence = Self(
        .silence, "The session stands and nothing sounds.",
        "Try again; if it stays so, look at the provider's status page, and at the assistant's instructions and voice.")
    private static let timeout = Self(
        .timeout, "The provider did not answer in time.",
        "Look at the network and at the provider's status page; a firewall that drops packets looks the same.")

    private static func byText(_ said: String) -> Self? {
        let parts: [(text: String, diagnosis: Self)] = [
            ("unsupported_country", self.region), ("country, region", self.region), ("location is not", self.region),
            ("not available in your", self.region), ("user location", self.region),
            ("api key", self.key), ("api_key", self.key), ("incorrect key", self.key),
            ("invalid credentials", self.key),
            ("decommissioned", self.model), ("deprecated", self.model), ("model_not_found", self.model),
            ("does not exist", self.model), ("was not found", self.model),
            ("quota", self.quota), ("billing", self.quota), ("credit", self.quota),
        ]
        return parts.first { said.contains($0.text) }?.diagnosis
    }

    /// By what a slug ends with: the pipeline's begin with their stage.
    private static func bySlug(_ slug: String) -> Self? {
        let ends: [(end: String, diagnosis: Self)] = [
            (
                "no-key",
                Self(
                    .configuration, "No key is set for this provider.",
                    "Set it in the environment (OPENAI_API_KEY and so on), or with `pronto provider set-key`.")
            ),
            (
                "key-not-readable",
                Self(
                    .configuration, "The tenant's stored key cannot be decrypted.",
                    "Set PRONTO_SECRET_KEY to the key that encrypted it, or store it again: `pronto provider set-key`.")
            ),
            (
                "malformed-key",
                Self(
                    .configuration, "The key holds a line break or a character that no key has.",
                    "Copy it again, without spaces around it.")
            ),
            (
                "no-voice",
                Self(
                    .configuration, "The speaking service needs a voice, and none is named.",
                    "Set PRONTO_PIPELINE_VOICE, or the assistant's voice.")
            ),
            (
                "no-model",
                Self(.configuration, "No model is named.", "Set the model, for example PRONTO_PIPELINE_LLM_MODEL.")
            ),
            ("unauthorised", self.key), ("invalid-key", self.key), ("invalid-api-key", self.key),
            ("authentication-error", self.key), ("permission-error", self.key), ("permission-denied", self.key),
            ("invalid-auth", self.key), ("insufficient-permissions", self.key), ("account-deactivated", self.key),
            ("quota", self.quota), ("quota-exceeded", self.quota), ("insufficient-quota", self.quota),
            ("no-credit", self.quota), ("rate-limited", self.quota), ("rate-limit-exceeded", self.quota),
            ("rate-limit-error", self.quota), ("billing-error", self.quota),
            ("billing-hard-limit-reached", self.quota), ("credit-balance-exhausted", self.quota),
            ("model-not-found", self.model), ("agent-not-found", self.model), ("not-found-error", self.model),
            ("model-decommissioned", self.model), ("not-found", self.model),
            ("format-refused", self.format), ("format-unproven", self.format), ("format-not-carried", self.format),
            ("nothing-audible", self.silence), ("speaker-silent", self.silence),
            ("timeout", self.timeout),
            (
                "dns",
                Self(
                    .dns, "The provider's host name has no address here.",
                    "Look at the base URL for a slip, and at this machine's name servers (/etc/resolv.conf).")
            ),
            (
                "forbidden-address",
                Self(
                    .network, "The provider's host has no address on the internet.",
                    "A tenant's base_url may not lead into this network: correct it, or set PRONTO_TENANT_PRIVATE_HOSTS."
                )
            ),
            (
                "tls",
                Self(
                    .tls, "The provider's certificate is not trusted, not for this name, or expired.",
                    "Look at this machine's clock and at ca-certificates; behind a proxy that opens TLS, or with a "
                        + "server of your own, name its authority in PRONTO_CA_FILE.")
            ),
            (
                "connect",
                Self(
                    .network, "Nothing accepts connections at the provider's address.",
                    "Look at the base URL's host and port, and at the firewall between here and there.")
            ),
            (
                "reset",
                Self(.network, "The connection broke off.", "Try again; look at the firewall and at proxies between.")
            ),
            ("protocol", self.proxy),
        ]
        return ends.first { slug == $0.end || slug.hasSuffix("-" + $0.end) }?.diagnosis
    }

    /// `refused-503` or "HTTP 407" in the detail: HTTP's own numbers.
    private static func byStatus(_ slug: String, _ said: String) -> Self? {
        guard slug.contains("refused") else { return nil }
        let told = said.firstRange(of: "http ").flatMap { Int(said[$0.upperBound...].prefix { $0.isNumber }) }
        guard let status = slug.split(separator: "-").last.flatMap({ Int($0) }) ?? told else { return nil }
        switch status {
        case 200...399, 407, 511: return self.proxy
        case 401, 403: return self.key
        case 402, 429: return self.quota
        case 404: return self.model
        case 451: return self.region
        case 408, 504: return self.timeout
        case 500...599:
            return Self(
                .provider, "The provider has a fault of its own (HTTP \(status)).",
                "Try again later; look at the provider's status page.")
        default:
            return Self(
                .configuration, "The provider refused what it was asked (HTTP \(status)).",
                "Look at the model, the voice and the base URL; what the provider said is below.")
        }
    }

    private static func unknown(_ slug: String) -> Self {
        if slug.hasPrefix("configuration-") || slug.contains("base-url") {
            return Self(
                .configuration, "The settings do not fit together: \(slug).",
                "Look at the provider's settings with `pronto config`; docs/configuration.md explains each.")
        }
        return Self(
            .provider, "The provider ended the session: \(slug).",
            "What it said is below; docs/providers.md lists what each ending means.")
    }
}
