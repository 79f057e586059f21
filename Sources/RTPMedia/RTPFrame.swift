import Telephony

/// What one frame of the caller is made of.
package enum RTPFrameKind: Sendable, Equatable, CaseIterable {
    /// Codes as they came, possibly with a little silence before or after.
    case audio
    /// True audio, some milliseconds shorter or longer than it came: the buffer's depth changed.
    case adjusted
    /// Some or all of it was made up in place of packets that were lost or late.
    case concealed
    /// The caller's side is silent and described its background.
    case comfortNoise
    /// Nothing: the caller's side sends nothing (a pause, hold), or the call has just begun.
    case silence
}

/// What a leg's datagrams said, audio apart.
package enum RTPEvent: Sendable, Equatable {
    case digitBegan(Redacted<Character>)
    case digitEnded(Redacted<Character>, lasted: Duration)
    /// Replies go to this address from now on.
    case remoteLatched(RTPAddress)
    /// The peer's SSRC changed: another source speaks through the same leg (transfer, hold music).
    case sourceChanged
    /// RTCP: the peer leaves. Signalling says whether the call ends.
    case peerLeft
}
