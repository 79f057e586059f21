import Foundation

/// What a WebSocket audio module tells by a `CUSTOM` event of its channel.
package enum AudioStreamSignal: Sendable, Equatable {
    /// The WebSocket is open. Only this proves that `start` worked (`+OK` came 1–3 ms before any connection, measured).
    case connected
    /// The far end closed. The module's bug stays on the channel: `stop` is due before the next `start`.
    case disconnected
    /// Could not connect, or the connection broke.
    case failed
    /// A text message from the far end, which the module did not understand; the text is the event's body.
    case message
    /// The community module has written audio into a file, and playing it is our job.
    case playback(file: String)
}

extension SwitchEvent {
    /// The names for `event plain … CUSTOM …`.
    package static let audioStreamSubclasses: [String] =
        ["connect", "disconnect", "error", "json", "play"].map {
            "mod_audio_stream::" + $0
        } + ["mod_audio_fork::play_audio"]

    /// What a mod_audio_stream event says; nil for every other event, and for a `play` without a usable file.
    package var audioStream: AudioStreamSignal? {
        if self.name == .custom, self.subclass == "mod_audio_fork::play_audio" { return self.playback }
        guard self.name == .custom, let subclass = self.subclass, subclass.hasPrefix("mod_audio_stream::") else {
            return nil
        }
        switch subclass.dropFirst("mod_audio_stream::".count) {
        case "connect": return .connected
        case "disconnect": return .disconnected
        case "error": return .failed
        case "json": return .message
        case "play":
            return self.playback
        default: return nil
        }
    }

    /// The file that a module wrote our audio into: community mod_audio_stream and drachtio's mod_audio_fork alike.
    private var playback: AudioStreamSignal? {
        guard let value = try? JSONSerialization.jsonObject(with: Data(self.body)),
            let file = (value as? [String: Any])?["file"] as? String, file.hasPrefix("/")
        else { return nil }
        return .playback(file: file)
    }
}
