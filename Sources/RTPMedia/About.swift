// RTPMedia: the audio of a SIP leg, as values. Datagrams and the time go in; frames, digits, datagrams and figures come out.
//
// RTP and RTCP (RFC 3550), the audio profile (RFC 3551: PCMU 0, PCMA 8), telephone-event (RFC 4733), comfort noise
// (RFC 3389), symmetric RTP (RFC 4961), an adaptive jitter buffer and packet-loss concealment (libspandsp). No socket,
// clock or random number: the shell reads datagrams, passes the loop's time, and hands in what must be random.
//
// Everything is 8000 samples a second, mono, G.711: that is what Pronto offers in SDP, and both clocks (audio and
// telephone-event/8000) then count the same samples. How it works: docs/rtp.md.
