import Telephony

extension InboundClient {
    /// How to treat one switch.
    package struct Configuration: Sendable {
        /// ESL_PASSWORD.
        package var password: Redacted<String>
        /// ESL_CONNECT_TIMEOUT: connect, greeting, password and subscription together.
        package var connectTimeout: Duration
        /// ESL_READ_TIMEOUT: how long an answer that is due may be missing with no byte coming at all, before the
        /// connection is given up.
        package var readTimeout: Duration
        /// ESL_API_TIMEOUT: a command's deadline where the caller names none. The connection stays.
        package var replyTimeout: Duration
        /// After this much silence we ask for the switch's status. The switch itself sends a HEARTBEAT each 20 s.
        package var idleInterval: Duration
        /// ESL_RECONNECT_DELAY: before the second attempt; doubled for each further one.
        package var reconnectDelay: Duration
        /// The longest such delay.
        package var maximumReconnectDelay: Duration
        /// ESL_MAX_RECONNECT_ATTEMPTS: so many failures in a row mean `Status.down`. It keeps trying.
        package var maximumAttempts: Int
        /// Events of watched channels; jobs and heartbeats are always there.
        package var events: [SwitchEvent.Name]
        /// Subclasses of CUSTOM events of watched channels.
        package var subclasses: [String]
        /// How the switch is to write its events; both are read.
        package var format: EventSocketCommand.EventFormat
        /// Only events of watched channels are sent to us. Off: those of the whole switch.
        package var onlyWatchedChannels: Bool
        /// The most commands that may be without an answer.
        package var maximumPending: Int
        package var limits: EventSocketFramer.Limits

        package init(
            password: String, connectTimeout: Duration = .seconds(5), readTimeout: Duration = .seconds(30),
            replyTimeout: Duration = .seconds(5), idleInterval: Duration = .seconds(25),
            reconnectDelay: Duration = .seconds(2),
            maximumReconnectDelay: Duration = .seconds(30), maximumAttempts: Int = 3,
            events: [SwitchEvent.Name] = Configuration.usualEvents,
            subclasses: [String] = SwitchEvent.audioStreamSubclasses,
            format: EventSocketCommand.EventFormat = .plain, onlyWatchedChannels: Bool = true,
            maximumPending: Int = 4096, limits: EventSocketFramer.Limits = EventSocketFramer.Limits()
        ) {
            self.password = Redacted(password)
            self.connectTimeout = connectTimeout
            self.readTimeout = readTimeout
            self.replyTimeout = replyTimeout
            self.idleInterval = idleInterval
            self.reconnectDelay = reconnectDelay
            self.maximumReconnectDelay = maximumReconnectDelay
            self.maximumAttempts = maximumAttempts
            self.events = events
            self.subclasses = subclasses
            self.format = format
            self.onlyWatchedChannels = onlyWatchedChannels
            self.maximumPending = maximumPending
            self.limits = limits
        }

        /// What a conversation needs to know of its channel.
        package static let usualEvents: [SwitchEvent.Name] = [
            .channelAnswer, .channelHangup, .channelHangupComplete, .dtmf, .channelHold, .channelUnhold,
            .channelBridge, .channelUnbridge, .channelPark, .playbackStop, .channelExecuteComplete,
        ]
    }
}
