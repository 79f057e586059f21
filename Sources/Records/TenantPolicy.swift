import Telephony

/// What one tenant may use, how its calls bring their audio, and how long what they leave behind is kept
/// (`voip_tenant_settings`). A nil field is as the installation's settings have it.
package struct TenantPolicy: Sendable, Equatable {
    package var limits: TenantLimits
    package var retention: Retention
    /// Of calls that come by the outbound Event Socket and do not say.
    package var audio: CallAudio?

    package init(limits: TenantLimits = TenantLimits(), retention: Retention = Retention(), audio: CallAudio? = nil) {
        self.limits = limits
        self.retention = retention
        self.audio = audio
    }

    /// One subject of it. Different people set them, perhaps at the same moment: to set one leaves the others as they are.
    package enum Change: Sendable, Equatable {
        case limits(TenantLimits)
        case retention(Retention)
        case audio(CallAudio?)
    }
}

/// How a call that comes by the outbound Event Socket brings its audio (`AUDIO_MODE`).
package enum CallAudio: String, Sendable, CaseIterable {
    /// FreeSWITCH's own raw datagrams.
    case esl
    /// We bridge the channel to our own SIP port.
    case rtp
    /// mod_audio_stream's WebSocket, started by us, the socket for control.
    case dual
    /// The same, for dialplans that say so.
    case websocket
}

/// The most that a tenant may use. Set by the installation, not by the tenant.
package struct TenantLimits: Sendable, Equatable {
    /// Calls at a time: on one node, with Redis on all nodes together.
    package var calls: Int?
    /// Of a calendar month (UTC), in millionths of the currency that costs are recorded in.
    package var spendMicros: Int?
    /// Requests a minute to the HTTP API.
    package var requests: Int?
    package init(calls: Int? = nil, spendMicros: Int? = nil, requests: Int? = nil) {
        self.calls = calls
        self.spendMicros = spendMicros
        self.requests = requests
    }
}

/// For how many days what a call leaves behind is kept; 0: until somebody deletes it.
package struct Retention: Sendable, Equatable {
    package enum Subject: String, Sendable, CaseIterable { case conversations, recordings, calls, activity }

    package var conversations: Int?
    package var recordings: Int?
    package var calls: Int?
    package var activity: Int?

    package init(conversations: Int? = nil, recordings: Int? = nil, calls: Int? = nil, activity: Int? = nil) {
        self.conversations = conversations
        self.recordings = recordings
        self.calls = calls
        self.activity = activity
    }

    package subscript(subject: Subject) -> Int? {
        switch subject {
        case .conversations: self.conversations
        case .recordings: self.recordings
        case .calls: self.calls
        case .activity: self.activity
        }
    }

    /// The tenant's days, else the installation's; nil: kept until somebody deletes it.
    package func days(_ subject: Subject, otherwise installation: Retention) -> Int? {
        let days = self[subject] ?? installation[subject] ?? 0
        return days > 0 ? days : nil
    }
}

/// A key of signed tokens that a tenant's own systems sign with (`voip_signing_keys`): a JSON Web Key (RFC 7517).
package struct SigningKeyRecord: Sendable, Equatable {
    package var tenant: TenantID
    /// `kid`. Unique within the tenant.
    package var id: String
    /// The key's JSON text; nil in what could not be decrypted.
    package var key: Redacted<String>?

    package init(tenant: TenantID, id: String, key: Redacted<String>?) {
        self.tenant = tenant
        self.id = id
        self.key = key
    }
}

/// What a look at the tenants' policies and keys found.
package struct AccessReading: Sendable, Equatable {
    /// Whose were asked for; nil: everybody's.
    package var asked: Set<TenantID>?
    package var policies: [TenantID: TenantPolicy]
    /// One that cannot be decrypted comes without its key.
    package var keys: [SigningKeyRecord]
    /// Rows that are left out: they harm themselves only.
    package var faults: [ConfigurationFault]

    package init(
        asked: Set<TenantID>? = nil, policies: [TenantID: TenantPolicy] = [:], keys: [SigningKeyRecord] = [],
        faults: [ConfigurationFault] = []
    ) {
        self.asked = asked
        self.policies = policies
        self.keys = keys
        self.faults = faults
    }
}
