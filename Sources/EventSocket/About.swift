// EventSocket: FreeSWITCH's Event Socket (ESL) as values. Bytes in, events and replies out; typed commands in, bytes out.
//
// `Wire/`      framing, header blocks, the decoder
// `Events/`    a typed view of what the switch tells
// `Commands/`  what may be asked of it, encoded so that no argument can become a second command
// `Client/`    `InboundClient`: our connection to port 8021, with its queue, deadlines and reconnection
// `Session/`   `OutboundSession`: a call that the dialplan's `socket` application brought to port 8022
//
// Assumptions: FreeSWITCH 1.10 or later; `plain` events (`json` is understood, `xml` is not). What is called measured
// was seen on a FreeSWITCH 1.11.3-dev in November 2026; what is called "source" was read in mod_event_socket.
// Omissions: `userauth`, `log`, TLS (mod_event_socket has none).
