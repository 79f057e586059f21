import CLibre
import Glibc
import Networking
import Telephony

extension SessionDescription {
    /// More streams than this are nobody's phone call.
    static let mostMedia = 16
    /// More formats than there are payload types cannot all be different.
    static let mostFormats = 128

    /// Reads the body of an INVITE or of an answer, with libre's parser. Any thread: the parser's objects live here only.
    package init(_ bytes: UnsafeRawBufferPointer) throws(MediaRefusal) {
        guard let buffer = mbuf_alloc(max(bytes.count, 1)) else { throw .malformed }
        defer { mem_deref(buffer) }
        if let base = bytes.baseAddress, bytes.count > 0 {
            guard mbuf_write_mem(buffer, base.assumingMemoryBound(to: UInt8.self), bytes.count) == 0 else {
                throw .malformed
            }
        }
        buffer.pointee.pos = 0

        // libre passes over a host name in `c=`, which would leave a call that is heard by nobody.
        for line in bytes.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") })
        where line.starts(with: Array("c=".utf8)) {
            let words = line.split(separator: UInt8(ascii: " "))
            guard words.count >= 3, SocketAddress(String(decoding: words[2], as: UTF8.self), port: 0) != nil else {
                throw .addressNotNumeric
            }
        }

        // An address of ours is asked for and, in decoding, not used.
        var nowhere = sa()
        sa_init(&nowhere, AF_INET)
        var session: OpaquePointer?
        guard sdp_session_alloc(&session, &nowhere) == 0, let session else { throw .malformed }
        defer { mem_deref(UnsafeMutableRawPointer(session)) }
        guard sdp_decode(session, buffer, true) == 0 else { throw .malformed }

        var media: [Media] = []
        var element = sdp_session_medial(session, false)?.pointee.head
        while let entry = element {
            guard media.count < Self.mostMedia, let stream = entry.pointee.data else { throw .malformed }
            media.append(Media(OpaquePointer(stream), of: session))
            element = entry.pointee.next
        }
        self.init(media: media)
    }

    package init(_ text: String) throws(MediaRefusal) {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { raw in Result { () throws(MediaRefusal) in try SessionDescription(raw) } }
        self = try result.get()
    }
}

extension SessionDescription.Media {
    fileprivate init(_ media: OpaquePointer, of session: OpaquePointer) {
        var formats: [SessionDescription.Format] = []
        var element = sdp_media_format_lst(media, false)?.pointee.head
        while let entry = element, formats.count < SessionDescription.mostFormats {
            element = entry.pointee.next
            guard let data = entry.pointee.data else { continue }
            let format = data.assumingMemoryBound(to: sdp_format.self).pointee
            // libre reads "m=audio 4000 RTP/AVP hello" as payload type 0: the text itself must be a number.
            guard let id = format.id.map({ String(cString: $0) }), let payloadType = UInt8(id), payloadType < 128 else {
                continue
            }
            formats.append(
                SessionDescription.Format(
                    payloadType: payloadType, name: format.name.map { String(cString: $0) },
                    rate: Int(format.srate), channels: Int(format.ch)))
        }

        let address = sdp_media_raddr(media).flatMap { SocketAddress(libre: $0.pointee) }
        var control = sa()
        sdp_media_raddr_rtcp(media, &control)
        let port = sdp_media_rport(media)
        // libre says "the next port" where nothing is stated, which for a port of 65535 or 0 is nowhere.
        self.init(
            kind: sdp_media_name(media).map { String(cString: $0) } ?? "",
            transport: sdp_media_proto(media).map { String(cString: $0) } ?? "",
            port: port, address: address,
            rtcp: port == 0 || port == .max ? nil : SocketAddress(libre: control),
            multiplexesRTCP: sdp_media_rattr(media, "rtcp-mux") != nil,
            // libre turns the direction round while it reads, so that it is ours.
            direction: MediaDirection(libre: sdp_media_rdir(media)).reversed,
            packetTime: Self.number(sdp_media_session_rattr(media, session, "ptime")),
            longestPacketTime: Self.number(sdp_media_session_rattr(media, session, "maxptime")),
            formats: formats)
    }

    private static func number(_ value: UnsafePointer<CChar>?) -> Int? { value.flatMap { Int(String(cString: $0)) } }
}

extension MediaDirection {
    init(libre direction: sdp_dir) {
        switch direction {
        case SDP_SENDRECV: self = .sendReceive
        case SDP_SENDONLY: self = .sendOnly
        case SDP_RECVONLY: self = .receiveOnly
        default: self = .inactive
        }
    }
}

extension SocketAddress {
    /// Nil where libre has no address, or 0.0.0.0, by which RFC 2543 put a call on hold (RFC 3264 §8.4).
    init?(libre address: sa) {
        let address = withUnsafePointer(to: address) { pointer in
            sa_isset(pointer, Int32(SA_ADDR.rawValue)) ? SocketAddress(pronto_sa_sockaddr(pointer)) : nil
        }
        guard let address else { return nil }
        self = address
    }

    /// This address as libre's.
    var libre: sa {
        var address = sa()
        self.withSockaddr { pointer, _ in _ = pronto_sa_from(&address, pointer) }
        return address
    }
}
