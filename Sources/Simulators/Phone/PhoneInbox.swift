import Audio
import MediaDialects
import Telephony

/// Understands what a gateway sends as a module would, and fills the ear.
struct PhoneInbox: Sendable {
    /// What a message was.
    enum Meaning: Equatable {
        case audio
        case flush
        case mark
        /// `disconnect` of mod_audio_fork: the module closes.
        case disconnect
        /// The module hands it to its controller, or drops it.
        case ignored
    }

    private let dialect: PhoneModule
    private let downlink: AudioFormat
    private let channelLaw: AudioEncoding
    private let rate: SampleRate
    /// For what comes in another format than the ear's; made anew when the stated format changes.
    private var transcoder: Transcoder?
    private var decoded: [UInt8] = []
    private var linear: [UInt8] = []
    private var samples: [Int16] = []
    private var codes: [UInt8] = []

    init(_ configuration: PhoneConfiguration) {
        self.dialect = configuration.dialect
        self.downlink = configuration.downlink
        self.channelLaw = configuration.channelLaw
        self.rate = configuration.earRate
    }

    mutating func received(
        _ kind: MessageKind, _ message: UnsafeRawBufferPointer, at now: Duration, ear: inout PhoneEar
    ) -> Meaning {
        switch kind {
        case .binary:
            switch self.dialect {
            case .binary, .binaryPCMU, .jambonz, .unicast, .rtp: break
            case .modAudioStream, .forkPCMU, .forkPCMA, .forkL16, .drachtio: return .ignored
            }
            return self.play(message, as: self.downlink, isFile: false, at: now, ear: &ear)
        case .text:
            guard let scan = try? JSONScan(message), let type = scan["type"] else { return .ignored }
            if self.dialect == .drachtio || self.dialect == .jambonz {
                return self.forkText(type, scan, at: now, ear: &ear)
            }
            return self.streamText(type, scan, at: now, ear: &ear)
        }
    }

    // MARK: mod_audio_stream and its kin

    private mutating func streamText(
        _ type: JSONScan, _ scan: JSONScan, at now: Duration, ear: inout PhoneEar
    ) -> Meaning {
        if type.isText("streamAudio") {
            guard let data = scan["data"], let format = self.statedFormat(data), let text = data["audioData"],
                self.decode(text)
            else { return .ignored }
            let isFile: Bool = self.dialect == .modAudioStream
            return self.playDecoded(as: format, isFile: isFile, at: now, ear: &ear)
        }
        let isFlush: Bool
        switch self.dialect {
        case .forkPCMU, .forkPCMA, .forkL16: isFlush = type.isText("stopAudio")
        // Which text flushes differs from build to build: the bench's list.
        case .binary, .binaryPCMU:
            isFlush =
                type.isText("stopAudio") || type.isText("killAudio") || type.isText("clear")
                || type.isText("clearAudio") || type.isText("flushAudio")
        case .modAudioStream, .drachtio, .jambonz, .unicast, .rtp: isFlush = false
        }
        guard isFlush else { return .ignored }
        return self.flush(&ear)
    }

    /// What `streamAudio` means to this module; nil: it does not play it (freeswitch.md §3.4).
    private func statedFormat(_ data: JSONScan) -> AudioFormat? {
        guard let type = data["audioDataType"] else { return nil }
        if self.dialect.isFork { return type.isText("raw") ? .l16(.narrowband) : nil }
        if type.isText("pcmu") { return .pcmu }
        if type.isText("pcma") { return .pcma }
        guard type.isText("raw"), let rate = data["sampleRate"]?.integer else { return nil }
        return [8000, 16000, 24000, 32000, 48000].contains(rate) ? .l16(SampleRate(hertz: rate)) : nil
    }

    // MARK: mod_audio_fork

    private mutating func forkText(
        _ type: JSONScan, _ scan: JSONScan, at now: Duration, ear: inout PhoneEar
    ) -> Meaning {
        if type.isText("playAudio") {
            guard let data = scan["data"], data["audioContentType"]?.isText("raw") == true,
                let rate = data["sampleRate"]?.integer, [8000, 16000, 24000, 32000, 48000].contains(rate),
                let text = data["audioContent"], self.decode(text)
            else { return .ignored }
            return self.playDecoded(as: .l16(SampleRate(hertz: rate)), isFile: true, at: now, ear: &ear)
        }
        if type.isText("killAudio") {
            return self.flush(&ear)
        }
        if type.isText("disconnect") { return .disconnect }
        guard self.dialect == .jambonz else { return .ignored }
        if type.isText("clearMarks") {
            ear.clearMarks()
            return .mark
        }
        guard type.isText("mark"), let name = scan["data"]?["name"]?.string, ear.mark(name) else { return .ignored }
        return .mark
    }

    /// The text that reports a mark; nothing is escaped in it, as in the module.
    static func markReport(_ name: String, isCleared: Bool, into bytes: inout [UInt8]) {
        JSONText.append("{\"type\": \"mark\", \"data\": {\"name\":", to: &bytes)
        JSONText.appendString(name, to: &bytes)
        JSONText.append(isCleared ? ", \"event\": \"cleared\"}}" : ", \"event\": \"playout\"}}", to: &bytes)
    }

    // MARK: Audio

    private mutating func flush(_ ear: inout PhoneEar) -> Meaning {
        ear.flush()
        self.transcoder?.reset()
        self.linear.removeAll(keepingCapacity: true)
        return .flush
    }

    private mutating func decode(_ text: JSONScan) -> Bool {
        guard text.kind == .string else { return false }
        self.decoded.removeAll(keepingCapacity: true)
        if !text.hasEscapes { return (try? Base64.decode(text.bytes, into: &self.decoded)) != nil }
        // "\/" is legal JSON for a character of the alphabet.
        var plain: [UInt8] = []
        text.unescape(into: &plain)
        return plain.withUnsafeBytes { (try? Base64.decode($0, into: &self.decoded)) != nil }
    }

    private mutating func playDecoded(
        as format: AudioFormat, isFile: Bool, at now: Duration, ear: inout PhoneEar
    ) -> Meaning {
        let decoded: [UInt8] = self.decoded
        self.decoded = []
        defer { self.decoded = decoded }
        return decoded.withUnsafeBytes { self.play($0, as: format, isFile: isFile, at: now, ear: &ear) }
    }

    private mutating func play(
        _ bytes: UnsafeRawBufferPointer, as format: AudioFormat, isFile: Bool, at now: Duration, ear: inout PhoneEar
    ) -> Meaning {
        if self.transcoder?.source != format {
            guard let fresh = try? Transcoder(from: format, to: .l16(self.rate)) else { return .ignored }
            self.transcoder = fresh
            self.linear.removeAll(keepingCapacity: true)
        }
        guard !bytes.isEmpty else { return .ignored }
        // At most half a sample is left from the message before.
        self.transcoder?.convert(bytes, into: &self.linear)
        if isFile { self.transcoder?.finish(into: &self.linear) }
        self.samples.removeAll(keepingCapacity: true)
        self.linear.withUnsafeBytes { self.samples.appendLittleEndian($0) }
        self.linear.removeFirst(isFile ? self.linear.count : self.linear.count / 2 * 2)
        if self.dialect.isFork { self.passThroughChannel() }
        ear.append(self.samples, at: now)
        return .audio
    }

    /// The fork writes µ-law into the channel whatever its codec: an A-law caller hears noise (freeswitch.md §3.4).
    private mutating func passThroughChannel() {
        self.codes.removeAll(keepingCapacity: true)
        self.samples.withUnsafeBufferPointer { G711.encode($0, as: .mu, into: &self.codes) }
        self.samples.removeAll(keepingCapacity: true)
        self.codes.withUnsafeBytes { G711.decode($0, as: self.channelLaw.law ?? .mu, into: &self.samples) }
    }
}
