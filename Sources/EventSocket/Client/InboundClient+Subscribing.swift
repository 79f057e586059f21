import Telephony

/// What the switch is asked to tell us: the channels that are watched, and what listeners want beyond the configuration.
/// Both are told to the switch again after each reconnection.
extension InboundClient {
    /// One watched channel.
    struct Watch: Sendable {
        /// What we know of it on this switch. A call id may be a UUID and yet no channel here: only one that was seen
        /// can be missed.
        enum Presence: Sendable { case unknown, known, gone }
        var presence = Presence.unknown
        /// How often it was asked for.
        var count = 1
    }

    /// What listeners have added. It stays for the life of the client: a subscription that nobody needs any more costs
    /// nothing where filters are on, and `nixevent` could take one away that the configuration needs.
    struct AddedSubscriptions: Sendable {
        var names: [SwitchEvent.Name] = []
        var subclasses: [String] = []
        /// Of those, what is wanted whatever the channel.
        var unfilteredNames: [SwitchEvent.Name] = []
        var unfilteredSubclasses: [String] = []
    }

    /// From now on, across reconnections, the events of this channel are delivered.
    package mutating func watch(_ channel: CallID, at now: Duration, into effects: inout [Effect]) {
        guard let filter = try? EventSocketCommand.filter(channel: channel) else {
            return effects.append(.oddity("unsafe-channel-id"))  // it would spoil every later subscription
        }
        guard self.watched[channel] == nil else {
            self.watched[channel]?.count += 1
            return
        }
        self.watched[channel] = Watch()
        guard self.configuration.onlyWatchedChannels else { return }
        self.subscribe([filter], at: now, &effects)
    }

    /// Ends what as many `watch` began.
    package mutating func unwatch(_ channel: CallID, at now: Duration, into effects: inout [Effect]) {
        guard let watch = self.watched[channel] else { return }
        guard watch.count == 1 else {
            self.watched[channel]?.count -= 1
            return
        }
        self.watched[channel] = nil
        guard self.configuration.onlyWatchedChannels,
            let removal = try? EventSocketCommand.removeFilter(channel: channel)
        else { return }
        self.subscribe([removal], at: now, &effects)
    }

    /// Asks for events beyond the configuration's. Those of a channel come while it is watched as well.
    package mutating func subscribe(
        to interest: EventInterest, at now: Duration, into effects: inout [Effect]
    ) throws(EventSocketCommandError) {
        let subscribed = Self.always + self.configuration.events + self.added.names
        let names = interest.names.filter { !subscribed.contains($0) }
        let known = self.configuration.subclasses + self.added.subclasses
        let subclasses = interest.subclasses.filter { !known.contains($0) }
        var commands: [EventSocketCommand] = []
        if !names.isEmpty || !subclasses.isEmpty {
            commands.append(try .subscribe(to: names, subclasses: subclasses, format: self.configuration.format))
        }
        var (openNames, openSubclasses): ([SwitchEvent.Name], [String]) = ([], [])
        if interest.channel == nil {
            openNames = interest.names.filter { !(Self.always + self.added.unfilteredNames).contains($0) }
            openSubclasses = interest.subclasses.filter { !self.added.unfilteredSubclasses.contains($0) }
        }
        if self.configuration.onlyWatchedChannels {
            for name in openNames { commands.append(try .filter(eventName: name)) }
            for subclass in openSubclasses { commands.append(try .filter(subclass: subclass)) }
        }
        // Only what could be encoded is kept: a name that cannot would spoil every later subscription.
        self.added.names += names
        self.added.subclasses += subclasses
        self.added.unfilteredNames += openNames
        self.added.unfilteredSubclasses += openSubclasses
        self.subscribe(commands, at: now, &effects)
    }

    /// Jobs' ends, and the switch's own sign of life.
    private static let always: [SwitchEvent.Name] = [.backgroundJob, .heartbeat]

    /// The whole subscription of a new connection.
    mutating func subscribe(deadline: Duration, at now: Duration, _ effects: inout [Effect]) {
        do {
            var commands = [
                try EventSocketCommand.subscribe(
                    to: Self.always + self.configuration.events + self.added.names,
                    subclasses: self.configuration.subclasses + self.added.subclasses,
                    format: self.configuration.format)
            ]
            if self.configuration.onlyWatchedChannels {
                for name in Self.always + self.added.unfilteredNames {
                    commands.append(try .filter(eventName: name))
                }
                for subclass in self.added.unfilteredSubclasses { commands.append(try .filter(subclass: subclass)) }
                for channel in self.watched.keys { commands.append(try .filter(channel: channel)) }
            }
            self.state = .subscribing(deadline: deadline, repliesDue: commands.count)
            for command in commands { self.send(command, by: .machine(command.name), at: now, &effects) }
        } catch {
            self.lose(.subscriptionRefused, at: now, &effects)
        }
    }

    /// Sends a change of the subscription, where there is a connection that has one.
    private mutating func subscribe(_ commands: [EventSocketCommand], at now: Duration, _ effects: inout [Effect]) {
        for command in commands {
            switch self.state {
            case .ready: break
            case .subscribing(let deadline, let due):
                self.state = .subscribing(deadline: deadline, repliesDue: due + 1)
            default: return  // the subscription will have it
            }
            self.send(command, by: .machine(command.name), at: now, &effects)
        }
        if !commands.isEmpty { self.settle(at: now, &effects) }
    }
}
