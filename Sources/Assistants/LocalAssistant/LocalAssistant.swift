import Telephony

/// What a tenant's local assistant knows: where it can connect a caller, and what it can answer.
///
/// Everything here is the tenant's own text. Words that no grammar can hold (symbols, emoji) are left out of the
/// grammar; the keypad reaches those destinations all the same.
package struct LocalAssistantConfiguration: Sendable, Equatable {
    /// Somewhere a caller can be connected to.
    package struct Destination: Sendable, Equatable {
        /// What the agent calls it, and the `destination` of the tool call: "sales".
        package var name: String
        /// Other words that mean it: "the sales department", "prices".
        package var aliases: [String]
        package init(name: String, aliases: [String] = []) {
            self.name = name
            self.aliases = aliases
        }
    }

    /// Something that callers ask for, with its answer.
    package struct Topic: Sendable, Equatable {
        /// How the agent names it: "opening hours".
        package var name: String
        package var keywords: [String]
        package var answer: String
        package init(name: String, keywords: [String] = [], answer: String) {
            self.name = name
            self.keywords = keywords
            self.answer = answer
        }
    }

    /// The first nine are on the keypad as 1–9, in this order; at most 40 are used.
    package var destinations: [Destination]
    /// At most 40 are used.
    package var topics: [Topic]
    /// Which destination "operator" and the 0 key mean; nil: the first one.
    package var operatorDestination: String?
    /// Says "I'm connecting you…" itself before the tool call; false where the conversation announces transfers.
    package var announcesTransfers: Bool
    /// From this confidence on (0–1) a choice is acted on at once; below it is confirmed first. Nil: the language's own.
    package var sureConfidence: Double?
    /// Below this confidence nothing was understood. Nil: the language's own.
    package var leastConfidence: Double?
    /// How many times in a row "I didn't understand" is said before the keypad is offered; once more after that, and
    /// the operator is called.
    package var reprompts: Int

    package init(
        destinations: [Destination] = [], topics: [Topic] = [], operatorDestination: String? = nil,
        announcesTransfers: Bool = true, sureConfidence: Double? = nil, leastConfidence: Double? = nil,
        reprompts: Int = 2
    ) {
        self.destinations = Array(destinations.prefix(40))
        self.topics = Array(topics.prefix(40))
        self.operatorDestination = operatorDestination
        self.announcesTransfers = announcesTransfers
        self.sureConfidence = sureConfidence
        self.leastConfidence = leastConfidence
        self.reprompts = max(0, reprompts)
    }

    /// The index of the destination for "operator" and 0; nil when there is nobody.
    package var operatorIndex: Int? {
        if let name = self.operatorDestination,
            let index = self.destinations.firstIndex(where: { $0.name == name })
        {
            return index
        }
        return self.destinations.isEmpty ? nil : 0
    }
}

/// What a caller wants, as far as a grammar can tell.
package enum LocalIntent: Sendable, Equatable {
    case destination(Int)
    case topic(Int)
    case callOperator
    case yes
    case no
    case help
    case repeatLast
    case goodbye
    case leaveMessage
}

extension SpokenLanguage {
    /// When to act at once. Measured (docs/local-assistant.md): English phones fit Italian and Portuguese less well,
    /// so that right results score lower there.
    package var sureConfidence: Double { self == .english ? 0.65 : 0.58 }
    /// When to take a result for none.
    package var leastConfidence: Double { self == .english ? 0.32 : 0.25 }
}
