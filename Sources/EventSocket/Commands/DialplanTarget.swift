import Telephony

/// Where a dialplan is entered: extension, dialplan and context, each checked when it is written.
package struct DialplanTarget: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    package var `extension`: Redacted<String>
    package var dialplan: String
    package var context: String

    package init(extension: String, dialplan: String = "XML", context: String) {
        self.extension = Redacted(`extension`)
        self.dialplan = dialplan
        self.context = context
    }

    package init(_ destination: TransferDestination) {
        self.init(extension: destination.number.value, context: destination.context)
    }

    package var description: String { "DialplanTarget" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }

    func words() throws(EventSocketCommandError) -> [String] {
        // The inline dialplan runs applications named in the extension: never from outside.
        guard self.dialplan.lowercased() != "inline" else { throw .unsafe(argument: .dialplan) }
        return [
            try CommandArgument.extension.checked(self.extension.value),
            try CommandArgument.dialplan.checked(self.dialplan), try CommandArgument.context.checked(self.context),
        ]
    }
}

/// A call that we place: whom, with which variables, and what the one who answers gets.
package struct OriginatedCall: Sendable, CustomStringConvertible, CustomReflectable {
    /// Who is called.
    package enum Party: Sendable, Equatable {
        /// A registered phone.
        case user(extension: String, domain: String)
        /// A number through a gateway.
        case gateway(name: String, number: String)
        /// Any SIP address through a profile, such as `internal`.
        case sip(profile: String, user: String, host: String)
        /// The dialplan itself, as if somebody had called in.
        case loopback(extension: String, context: String)
    }

    /// What follows the answer.
    package enum Continuation: Sendable, Equatable {
        case park
        case dialplan(DialplanTarget)
        case bridge(CallID)

        func words() throws(EventSocketCommandError) -> String {
            switch self {
            case .park: "&park()"
            case .dialplan(let target): try target.words().joined(separator: " ")
            case .bridge(let channel): "&intercept(\(try CommandArgument.channel.checked(channel.text)))"
            }
        }
    }

    package var party: Party
    /// Channel variables of the new leg, in order.
    package var variables: [(name: String, value: String)]
    /// How long to ring.
    package var timeout: Duration
    package var then: Continuation

    package init(
        to party: Party, variables: [(name: String, value: String)] = [], timeout: Duration = .seconds(30),
        then: Continuation = .park
    ) {
        self.party = party
        self.variables = variables
        self.timeout = timeout
        self.then = then
    }

    package var description: String { "OriginatedCall" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }

    func dialString() throws(EventSocketCommandError) -> String {
        var settings = ["originate_timeout=" + (try ApiCommand.seconds(self.timeout))]
        for (name, value) in self.variables {
            let value = try CommandArgument.variableValue.checked(value)
            // A blank or one of these ends the value, the list or the whole dial string.
            guard !value.utf8.contains(where: { " ,{}[]<>|&()^".utf8.contains($0) }) else {
                throw .unsafe(argument: .variableValue)
            }
            settings.append(try CommandArgument.variableName.checked(name) + "=" + value)
        }
        return "{\(settings.joined(separator: ","))}" + (try self.address())
    }

    private func address() throws(EventSocketCommandError) -> String {
        switch self.party {
        case .user(let number, let domain):
            let number = try CommandArgument.extension.checked(number)
            return "user/\(number)@\(try CommandArgument.domain.checked(domain))"
        case .gateway(let name, let number):
            let name = try CommandArgument.gateway.checked(name)
            return "sofia/gateway/\(name)/\(try CommandArgument.extension.checked(number))"
        case .sip(let profile, let user, let host):
            let profile = try CommandArgument.gateway.checked(profile)
            let user = try CommandArgument.extension.checked(user)
            return "sofia/\(profile)/\(user)@\(try CommandArgument.address.checked(host))"
        case .loopback(let number, let context):
            let number = try CommandArgument.extension.checked(number)
            return "loopback/\(number)/\(try CommandArgument.context.checked(context))"
        }
    }
}
