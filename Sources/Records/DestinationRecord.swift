import Telephony

/// Names one configured transfer destination: a lower-case UUID text.
package struct DestinationID: Hashable, Sendable, CustomStringConvertible {
    package let text: String
    /// Nil unless `text` has the shape of a UUID.
    package init?(_ text: some StringProtocol) {
        guard isUUID(text) else { return nil }
        self.text = text.lowercased()
    }
    package var description: String { self.text }
}

/// Somebody whom a caller can be handed to (`v_voice_transfer_destinations`).
package struct DestinationRecord: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case `extension`
        case ringGroup = "ring_group"
        case queue
        case external
        case voicemail
    }

    package var id: DestinationID
    package var tenant: TenantID
    /// The one assistant that may use it; nil: every assistant of the tenant.
    package var assistant: AssistantID?
    /// What callers call it: "sales". Unique within the tenant and assistant.
    package var name: String
    /// Other words for it, in the assistant's language.
    package var aliases: [String] = []
    package var department: String?
    package var role: String?
    /// Told to the model, to choose by.
    package var summary: String?
    package var kind: Kind = .extension
    package var number: Redacted<String>
    package var context: String
    package var ringTimeout: Duration = .seconds(30)
    /// Smaller comes first.
    package var priority: Int = 100
    /// The one to use when a caller only asks for "somebody".
    package var isDefault: Bool = false
    package var isEnabled: Bool = true

    package init(id: DestinationID, tenant: TenantID, name: String, number: String, context: String) {
        self.id = id
        self.tenant = tenant
        self.name = name
        self.number = Redacted(number)
        self.context = context
    }

    /// What the conversation needs of it.
    package var transferDestination: TransferDestination {
        TransferDestination(
            name: self.name, number: self.number.value, context: self.context, ringTime: self.ringTimeout)
    }
}
