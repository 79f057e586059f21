// SIPSignalling: answers SIP (RFC 3261) for the phone leg that needs no module in the switch: `AUDIO_MODE=rtp`.
//
// A user agent *server*: FreeSWITCH, another PBX or a trunk sends INVITE, Pronto answers. It never calls and never
// registers. Inside of a call it can hold (re-INVITE), hand over (REFER) and hang up (BYE). RTP is not here: this module
// says which codec goes to which address, and somebody else owns that socket.
//
// libre (baresip's library, BSD) does SIP itself: transports, transactions, dialogs. It is one thread's library, so it
// has a thread (`SIPThread`); everything named `SIPStack` or `SIPSession` is confined to it. Other threads talk to
// `SIPServer` and `SIPDialog`, which post to it and are told back by closures. The rules of our own are values beside it:
// what an offer allows (`SDP/`), what a header means (`Messages/`), who may come in and how often (`Access/`).
//
// Left out on purpose: registration, authentication by digest (peers are known by address, RFC 3261 §26 leaves it to
// policy), PRACK and 100rel (refused with 420), session timers (RFC 4028: refused where required, ignored where
// offered), SRTP, forking, MESSAGE and presence.
