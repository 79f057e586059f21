import Audio
import Telephony

/// The receiving half of a leg: datagrams and the time in; a frame every 20 ms, digits and figures out.
///
/// Driving it: `received` for each datagram of the RTP port as it comes, `pull` every 20 ms, whether anything came or not.
/// Neither allocates in steady state. While nothing is lost a frame is the peer's own codes, never decoded.
package struct RTPReceiver: Sendable {
    package struct Configuration: Sendable {
        /// What frames are given out in: the codec that was negotiated.
        package var law: G711.Law
        /// Whether the other law is taken too (both were in our answer), and translated.
        package var acceptsOtherLaw: Bool
        /// The payload type of telephone-event, as the offer names it (FreeSWITCH: 101). Nil: not negotiated.
        package var telephoneEvent: UInt8?
        /// RFC 3551: 13, static.
        package var comfortNoise: UInt8
        package var limits: JitterBuffer.Limits
        package var latching: RTPSourceLatch.Policy
        /// Any number; the comfort noise follows from it.
        package var noiseSeed: UInt64

        package init(
            law: G711.Law, acceptsOtherLaw: Bool = false, telephoneEvent: UInt8? = 101,
            limits: JitterBuffer.Limits = .standard, latching: RTPSourceLatch.Policy = .announcedHost,
            noiseSeed: UInt64 = 1
        ) {
            self.law = law
            self.acceptsOtherLaw = acceptsOtherLaw
            self.telephoneEvent = telephoneEvent
            self.comfortNoise = 13
            self.limits = limits
            self.latching = latching
            self.noiseSeed = noiseSeed
        }
    }

    package let configuration: Configuration
    package private(set) var latch: RTPSourceLatch
    private var sequence = RTPSequence()
    private var timeline = MediaTimeline()
    private var buffer: JitterBuffer
    private var digits = TelephoneEventReceiver()
    private var jitter = InterarrivalJitter()
    private var ssrc: UInt32?
    /// An SSRC that has shown itself once: it needs a second packet in order (RFC 3550 A.1).
    private var candidate: (ssrc: UInt32, next: UInt16)?
    /// The next audio packet is of a source whose clock has nothing to do with the last one's.
    private var isNewSource = false
    private var origin: Duration?
    /// When a packet of the source that is heard last came; nil: none has.
    private(set) var lastAccepted: Duration?
    /// Of sources that are gone.
    private var past = RTPStatistics()

    package init(configuration: Configuration, announced: RTPAddress?) {
        self.configuration = configuration
        self.latch = RTPSourceLatch(announced: announced, policy: configuration.latching)
        self.buffer = JitterBuffer(
            law: configuration.law, limits: configuration.limits, noiseSeed: configuration.noiseSeed)
    }

    // MARK: Events in the order of a call

    /// Signalling named the peer's address.
    package mutating func announce(_ address: RTPAddress) { self.latch.announce(address) }

    /// The leg is on hold or taken up again: what waits is of the past.
    package mutating func clear() { self.buffer.clear() }

    /// A datagram of the RTP port. Any bytes from anybody.
    package mutating func received(
        _ datagram: UnsafeRawBufferPointer, from source: RTPAddress, at now: Duration, into events: inout [RTPEvent]
    ) {
        let packet: RTPPacket
        do throws(RTPPacketError) { packet = try RTPPacket(parsing: datagram) } catch {
            self.past.packetsInvalid += 1
            return
        }
        guard let content = self.content(of: packet) else {
            self.past.packetsInvalid += 1
            return
        }
        switch self.latch.judge(packet, from: source, at: now) {
        case .refused: return
        case .latched: events.append(.remoteLatched(source))
        case .accepted: break
        }
        guard self.admit(packet, into: &events) else {
            self.past.packetsInvalid += 1
            return
        }
        self.lastAccepted = max(self.lastAccepted ?? now, now)
        let number: Int64
        switch self.sequence.accept(packet.sequenceNumber) {
        case .ahead(let extended, _), .reordered(let extended): number = extended
        case .restarted(let extended):
            number = extended
            self.isNewSource = true
            self.sourceChanged(into: &events)
        case .duplicate: return
        case .implausible:
            self.past.packetsInvalid += 1
            return
        }
        let payload = UnsafeRawBufferPointer(rebasing: datagram[packet.payload])
        switch content {
        case .audio(let law): self.take(payload, law: law, packet, number, at: now)
        case .noise: self.takeNoise(payload, packet, number, at: now)
        case .event: self.takeEvent(payload, packet, number, at: now, into: &events)
        }
    }

    /// Appends the frame that is due: 160 codes of the configured law, always. Every 20 ms; a shell whose tick came late
    /// pulls once for each that it missed.
    package mutating func pull(
        at now: Duration, into frame: inout [UInt8], events: inout [RTPEvent]
    ) -> RTPFrameKind {
        self.digits.elapsed(at: now) { RTPReceiver.append($0, to: &events) }
        return self.buffer.pull(at: self.samples(now), accountedBy: self.sequence, into: &frame)
    }

    // MARK: State

    /// Where replies go.
    package var remote: RTPAddress? { self.latch.remote }
    /// The depth that the buffer wants now.
    package var depth: Duration { self.buffer.depth }
    /// The source that is heard.
    package var source: UInt32? { self.ssrc }

    package var statistics: RTPStatistics {
        var statistics = self.past
        statistics.packetsReceived += self.sequence.received
        statistics.packetsExpected += self.sequence.expected
        statistics.packetsLost += self.sequence.lost
        statistics.packetsReordered += self.sequence.reordered
        statistics.packetsDuplicated += self.sequence.duplicates
        statistics.sourceChanges += self.sequence.restarts
        statistics.packetsForeign = self.latch.refused
        statistics.timelineJumps = self.timeline.jumps
        let counts: JitterBuffer.Counts = self.buffer.counts
        statistics.packetsLate = counts.late
        statistics.packetsInvalid += counts.overflowed
        statistics.audioPlayed = MediaClock.duration(counts.played)
        statistics.audioConcealed = MediaClock.duration(counts.concealed)
        statistics.silencePlayed = MediaClock.duration(counts.silent)
        statistics.jitter = self.jitter.duration
        statistics.jitterMost = MediaClock.duration(max(self.jitter.most, 0))
        statistics.depthMean = MediaClock.duration(Int(counts.depthSum) / max(1, counts.measured))
        statistics.depthMost = MediaClock.duration(Int(counts.depthMost))
        return statistics
    }

    /// What a receiver report says of the present source; the counters of the interval begin anew.
    package mutating func takeReport() -> RTCPReportBlock? {
        guard let ssrc = self.ssrc, self.sequence.highest != nil else { return nil }
        return RTCPReportBlock(
            ssrc: ssrc, fractionLost: self.sequence.takeFractionLost(),
            cumulativeLost: Int32(clamping: self.sequence.lost), highestSequence: self.sequence.reportedHighest,
            jitter: UInt32(clamping: self.jitter.samples), lastSenderReport: 0, delaySinceLastSenderReport: 0)
    }

    // MARK: Steps

    private enum Content {
        case audio(G711.Law)
        case noise
        case event
    }

    private func content(of packet: RTPPacket) -> Content? {
        let configuration: Configuration = self.configuration
        let type: UInt8 = packet.payloadType
        if type == configuration.law.payloadType { return .audio(configuration.law) }
        if type == configuration.telephoneEvent { return .event }
        if type == configuration.comfortNoise { return .noise }
        guard configuration.acceptsOtherLaw else { return nil }
        let other: G711.Law = configuration.law == .mu ? .a : .mu
        return type == other.payloadType ? .audio(other) : nil
    }

    /// Whether the packet's SSRC is the one that is heard, or has become it.
    private mutating func admit(_ packet: RTPPacket, into events: inout [RTPEvent]) -> Bool {
        guard let present = self.ssrc else {
            self.ssrc = packet.ssrc
            self.isNewSource = true
            return true
        }
        if packet.ssrc == present {
            self.candidate = nil
            return true
        }
        guard let candidate = self.candidate, candidate.ssrc == packet.ssrc,
            candidate.next == packet.sequenceNumber
        else {
            self.candidate = (packet.ssrc, packet.sequenceNumber &+ 1)
            return false
        }
        self.candidate = nil
        self.ssrc = packet.ssrc
        self.isNewSource = true
        self.past.add(self.sequence)
        self.past.sourceChanges += 1
        self.sequence = self.sequence.successor()
        self.sourceChanged(into: &events)
        return true
    }

    private mutating func sourceChanged(into events: inout [RTPEvent]) {
        self.digits.sourceChanged { RTPReceiver.append($0, to: &events) }
        self.jitter.sourceChanged()
        events.append(.sourceChanged)
    }

    private mutating func take(
        _ payload: UnsafeRawBufferPointer, law: G711.Law, _ packet: RTPPacket, _ number: Int64, at now: Duration
    ) {
        guard (1...JitterBuffer.longestPacket).contains(payload.count) else {
            self.past.packetsInvalid += 1
            return
        }
        let arrival: Int64 = self.samples(now)
        self.jitter.add(timestamp: packet.timestamp, arrival: arrival)
        guard let place = self.place(packet, number, samples: payload.count, arrival: arrival) else { return }
        self.store(payload, law, at: place, number, arrival)
    }

    private mutating func store(
        _ payload: UnsafeRawBufferPointer, _ law: G711.Law, at place: Int64, _ number: Int64, _ arrival: Int64
    ) {
        var place: Int64 = place
        if self.buffer.isBehind(place, arrival: arrival) {
            if let moved = self.timeline.cameLate(place: place, arrival: arrival) {
                place = moved
                self.buffer.lineMoved()
            }
        } else {
            self.timeline.cameInTime(place: place, arrival: arrival)
        }
        _ = self.buffer.insert(payload, law: law, at: place, sequence: number, arrival: arrival)
    }

    private mutating func takeNoise(
        _ payload: UnsafeRawBufferPointer, _ packet: RTPPacket, _ number: Int64, at now: Duration
    ) {
        guard let description = ComfortNoise.Description(parsing: payload) else {
            self.past.packetsInvalid += 1
            return
        }
        guard let place = self.place(packet, number, samples: 0, arrival: self.samples(now)) else { return }
        _ = self.buffer.insert(noise: description, at: place, sequence: number)
    }

    private mutating func takeEvent(
        _ payload: UnsafeRawBufferPointer, _ packet: RTPPacket, _ number: Int64, at now: Duration,
        into events: inout [RTPEvent]
    ) {
        guard let event = TelephoneEvent(parsing: payload) else {
            self.past.packetsInvalid += 1
            return
        }
        self.buffer.pauseAnnounced()
        self.digits.received(event, timestamp: packet.timestamp, sequence: number, at: now) { report in
            if case .began = report { self.past.digits += 1 }
            RTPReceiver.append(report, to: &events)
        }
    }

    private mutating func place(_ packet: RTPPacket, _ number: Int64, samples: Int, arrival: Int64) -> Int64? {
        let isNewSource: Bool = self.isNewSource
        self.isNewSource = false
        let jumps: Int = self.timeline.jumps
        let place: Int64? = self.timeline.place(
            timestamp: packet.timestamp, sequence: number, samples: samples, marker: packet.marker,
            isNewSource: isNewSource, arrival: arrival)
        if self.timeline.jumps != jumps { self.buffer.lineMoved() }
        if place == nil { self.past.packetsInvalid += 1 }
        return place
    }

    private static func append(_ report: TelephoneEventReceiver.Report, to events: inout [RTPEvent]) {
        switch report {
        case .began(let digit): events.append(.digitBegan(digit))
        case .ended(let digit, let length): events.append(.digitEnded(digit, lasted: length))
        }
    }

    /// Samples since the first datagram or pull.
    private mutating func samples(_ now: Duration) -> Int64 {
        let origin: Duration = self.origin ?? now
        self.origin = origin
        return MediaClock.samples(now - origin)
    }
}

extension RTPStatistics {
    fileprivate mutating func add(_ sequence: RTPSequence) {
        self.packetsReceived += sequence.received
        self.packetsExpected += sequence.expected
        self.packetsLost += sequence.lost
        self.packetsReordered += sequence.reordered
        self.packetsDuplicated += sequence.duplicates
        self.sourceChanges += sequence.restarts
    }
}

/// The smoothed variation of the packets' spacing (RFC 3550 §6.4.1, A.8), in samples.
package struct InterarrivalJitter: Sendable {
    private var transit: Int64?
    private var lastTimestamp: UInt32 = 0
    private var place: Int64 = 0
    /// Times 16, as in A.8, so that the division loses nothing.
    private var scaled: Int64 = 0
    package private(set) var most = 0

    package init() {}

    package var samples: Int { Int(self.scaled >> 4) }
    package var duration: Duration { MediaClock.duration(self.samples) }

    package mutating func add(timestamp: UInt32, arrival: Int64) {
        self.place += Int64(Int32(bitPattern: timestamp &- self.lastTimestamp))
        self.lastTimestamp = timestamp
        let transit: Int64 = arrival - self.place
        defer { self.transit = transit }
        // A clock that jumped (a second and more) is no jitter.
        guard let last = self.transit, abs(transit - last) < 8000 else { return }
        self.scaled += abs(transit - last) - ((self.scaled + 8) >> 4)
        self.most = max(self.most, self.samples)
    }

    package mutating func sourceChanged() { self.transit = nil }
}
