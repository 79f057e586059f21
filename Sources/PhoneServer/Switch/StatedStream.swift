import EventSocket
import MediaDialects
import Telephony

/// How the switch's mod_audio_stream is to be spoken to, as the dialplan states it: which build of the module a switch
/// has is known there and nowhere else. The same variables as our scripts read (docs/freeswitch.md).
struct StatedStream: Sendable, Equatable {
    /// `pronto_ws_dialect`; nil: the gateway's default.
    var dialect: DialectName?
    /// `pronto_ws_rate`: what the module is asked to send.
    var rate = SampleRate.wideband
    /// `pronto_ws_base`, `ws://host:port`; nil: as configured.
    var base: String?
    /// The first variable whose value cannot be used.
    var wrong: String?

    init(_ data: SwitchEvent) {
        func read(_ name: String, _ use: (String) -> Bool) {
            guard let value = data.variable(name)?.value, !value.isEmpty, !use(value) else { return }
            self.wrong = self.wrong ?? name
        }
        read("pronto_ws_dialect") { text in
            self.dialect = DialectName(stated: text)
            return self.dialect != nil
        }
        read("pronto_ws_rate") { text in
            guard let rate = StatedFormat.rate(text) else { return false }
            self.rate = rate
            return true
        }
        read("pronto_ws_base") { text in
            // What else an address may not have is refused with the command that takes it.
            guard text.hasPrefix("ws://") || text.hasPrefix("wss://"), !text.contains(where: { "?#@".contains($0) })
            else { return false }
            self.base = text
            while self.base?.hasSuffix("/") == true { self.base?.removeLast() }
            return true
        }
    }

    /// The address at which the module finds us, below `base`. It states the whole format: a module of this kind always
    /// sends linear samples at the rate of its `start`, whatever the gateway takes for usual (PRONTO_PHONE_ENCODING).
    func url(base: String, assistant: AssistantID, call: CallID) -> String {
        let dialect = self.dialect.map { "&dialect=\($0.rawValue)" } ?? ""
        return "\(base)/stream/\(assistant.text)/\(call.text)?rate=\(self.rate.hertz)&encoding=l16\(dialect)"
    }
}
