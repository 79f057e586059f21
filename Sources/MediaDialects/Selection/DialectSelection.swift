import Telephony

/// Decides which dialect a connection speaks: from the subprotocols it asks for, its address, and the configuration.
///
/// Stated in the address comes first, then the subprotocol, then the configuration's default. jambonz's module asks for
/// `audio.drachtio.org` unless its environment says otherwise, so within mod_audio_fork the address may correct the
/// subprotocol. The format is the address's (`rate`, `encoding`, `channels`), each missing part the
/// configuration's; it is never guessed.
package struct DialectSelection: Sendable, Equatable {
    /// What holds where the address says nothing.
    package struct Defaults: Sendable, Equatable {
        package var dialect: DialectName?
        package var format: AudioFormat
        /// What `STREAM_PLAYBACK_WARMUP_MS` is set to (the fork).
        package var warmUp: Duration = .milliseconds(400)
        package var binaryStyle: BinaryDown.Style = .binary
        package var flushText: String?
        package var drachtioFlush: DrachtioFork.Flush = .control
        /// Rate of what goes down, where a dialect leaves the choice; nil: as it comes up.
        package var downlinkRate: SampleRate?

        package init(dialect: DialectName? = nil, format: AudioFormat = .l16(.narrowband)) {
            self.dialect = dialect
            self.format = format
        }
    }

    package var defaults: Defaults

    package init(defaults: Defaults) { self.defaults = defaults }

    /// What was chosen.
    package struct Choice: Sendable {
        package let dialect: any MediaDialect
        package let name: DialectName
        /// To answer in `Sec-WebSocket-Protocol`; nil: leave the header out.
        package let subprotocol: String?
    }

    /// `subprotocols` are the values of `Sec-WebSocket-Protocol`, in order.
    package func choose(subprotocols: [String], request: StreamRequest) throws(DialectError) -> Choice {
        let known: [(text: String, name: DialectName)] = subprotocols.compactMap { text in
            DialectSelection.dialect(ofSubprotocol: text).map { (text, $0) }
        }
        let name: DialectName
        var subprotocol: String?
        if let asked = known.first {
            subprotocol = asked.text
            if let stated = request.dialect {
                guard stated.isModAudioFork else { throw .contradicted(stated: stated, subprotocol: asked.name) }
                name = stated
            } else {
                name = asked.name
            }
        } else if let stated = request.dialect {
            name = stated
        } else if !subprotocols.isEmpty {
            throw .unknownSubprotocol
        } else if let fallback = self.defaults.dialect {
            name = fallback
        } else {
            throw .notStated
        }
        return Choice(dialect: try self.make(name, request: request), name: name, subprotocol: subprotocol)
    }

    /// RFC 6455 §4.1: subprotocol names are compared as they are, case included.
    private static func dialect(ofSubprotocol text: String) -> DialectName? {
        switch text {
        case DrachtioFork.subprotocol: .drachtioFork
        case JambonzFork.subprotocol: .jambonzFork
        default: nil
        }
    }

    private func make(_ name: DialectName, request: StreamRequest) throws(DialectError) -> any MediaDialect {
        var wire: AudioFormat = self.defaults.format
        if let encoding = request.encoding {
            wire.encoding = encoding
            // G.711 has one rate: an address that says the law has said it.
            if encoding != .l16 { wire = AudioFormat(encoding, .narrowband) }
        }
        if let rate = request.rate { wire.rate = rate }
        if let channels = request.channels { wire.channels = channels }
        switch name {
        case .modAudioStream: return try ModAudioStream(wire: wire)
        case .modAudioStreamFork: return try ModAudioStreamFork(wire: wire, warmUp: self.defaults.warmUp)
        case .binaryDown:
            var down = AudioFormat(wire.encoding, wire.rate)
            if down.encoding == .l16, let rate = self.defaults.downlinkRate { down.rate = rate }
            return try BinaryDown(
                wire: wire, downlink: down, style: self.defaults.binaryStyle, flushText: self.defaults.flushText)
        case .drachtioFork: return try DrachtioFork(wire: wire, flush: self.defaults.drachtioFlush)
        case .jambonzFork: return try JambonzFork(wire: wire, channelRate: self.defaults.downlinkRate)
        }
    }
}
