extension SwitchEvent {
    /// Which event. The named ones are those that Pronto acts on.
    package enum Name: Hashable, Sendable {
        case channelCreate, channelAnswer, channelPark, channelUnpark, channelHold, channelUnhold
        case channelBridge, channelUnbridge, channelExecuteComplete
        /// The channel is being hung up; its media is gone.
        case channelHangup
        /// The channel is gone and its variables are final.
        case channelHangupComplete
        case dtmf, playbackStart, playbackStop, backgroundJob, heartbeat, custom, channelData
        /// Any other, as the switch writes it.
        case other(String)

        private static let wires: [(Name, String)] = [
            (.channelCreate, "CHANNEL_CREATE"), (.channelAnswer, "CHANNEL_ANSWER"), (.channelPark, "CHANNEL_PARK"),
            (.channelUnpark, "CHANNEL_UNPARK"), (.channelHold, "CHANNEL_HOLD"), (.channelUnhold, "CHANNEL_UNHOLD"),
            (.channelBridge, "CHANNEL_BRIDGE"), (.channelUnbridge, "CHANNEL_UNBRIDGE"),
            (.channelExecuteComplete, "CHANNEL_EXECUTE_COMPLETE"), (.channelHangup, "CHANNEL_HANGUP"),
            (.channelHangupComplete, "CHANNEL_HANGUP_COMPLETE"), (.dtmf, "DTMF"), (.playbackStart, "PLAYBACK_START"),
            (.playbackStop, "PLAYBACK_STOP"), (.backgroundJob, "BACKGROUND_JOB"), (.heartbeat, "HEARTBEAT"),
            (.custom, "CUSTOM"), (.channelData, "CHANNEL_DATA"),
        ]
        private static let byWire: [String: Name] = Dictionary(
            wires.map { ($0.1, $0.0) }, uniquingKeysWith: { first, _ in first })
        private static let byName: [Name: String] = Dictionary(
            wires.map { ($0.0, $0.1) }, uniquingKeysWith: { first, _ in first })

        package init(wire: String) { self = Self.byWire[wire] ?? .other(wire) }

        package var wire: String {
            if case .other(let wire) = self { return wire }
            return Self.byName[self] ?? ""
        }
    }
}
