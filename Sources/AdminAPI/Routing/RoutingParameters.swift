import Foundation
import Networking
import Routing
import Telephony

/// What a routing question's query says, read strictly: each value checked, none believed twice.
///
/// What is wrong with one value does not take the others with it: the text route still wants the fallback of the trunk
/// that is named right.
struct RoutingParameters {
    /// One parameter that cannot be used. Names it and says what would be right; never repeats it.
    struct Problem: Equatable {
        var name: String
        var repair: String
    }

    private(set) var problems: [Problem] = []
    private(set) var tenant: TenantID?
    private(set) var domain: String?
    private(set) var trunk: String?
    private(set) var store: String?
    private(set) var did: String?
    private(set) var caller: String?
    private(set) var call: CallID?
    private(set) var at: Date?

    static let queryLimit = 4096
    static let keyLimit = 32

    /// Both documents' spellings of one thing.
    private static let names: [String: String] = [
        "tenant_id": "tenant_id", "tenantId": "tenant_id", "sip_domain": "sip_domain", "trunk_id": "trunk_id",
        "trunkId": "trunk_id", "store_id": "store_id", "storeId": "store_id", "did": "did", "caller": "caller",
        "call_id": "call_id", "callId": "call_id", "ts": "ts",
    ]

    init(_ query: Substring?) {
        guard let query, !query.isEmpty else { return }
        guard query.utf8.count <= Self.queryLimit else {
            self.refuse("query", "at most \(Self.queryLimit) bytes")
            return
        }
        let pairs = query.split(separator: "&")
        guard pairs.count <= Self.keyLimit else {
            self.refuse("query", "at most \(Self.keyLimit) parameters")
            return
        }
        var seen: Set<String> = []
        for pair in pairs {
            let mark = pair.firstIndex(of: "=") ?? pair.endIndex
            // What we do not know is stepped over: dialplans pass what they were given.
            guard let key = percentDecoded(pair[..<mark], plusIsSpace: false), let name = Self.names[key] else {
                continue
            }
            guard seen.insert(name).inserted else {
                self.forget(name)
                self.refuse(name, "once only")
                continue
            }
            // `+` is itself: numbers begin with it (decision 0009).
            let text = percentDecoded(pair[mark...].dropFirst(), plusIsSpace: false)
            guard let text, !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
                self.refuse(name, "UTF-8, percent-encoded, without control characters")
                continue
            }
            // An empty value is an absent one: `did=${destination_number}` of a channel that has none.
            if !text.isEmpty { self.take(text, as: name) }
        }
    }

    private mutating func take(_ text: String, as name: String) {
        switch name {
        case "tenant_id":
            self.tenant = TenantID(text)
            if self.tenant == nil { self.refuse(name, "the tenant's UUID") }
        case "sip_domain":
            if RoutingText.isDomain(text) { self.domain = text } else { self.refuse(name, "a domain name") }
        case "trunk_id":
            if RoutingText.isReference(text) { self.trunk = text } else { self.refuse(name, "at most 128 bytes") }
        case "store_id":
            if RoutingText.isReference(text) { self.store = text } else { self.refuse(name, "at most 128 bytes") }
        case "did":
            if NumberingPlan().number(text) != nil || NumberingPlan(country: "39")?.number(text) != nil {
                self.did = text
            } else {
                self.refuse(name, "a telephone number of 3 to 15 digits, such as +39061234567")
            }
        case "caller":
            // Names and withheld numbers come here too.
            if text.utf8.count <= 64 { self.caller = text } else { self.refuse(name, "at most 64 bytes") }
        case "call_id":
            self.call = CallID(text)
            if self.call == nil { self.refuse(name, "1 to 64 letters, digits, -, _ and .") }
        default:
            self.at = Moment.date(ofQuery: text)
            if self.at == nil { self.refuse(name, "a time as RFC 3339 writes it, such as 2026-10-30T09:41:00Z") }
        }
    }

    private mutating func forget(_ name: String) {
        switch name {
        case "tenant_id": self.tenant = nil
        case "sip_domain": self.domain = nil
        case "trunk_id": self.trunk = nil
        case "store_id": self.store = nil
        case "did": self.did = nil
        case "caller": self.caller = nil
        case "call_id": self.call = nil
        default: self.at = nil
        }
    }

    private mutating func refuse(_ name: String, _ repair: String) {
        guard !self.problems.contains(where: { $0.name == name }) else { return }
        self.problems.append(Problem(name: name, repair: repair))
    }
}
