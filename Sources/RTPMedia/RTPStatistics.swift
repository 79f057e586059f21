import Telephony

/// The quality of a leg's media, as it stands: for the CDR at the end, for metrics in between.
package struct RTPStatistics: Sendable, Equatable {
    // What came, of all sources that were heard.
    package var packetsReceived = 0
    package var packetsExpected = 0
    /// Missing numbers. Pauses of the sender are not in it.
    package var packetsLost = 0
    package var packetsReordered = 0
    package var packetsDuplicated = 0
    /// Came after their time had been filled with made audio.
    package var packetsLate = 0
    /// No RTP, other payload types, empty or oversized ones, too far ahead, numbers from nowhere.
    package var packetsInvalid = 0
    /// From somebody else than the latched source.
    package var packetsForeign = 0
    package var sourceChanges = 0
    package var timelineJumps = 0
    package var digits = 0

    // What was made of it.
    package var audioPlayed: Duration = .zero
    package var audioConcealed: Duration = .zero
    package var silencePlayed: Duration = .zero
    /// Interarrival jitter (RFC 3550 §6.4.1), now and at its worst.
    package var jitter: Duration = .zero
    package var jitterMost: Duration = .zero
    /// How much later than the fastest packets would allow the caller was heard.
    package var depthMean: Duration = .zero
    package var depthMost: Duration = .zero

    // The other direction, as far as the peer's reports say.
    package var packetsSent = 0
    package var remoteLost: Int?
    package var remoteJitter: Duration?
    /// From our report to theirs and back (RFC 3550 §6.4.1). Nil until a report has come back.
    package var roundTrip: Duration?
    package var roundTripMost: Duration?

    package init() {}

    /// Of what should have come, 0…1.
    package var lossShare: Double {
        self.packetsExpected > 0 ? Double(self.packetsLost) / Double(self.packetsExpected) : 0
    }

    /// Of the caller's audio, what was made up: 0…1.
    package var concealedShare: Double {
        let all: Duration = self.audioPlayed + self.audioConcealed
        return all > .zero ? self.audioConcealed.inSeconds / all.inSeconds : 0
    }

    /// A conversational quality from 1 to 4.5, estimated from loss and delay: ITU-T G.107's R with G.711 and loss
    /// concealment (G.113 appendix I: Ie 0, Bpl 25.1), its delay term in the usual short form (Cole and Rosenbluth,
    /// 2001). Delay: half the round trip, the packet and the buffer. Echo and the peer's own delay are unknown.
    package var meanOpinionScore: Double {
        let loss: Double = self.concealedShare * 100
        let delay: Double = ((self.roundTrip ?? .zero).inSeconds / 2 + self.depthMean.inSeconds) * 1000 + 20
        let delayed: Double = 0.024 * delay + (delay > 177.3 ? 0.11 * (delay - 177.3) : 0)
        let rating: Double = 93.2 - delayed - 95 * loss / (loss + 25.1)
        guard rating > 0 else { return 1 }
        return max(1, min(4.5, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6))
    }
}
