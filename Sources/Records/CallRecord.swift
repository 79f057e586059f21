import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The call detail record (`voip_cdr`): written once, when a call is over.
package struct CallRecord: Sendable, Equatable {
    package enum Direction: String, Sendable, CaseIterable { case inbound, outbound }

    package var id: CallID
    package var tenant: TenantID
    /// The assistant that answered; nil when the call was refused before one was found.
    package var assistant: AssistantID?
    package var direction: Direction = .inbound
    package var caller: Redacted<String>?
    package var dialed: Redacted<String>?
    /// The phone leg's dialect, a slug.
    package var dialect: String?
    /// Back ends that spoke, in the order of their use.
    package var providers: [ProviderName] = []

    package var startedAt: Date
    /// The first agent audio left for the phone; nil: never answered.
    package var answeredAt: Date?
    package var endedAt: Date

    package var termination: CallTermination
    /// Where the caller was handed to.
    package var transferredTo: TransferDestination?
    /// The recording's path, with the recordings folder before it.
    package var recording: String?
    package var quality: CallQuality = CallQuality()
    package var usage: CallUsage = CallUsage()
    /// Nil: written by a version that did not count.
    package var cost: CallCost?
    /// The gateway node that carried the call.
    package var node: String?

    package init(id: CallID, tenant: TenantID, startedAt: Date, endedAt: Date, termination: CallTermination) {
        self.id = id
        self.tenant = tenant
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.termination = termination
    }

    /// From the first signal to the last hang-up; a clock that was set back counts as zero.
    package var duration: Duration {
        let seconds = self.endedAt.timeIntervalSince(self.startedAt)
        // 1e9 s is 31 years: a clock that jumped must not overflow what reads this.
        return .milliseconds(seconds.isFinite ? Int64((min(max(seconds, 0), 1e9) * 1000).rounded()) : 0)
    }
}

/// How a call sounded and how quickly it answered.
package struct CallQuality: Sendable, Equatable {
    /// Dry frames inside an utterance (idle silence is not counted).
    package var underruns: Int = 0
    package var bargeIns: Int = 0
    /// Barge-ins that turned out to be noise: the agent resumed.
    package var falseInterruptions: Int = 0
    /// Time to first audio over the call's turns.
    package var latencyMedian: Duration?
    package var latencyP95: Duration?
    package var uplinkBytes: Int = 0
    package var downlinkBytes: Int = 0
    /// What the leg measured of the network; nil where it measures nothing (WebSocket, unicast).
    package var media: MediaQuality?
    package init() {}
}

/// What an RTP leg measured: RFC 3550's figures at the end of the call.
package struct MediaQuality: Sendable, Equatable {
    /// Packets that came, that never came, and that came too late to be heard.
    package var received: Int = 0
    package var lost: Int = 0
    package var late: Int = 0
    /// Interarrival jitter (RFC 3550 §6.4.1).
    package var jitter: Duration = .zero
    /// By RTCP, where the far side answers.
    package var roundTrip: Duration?
    /// Estimated mean opinion score, 1 to 4.5 (ITU-T G.107, from loss and delay).
    package var score: Double = 0
    package init() {}
}

/// What the call used up at its providers, in their units.
package struct CallUsage: Sendable, Equatable {
    package var inputTextTokens: Int = 0
    package var inputAudioTokens: Int = 0
    package var cachedTokens: Int = 0
    package var outputTextTokens: Int = 0
    package var outputAudioTokens: Int = 0
    /// Characters that were given to a voice.
    package var characters: Int = 0
    /// Audio that was given to a recogniser.
    package var heard: Duration = .zero
    /// How long sessions stood that are billed by their length.
    package var connected: Duration = .zero
    package init() {}
}

/// What something cost at its providers, by the price table of its day.
package struct CallCost: Sendable, Equatable {
    /// All of it, in millionths of `currency`; nil: the price of a part is unknown. Never zero for "unknown".
    package var micros: Int?
    /// The part whose price is known.
    package var knownMicros: Int
    /// ISO 4217.
    package var currency: String
    /// The price table's date.
    package var priceDate: String
    package init(micros: Int?, knownMicros: Int, currency: String, priceDate: String) {
        self.micros = micros
        self.knownMicros = knownMicros
        self.currency = currency
        self.priceDate = priceDate
    }
}

/// What a tenant's calls of one UTC day cost, in one currency.
package struct DailyCost: Sendable, Equatable {
    /// As 2026-11-21.
    package var day: String
    /// Empty: calls from before costs were counted.
    package var currency: String
    package var calls: Int
    package var duration: Duration
    /// Calls of which a part has no known price.
    package var unknownCalls: Int
    /// Of all calls, what is known.
    package var knownMicros: Int
    package init(
        day: String, currency: String, calls: Int, duration: Duration, unknownCalls: Int, knownMicros: Int
    ) {
        self.day = day
        self.currency = currency
        self.calls = calls
        self.duration = duration
        self.unknownCalls = unknownCalls
        self.knownMicros = knownMicros
    }
}
