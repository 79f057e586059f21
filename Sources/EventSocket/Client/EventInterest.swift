import Telephony

/// Which events somebody wants to be told of.
package struct EventInterest: Sendable, Equatable {
    /// Empty, with no subclasses either: every event that comes.
    package var names: [SwitchEvent.Name]
    /// Of `CUSTOM` events.
    package var subclasses: [String]
    /// Nil: of any channel, and of the switch itself.
    package var channel: CallID?

    package init(_ names: [SwitchEvent.Name], subclasses: [String] = [], of channel: CallID? = nil) {
        self.names = names.filter { $0 != .custom }
        self.subclasses = subclasses
        self.channel = channel
    }

    func takes(_ event: SwitchEvent) -> Bool {
        if let channel = self.channel, channel != event.channel { return false }
        if self.names.isEmpty, self.subclasses.isEmpty { return true }
        if event.name == .custom { return event.subclass.map { self.subclasses.contains($0) } ?? false }
        return self.names.contains(event.name)
    }
}

/// Who listens to which events of a connection. Listeners of one channel are found by it: an event of one call costs
/// the same however many calls there are.
package struct EventListeners: Sendable {
    package struct ID: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    private var interests: [ID: EventInterest] = [:]
    private var byChannel: [CallID: [ID]] = [:]
    private var ofAll: [ID] = []
    private var added: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { self.interests.isEmpty }

    package mutating func add(_ interest: EventInterest) -> ID {
        self.added += 1
        let id = ID(number: self.added)
        self.interests[id] = interest
        if let channel = interest.channel {
            self.byChannel[channel, default: []].append(id)
        } else {
            self.ofAll.append(id)
        }
        return id
    }

    /// What it had wanted; nil when it is no listener any more.
    @discardableResult
    package mutating func remove(_ id: ID) -> EventInterest? {
        guard let interest = self.interests.removeValue(forKey: id) else { return nil }
        if let channel = interest.channel {
            self.byChannel[channel]?.removeAll { $0 == id }
            if self.byChannel[channel]?.isEmpty == true { self.byChannel[channel] = nil }
        } else {
            self.ofAll.removeAll { $0 == id }
        }
        return interest
    }

    /// Those that want this event, in the order in which they came.
    package func listeners(to event: SwitchEvent) -> [ID] {
        var found = self.ofAll
        if !self.byChannel.isEmpty, let channel = event.channel, let own = self.byChannel[channel] { found += own }
        found = found.filter { self.interests[$0]?.takes(event) ?? false }
        return found.count > 1 ? found.sorted { $0.number < $1.number } : found
    }

    /// Those that listen to one channel.
    package func listeners(of channel: CallID) -> [ID] { self.byChannel[channel] ?? [] }
}
