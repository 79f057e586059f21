import Networking
import Telephony

/// Why no audio can be had from a session description. Each has a status and a sentence for the other end's log.
package enum MediaRefusal: Error, Equatable, CustomStringConvertible {
    case malformed
    case addressNotNumeric
    case noAudio
    case encryptedOnly
    case noAcceptableCodec

    /// RFC 3261 §21.4.26: what was offered is understood and not acceptable here; §21.4.1: it is not understood.
    package var status: SIPStatus { self == .malformed ? .badRequest : .notAcceptableHere }

    /// RFC 3261 §20.43.
    var warning: (code: Int, text: StaticString) {
        switch self {
        case .malformed: (399, "The session description cannot be read")
        case .addressNotNumeric: (300, "c= must be a numeric address")
        case .noAudio: (304, "No audio stream over RTP/AVP is offered")
        case .encryptedOnly: (302, "Only SRTP is offered: offer RTP/AVP")
        case .noAcceptableCodec: (305, "Neither PCMU nor PCMA at 8000 Hz is offered")
        }
    }

    package var description: String { self.warning.text.description }
}

/// What both ends have agreed on: everything that an RTP socket has to know.
package struct MediaAgreement: Sendable, Equatable {
    /// Which `m=` line of the other end's it is about.
    package var stream: Int
    /// `pcmu` or `pcma`.
    package var encoding: AudioEncoding
    package var payloadType: UInt8
    /// RFC 4733's payload type. Nil: digits come by INFO or not at all.
    package var telephoneEvent: UInt8?
    /// Audio in one packet, both ways.
    package var packetTime: Duration
    /// Where our RTP goes. Nil: nowhere, the other end is on hold by `c=0.0.0.0`.
    package var remote: SocketAddress?
    package var remoteRTCP: SocketAddress?
    /// RTCP comes and goes on RTP's port (RFC 5761): both ends have said so.
    package var multiplexesRTCP: Bool
    /// What we may do.
    package var direction: MediaDirection

    package init(
        stream: Int = 0, encoding: AudioEncoding, payloadType: UInt8, telephoneEvent: UInt8? = nil,
        packetTime: Duration = .milliseconds(20), remote: SocketAddress?, remoteRTCP: SocketAddress? = nil,
        multiplexesRTCP: Bool = false, direction: MediaDirection = .sendReceive
    ) {
        self.stream = stream
        self.encoding = encoding
        self.payloadType = payloadType
        self.telephoneEvent = telephoneEvent
        self.packetTime = packetTime
        self.remote = remote
        self.remoteRTCP = remoteRTCP
        self.multiplexesRTCP = multiplexesRTCP
        self.direction = direction
    }

    /// Whether the other end does not listen to us: it put us on hold.
    package var isHeld: Bool { !self.direction.sends }
}

/// The rules by which an offer becomes an agreement (RFC 3264 §6). Pure: the same offer, the same agreement.
package struct MediaRules: Sendable, Equatable {
    /// What we take, the one we like best first.
    package var encodings: [AudioEncoding]
    /// The offer's order counts (RFC 3264 §6.1 recommends it); else ours.
    package var followsOffer: Bool
    /// Used where the offer states none that we can serve.
    package var packetTime: Duration
    /// Whether the RTP socket takes RTCP on the same port.
    package var multiplexesRTCP: Bool

    package init(
        encodings: [AudioEncoding] = [.pcmu, .pcma], followsOffer: Bool = true,
        packetTime: Duration = .milliseconds(20), multiplexesRTCP: Bool = false
    ) {
        self.encodings = encodings.filter { $0 != .l16 }
        self.followsOffer = followsOffer
        self.packetTime = packetTime
        self.multiplexesRTCP = multiplexesRTCP
    }

    /// What audio can be had from `description`, an offer or an answer to ours.
    ///
    /// `wanted`: what we would do now (less than both ways while we hold the call ourselves). `current`: what is in
    /// force; a codec that is still offered is kept, so that a hold does not change the sound.
    package func agreement(
        with description: SessionDescription, wanted: MediaDirection = .sendReceive, current: MediaAgreement? = nil
    ) throws(MediaRefusal) -> MediaAgreement {
        let audio = description.media.enumerated().filter { $1.kind == "audio" && $1.port != 0 }
        guard !audio.isEmpty else { throw .noAudio }
        let plain = audio.filter { $1.transport == "RTP/AVP" }
        guard !plain.isEmpty else {
            throw audio.contains { $1.transport.contains("SAVP") } ? .encryptedOnly : .noAudio
        }
        for (index, media) in plain {
            guard let codec = self.codec(in: media, current: current) else { continue }
            // Without an address there is nowhere to send to, whatever the direction says (RFC 3264 §8.4).
            let theirs =
                media.address == nil
                ? media.direction.limited(to: .sendOnly) : media.direction
            let remote = media.address?.with(port: media.port)
            return MediaAgreement(
                stream: index, encoding: codec.encoding, payloadType: codec.payloadType,
                telephoneEvent: Self.telephoneEvent(in: media), packetTime: self.packetTime(of: media), remote: remote,
                remoteRTCP: remote == nil ? nil : media.rtcp,
                multiplexesRTCP: media.multiplexesRTCP && self.multiplexesRTCP,
                direction: theirs.reversed.limited(to: wanted))
        }
        throw .noAcceptableCodec
    }

    private func codec(
        in media: SessionDescription.Media, current: MediaAgreement?
    ) -> (encoding: AudioEncoding, payloadType: UInt8)? {
        let usable = media.formats.compactMap { format in
            Self.encoding(of: format).flatMap { encoding in
                self.encodings.contains(encoding) ? (encoding: encoding, payloadType: format.payloadType) : nil
            }
        }
        if let current, let kept = usable.first(where: { $0.encoding == current.encoding }) { return kept }
        if self.followsOffer { return usable.first }
        for encoding in self.encodings {
            if let liked = usable.first(where: { $0.encoding == encoding }) { return liked }
        }
        return nil
    }

    /// RFC 3551 §6: 0 is PCMU and 8 is PCMA without any `rtpmap`; an `rtpmap` that says otherwise is believed.
    private static func encoding(of format: SessionDescription.Format) -> AudioEncoding? {
        guard let name = format.name else {
            switch format.payloadType {
            case 0: return .pcmu
            case 8: return .pcma
            default: return nil
            }
        }
        guard format.rate == 8000, format.channels == 1 else { return nil }
        switch name.uppercased() {
        case "PCMU": return .pcmu
        case "PCMA": return .pcma
        default: return nil
        }
    }

    /// At the codec's own clock: an event at 48000 Hz belongs to Opus.
    private static func telephoneEvent(in media: SessionDescription.Media) -> UInt8? {
        media.formats.first {
            $0.name?.lowercased() == "telephone-event" && $0.rate == 8000 && $0.payloadType >= 96
        }?.payloadType
    }

    /// The other end's wish where it can be served: 10 to 60 ms in steps of 10, and not above its own maximum.
    private func packetTime(of media: SessionDescription.Media) -> Duration {
        let possible = stride(from: 10, through: 60, by: 10)
        var wish = self.packetTime.milliseconds
        if let stated = media.packetTime, possible.contains(stated) { wish = stated }
        if let longest = media.longestPacketTime, longest >= 10 { wish = min(wish, longest / 10 * 10) }
        return .milliseconds(wish)
    }
}
