import Networking
import Telephony

/// Which way audio may go, seen by whoever says it (RFC 3264 §5.1).
package enum MediaDirection: String, Sendable, CaseIterable {
    case sendReceive = "sendrecv"
    case sendOnly = "sendonly"
    case receiveOnly = "recvonly"
    case inactive

    package init(sends: Bool, receives: Bool) {
        switch (sends, receives) {
        case (true, true): self = .sendReceive
        case (true, false): self = .sendOnly
        case (false, true): self = .receiveOnly
        case (false, false): self = .inactive
        }
    }

    package var sends: Bool { self == .sendReceive || self == .sendOnly }
    package var receives: Bool { self == .sendReceive || self == .receiveOnly }

    /// The same, seen from the other end.
    package var reversed: MediaDirection { MediaDirection(sends: self.receives, receives: self.sends) }

    /// What is left when both allow it.
    package func limited(to other: MediaDirection) -> MediaDirection {
        MediaDirection(sends: self.sends && other.sends, receives: self.receives && other.receives)
    }
}

/// What the other end says about media (RFC 4566): all of its streams in their order, for the answer must name each one.
package struct SessionDescription: Sendable, Equatable {
    /// One way of writing audio.
    package struct Format: Sendable, Equatable {
        package var payloadType: UInt8
        /// As in `a=rtpmap`; nil where it is not given, which is legal for RFC 3551's static numbers.
        package var name: String?
        package var rate: Int
        package var channels: Int

        package init(payloadType: UInt8, name: String? = nil, rate: Int = 0, channels: Int = 1) {
            self.payloadType = payloadType
            self.name = name
            self.rate = rate
            self.channels = channels
        }
    }

    /// One `m=` line with what belongs to it.
    package struct Media: Sendable, Equatable {
        /// `audio`, `video`, …
        package var kind: String
        /// `RTP/AVP`, …
        package var transport: String
        /// 0: a stream that the writer refuses or ends.
        package var port: UInt16
        /// Where its RTP is to go. Nil: `c=` is missing, or names a host, which is looked up for nobody.
        package var address: SocketAddress?
        /// Where its RTCP is to go, when stated (RFC 3605).
        package var rtcp: SocketAddress?
        package var multiplexesRTCP: Bool
        /// As the writer sees it.
        package var direction: MediaDirection
        /// Milliseconds of audio in a packet, and the most of it.
        package var packetTime: Int?
        package var longestPacketTime: Int?
        package var formats: [Format]

        package init(
            kind: String = "audio", transport: String = "RTP/AVP", port: UInt16, address: SocketAddress?,
            rtcp: SocketAddress? = nil, multiplexesRTCP: Bool = false, direction: MediaDirection = .sendReceive,
            packetTime: Int? = nil, longestPacketTime: Int? = nil, formats: [Format]
        ) {
            self.kind = kind
            self.transport = transport
            self.port = port
            self.address = address
            self.rtcp = rtcp
            self.multiplexesRTCP = multiplexesRTCP
            self.direction = direction
            self.packetTime = packetTime
            self.longestPacketTime = longestPacketTime
            self.formats = formats
        }
    }

    package var media: [Media]

    package init(media: [Media]) { self.media = media }
}
