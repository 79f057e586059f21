import Foundation
import Telephony

/// What is asked before a call is answered (requirements 2 §2).
package struct RoutingQuestion: Sendable, Equatable {
    package var tenant: TenantID?
    package var domain: String?
    package var trunk: String?
    package var store: String?
    /// As the carrier wrote it.
    package var did: String?
    package var at: Date

    package init(
        tenant: TenantID? = nil, domain: String? = nil, trunk: String? = nil, store: String? = nil, did: String? = nil,
        at: Date
    ) {
        self.tenant = tenant
        self.domain = domain
        self.trunk = trunk
        self.store = store
        self.did = did
        self.at = at
    }
}

/// Why a call is the AI's or a human's: a stable slug for telemetry, logs and metric labels.
package enum RoutingReason: String, Sendable, CaseIterable {
    // The AI.
    case timeWindowMatch = "time_window_match"
    case alwaysOn = "always_on"
    case exceptionOpen = "exception_open"
    /// PRONTO_AI_ROUTING, where nobody has rows.
    case configured

    // A human, as the rows say.
    case outOfHours = "out_of_hours"
    case exceptionClosed = "exception_closed"
    case disabled
    case didBlocked = "did_blocked"
    case didNotAllowed = "did_not_allowed"
    /// The tenant has no row at all.
    case noSettings = "no_settings"
    /// It has rows, and none for this trunk (and store).
    case unknownTrunk = "unknown_trunk"
    case switchedOff = "switched-off"

    // A human, because something is wrong.
    case unknownTenant = "unknown_tenant"
    case tenantDisabled = "tenant_disabled"
    case settingsInvalid = "settings_invalid"
    case agentMissing = "agent_missing"
    case agentDisabled = "agent_disabled"
    case agentInvalid = "agent_invalid"

    // A human, because this node cannot serve now.
    case noAssistant = "no-assistant"
    case draining
    case full
    case providersDown = "providers_down"
    case switchDown = "switch_down"
    case notReady = "not_ready"
    case overBudget = "over_budget"

    // A human, because the question was wrong or not this asker's.
    case badParameter = "bad_parameter"
    case notPermitted = "not_permitted"
    case rateLimited = "rate_limited"

    package var isAI: Bool {
        switch self {
        case .timeWindowMatch, .alwaysOn, .exceptionOpen, .configured: true
        default: false
        }
    }
}

/// Where a caller goes whom the AI does not serve.
package struct RoutingFallback: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case `extension` = "ext"
        case ring, queue
        case voicemail = "vm"
    }
    package var kind: Kind
    package var reference: String

    package init(kind: Kind, reference: String) {
        self.kind = kind
        self.reference = reference
    }

    /// What a dialplan may dial: letters, digits and few signs, 1 to 64 (`pronto_stream.lua` checks the same).
    package static func isReference(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...64).contains(bytes.count) else { return false }
        return bytes.enumerated().allSatisfy { index, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "+"), UInt8(ascii: "*"), UInt8(ascii: "#"): true
            case UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"): index > 0
            default: false
            }
        }
    }
}

/// Whether calls are recorded, as a trunk's row says.
package enum RecordingChoice: String, Sendable, CaseIterable {
    case off, on
    /// As the assistant or the gateway is configured.
    case policy
}

/// The agent that a call goes to, with what the trunk's row says about this call.
package struct RoutedAgent: Sendable, Equatable {
    package var id: AssistantID
    package var name: String
    /// Who answers: the assistant that the agent speaks as, or the agent itself.
    package var assistant: AssistantID
    package var isAssistantItself: Bool
    package var gatewayURL: String?
    package var model: String?
    package var tools: [String]?
    package var context: Redacted<String>?
    package var language: String?
    package var voice: String?
    package var bargeIn: Bool?
    package var maximumMinutes: Int?
    package var recording: RecordingChoice?
    /// Where the row's callers go when no back end works: the row's fallback, else the tenant's.
    package var fallback: RoutingFallback?

    package init(id: AssistantID, name: String, assistant: AssistantID, isAssistantItself: Bool) {
        self.id = id
        self.name = name
        self.assistant = assistant
        self.isAssistantItself = isAssistantItself
    }
}

/// What became of a question.
package struct RoutingDecision: Sendable {
    package var reason: RoutingReason
    package var tenant: TenantID?
    /// The row that decided.
    package var route: RouteID?
    /// There where the reason is the AI's.
    package var agent: RoutedAgent?
    package var fallback: RoutingFallback?
    /// How it came to this; empty unless it was asked for.
    package var steps: [Step] = []
    /// What is wrong with the row that decided.
    package var problem: RowProblem?

    package var isAI: Bool { self.reason.isAI }

    package init(reason: RoutingReason, tenant: TenantID? = nil) {
        self.reason = reason
        self.tenant = tenant
    }

    /// One thing that was looked at, and what was found.
    package struct Step: Sendable, Equatable {
        /// `tenant`, `number`, `row`, `blocklist`, `agent`, `exceptions`, `hours`, `result`.
        package var subject: String
        package var finding: String
        package init(_ subject: String, _ finding: String) {
            self.subject = subject
            self.finding = finding
        }
    }
}
