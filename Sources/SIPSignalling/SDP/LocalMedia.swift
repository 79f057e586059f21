import Networking
import Telephony

/// Our end of the audio: the socket that somebody has bound for it.
package struct LocalMedia: Sendable, Equatable {
    /// Address and port of the RTP socket. The address is written into `c=`: it must be one that the peer can reach.
    package var address: SocketAddress
    /// Where RTCP is taken, if not on the next port.
    package var rtcpPort: UInt16?

    package init(address: SocketAddress, rtcpPort: UInt16? = nil) {
        self.address = address
        self.rtcpPort = rtcpPort
    }
}

/// Writes our side of a session: offers, and answers to theirs (RFC 4566, RFC 3264). A value with one counter: the
/// version in `o=` grows when what is said changes (RFC 3264 §8).
package struct SessionWriter: Sendable {
    private let identifier: UInt64
    private var version: UInt64 = 0
    private var last: [String] = []
    /// The other streams of the session, refused, by their place: an offer of ours must name them again (RFC 3264 §8).
    private var refused: [Int: String] = [:]

    /// `identifier`: random, so that two sessions at one peer differ.
    package init(identifier: UInt64) { self.identifier = identifier & 0x7FFF_FFFF_FFFF_FFFF }

    /// The answer to `offer`: its streams in its order, all but the agreed one refused with port 0 (RFC 3264 §6).
    package mutating func answer(
        to offer: SessionDescription, with agreement: MediaAgreement, at local: LocalMedia
    ) -> String {
        self.refused = [:]
        for (index, media) in offer.media.enumerated() where index != agreement.stream {
            // libre takes letters only for the kind and no blanks in the transport: safe to repeat.
            let format = media.formats.first.map { "\($0.payloadType)" } ?? "0"
            self.refused[index] = "m=\(media.kind) 0 \(media.transport) \(format)"
        }
        return self.text(
            Self.audio(
                [(agreement.encoding, agreement.payloadType)], telephoneEvent: agreement.telephoneEvent,
                packetTime: agreement.packetTime, direction: agreement.direction,
                multiplexesRTCP: agreement.multiplexesRTCP, at: local), at: local)
    }

    /// An offer of ours: what `rules` allow, or, once there is an agreement, what is in force.
    package mutating func offer(
        _ rules: MediaRules, current: MediaAgreement?, direction: MediaDirection, at local: LocalMedia
    ) -> String {
        let encodings =
            current.map { [($0.encoding, $0.payloadType)] }
            ?? rules.encodings.map { ($0, $0 == .pcma ? 8 : 0) }
        let event: UInt8? = current.map { $0.telephoneEvent } ?? 101
        return self.text(
            Self.audio(
                encodings, telephoneEvent: event, packetTime: current?.packetTime ?? rules.packetTime,
                direction: direction, multiplexesRTCP: current?.multiplexesRTCP ?? rules.multiplexesRTCP, at: local),
            at: local)
    }

    private mutating func text(_ audio: [String], at local: LocalMedia) -> String {
        var media: [String] = []
        for index in 0...self.refused.count {
            if let refused = self.refused[index] { media.append(refused) } else { media += audio }
        }
        if media != self.last {
            self.version += 1
            self.last = media
        }
        let family = local.address.isIPv6 ? "IP6" : "IP4"
        let head = [
            "v=0", "o=- \(self.identifier) \(self.version) IN \(family) \(local.address.host)", "s=-",
            "c=IN \(family) \(local.address.host)", "t=0 0",
        ]
        return (head + media).map { $0 + "\r\n" }.joined()
    }

    private static func audio(
        _ encodings: [(encoding: AudioEncoding, payloadType: UInt8)], telephoneEvent: UInt8?, packetTime: Duration,
        direction: MediaDirection, multiplexesRTCP: Bool, at local: LocalMedia
    ) -> [String] {
        let types = encodings.map(\.payloadType) + [telephoneEvent].compactMap { $0 }
        var lines = ["m=audio \(local.address.port) RTP/AVP \(types.map(String.init).joined(separator: " "))"]
        for (encoding, payloadType) in encodings {
            lines.append("a=rtpmap:\(payloadType) \(encoding == .pcma ? "PCMA" : "PCMU")/8000")
        }
        if let telephoneEvent {
            lines.append("a=rtpmap:\(telephoneEvent) telephone-event/8000")
            // The sixteen digits of RFC 4733 §3.2; flash and the tones beyond are not for us.
            lines.append("a=fmtp:\(telephoneEvent) 0-15")
        }
        lines.append("a=ptime:\(packetTime.milliseconds)")
        if let port = local.rtcpPort { lines.append("a=rtcp:\(port)") }
        if multiplexesRTCP { lines.append("a=rtcp-mux") }
        lines.append("a=\(direction.rawValue)")
        return lines
    }
}
