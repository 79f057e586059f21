import Audio
import Telephony

/// The sending half of a leg: frames of 20 ms in, packets out.
///
/// Driving it: `send` every 20 ms, with the agent's frame or with none. Something leaves each time, silence too, for a
/// switch with `media_timeout` takes a leg that falls silent for a dead one (and that is how a caller is saved when this
/// process dies). Digits take the place of audio while they sound.
package struct RTPSender: Sendable {
    package struct Configuration: Sendable {
        package var law: G711.Law
        /// What the peer's SDP says; nil: digits cannot be sent.
        package var telephoneEvent: UInt8?
        /// Random numbers (RFC 3550 §5.1: so that two streams, or two runs of one, are never taken for each other).
        package var ssrc: UInt32
        package var firstSequenceNumber: UInt16
        package var firstTimestamp: UInt32

        package init(
            law: G711.Law, telephoneEvent: UInt8? = 101, ssrc: UInt32, firstSequenceNumber: UInt16,
            firstTimestamp: UInt32
        ) {
            self.law = law
            self.telephoneEvent = telephoneEvent
            self.ssrc = ssrc
            self.firstSequenceNumber = firstSequenceNumber
            self.firstTimestamp = firstTimestamp
        }
    }

    package let configuration: Configuration
    package private(set) var packetsSent = 0
    package private(set) var bytesSent = 0
    /// The timestamp of the next frame.
    package private(set) var timestamp: UInt32

    private var sequenceNumber: UInt16
    private var wasTalking = false
    private var hasSent = false
    private var lastSend: Duration = .zero
    private var digits: TelephoneEventSender

    /// Samples of a packet.
    private static let frame = 160
    /// A gap of this much in our own ticks is made good in the timestamps: the peer's clock went on.
    private static let longestDelay: Duration = .milliseconds(200)

    package init(configuration: Configuration) {
        self.configuration = configuration
        self.timestamp = configuration.firstTimestamp
        self.sequenceNumber = configuration.firstSequenceNumber
        self.digits = TelephoneEventSender()
    }

    /// Queues a key (0–9, `*`, `#`, A–D) of `length`. False when it cannot be sent: no such key, too long a queue, or the
    /// peer takes no telephone-event (then SIP INFO remains).
    package mutating func press(_ digit: Redacted<Character>, length: Duration = .milliseconds(160)) -> Bool {
        guard self.configuration.telephoneEvent != nil, let code = TelephoneEvent.code(of: digit.value) else {
            return false
        }
        return self.digits.enqueue(code, length: length)
    }

    /// Whether digits are still being sent.
    package var isPressing: Bool { self.digits.isBusy }

    /// Appends the packet that is due. `frame`: 160 codes of the law, or empty where the agent says nothing (silence then
    /// leaves). A frame is lost while a digit sounds.
    package mutating func send(_ frame: UnsafeRawBufferPointer, at now: Duration, into packet: inout [UInt8]) {
        if self.hasSent, now - self.lastSend > RTPSender.longestDelay {
            let missed: Int64 = MediaClock.samples(now - self.lastSend) / Int64(RTPSender.frame) - 1
            self.timestamp &+= UInt32(truncatingIfNeeded: missed * Int64(RTPSender.frame))
            self.wasTalking = false
        }
        self.lastSend = now
        if let type = self.configuration.telephoneEvent, let step = self.digits.next(at: self.timestamp) {
            self.write(type, marker: step.isFirst, timestamp: step.timestamp, into: &packet)
            step.event.write(into: &packet)
            self.account(payload: 4, samples: RTPSender.frame)
            return
        }
        // RFC 3551 §4.1: the marker says where a talkspurt begins.
        let isTalking: Bool = !frame.isEmpty
        self.write(
            self.configuration.law.payloadType, marker: (isTalking && !self.wasTalking) || !self.hasSent,
            timestamp: self.timestamp, into: &packet)
        self.wasTalking = isTalking
        if isTalking {
            packet.append(contentsOf: frame)
        } else {
            packet.append(contentsOf: repeatElement(self.configuration.law.silence, count: RTPSender.frame))
        }
        let samples: Int = isTalking ? frame.count : RTPSender.frame
        self.account(payload: samples, samples: samples)
    }

    /// Appends a description of our background in place of a frame (RFC 3389): for a peer that offered payload type 13.
    package mutating func send(_ noise: ComfortNoise.Description, at now: Duration, into packet: inout [UInt8]) {
        self.lastSend = now
        self.wasTalking = false
        self.write(13, marker: false, timestamp: self.timestamp, into: &packet)
        noise.write(into: &packet)
        self.account(payload: 1 + noise.order, samples: RTPSender.frame)
    }

    private func write(_ type: UInt8, marker: Bool, timestamp: UInt32, into packet: inout [UInt8]) {
        RTPPacket(
            marker: marker, payloadType: type, sequenceNumber: self.sequenceNumber, timestamp: timestamp,
            ssrc: self.configuration.ssrc
        ).writeHeader(into: &packet)
    }

    private mutating func account(payload: Int, samples: Int) {
        self.hasSent = true
        self.sequenceNumber &+= 1
        self.timestamp &+= UInt32(samples)
        self.packetsSent += 1
        self.bytesSent += payload
    }
}

/// Turns keys into telephone-event packets, one a frame (RFC 4733 §2.5.1).
package struct TelephoneEventSender: Sendable {
    package struct Step: Sendable, Equatable {
        package var event: TelephoneEvent
        package var timestamp: UInt32
        /// The marker bit (§2.5.1.1).
        package var isFirst: Bool
    }

    private struct Key {
        var code: UInt8
        /// Samples it shall last.
        var length: Int
    }

    private var waiting: [Key] = []
    private var sounding: (key: Key, start: UInt32, duration: Int, endsLeft: Int)?
    /// Frames of silence before the next key may begin.
    private var pause = 0

    private static let frame = 160
    /// A number with its pauses; more is a mistake of whoever asks.
    private static let mostWaiting = 64
    /// 60 ms between keys: 40 is the least that exchanges must hear (ITU-T Q.24).
    private static let framesBetween = 3
    /// §2.5.1.4: the end packet is sent three times.
    private static let endPackets = 3

    package init() {}

    package var isBusy: Bool { self.sounding != nil || !self.waiting.isEmpty }

    /// False when too many wait. Lengths are held to 40 ms … 6 s, so that no event needs a second segment.
    package mutating func enqueue(_ code: UInt8, length: Duration) -> Bool {
        guard self.waiting.count < TelephoneEventSender.mostWaiting else { return false }
        let samples: Int64 = min(48_000, max(320, MediaClock.samples(length)))
        self.waiting.append(Key(code: code, length: Int(samples)))
        return true
    }

    /// What is to be sent in the frame at `timestamp`; nil: audio.
    package mutating func next(at timestamp: UInt32) -> Step? {
        if self.sounding == nil {
            guard !self.waiting.isEmpty else {
                self.pause = max(0, self.pause - 1)
                return nil
            }
            guard self.pause == 0 else {
                self.pause -= 1
                return nil
            }
            self.sounding = (self.waiting.removeFirst(), timestamp, 0, TelephoneEventSender.endPackets)
        }
        guard var sounding = self.sounding else { return nil }
        let isFirst: Bool = sounding.duration == 0
        if sounding.duration < sounding.key.length { sounding.duration += TelephoneEventSender.frame }
        let isEnd: Bool = sounding.duration >= sounding.key.length
        if isEnd { sounding.endsLeft -= 1 }
        let step = Step(
            event: TelephoneEvent(
                code: sounding.key.code, isEnd: isEnd, duration: UInt16(clamping: sounding.duration)),
            timestamp: sounding.start, isFirst: isFirst)
        if isEnd, sounding.endsLeft == 0 {
            self.sounding = nil
            self.pause = TelephoneEventSender.framesBetween
        } else {
            self.sounding = sounding
        }
        return step
    }
}
