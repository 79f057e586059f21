// MediaDialects: what the switches' audio modules speak on a WebSocket, one folder each.
//
// A dialect is a value (`MediaDialect`): messages in, 20 ms frames and phone events out; frames and commands in,
// messages out. `Selection/` reads the request's address (`StreamRequest`) and picks the dialect
// (`DialectSelection`). `Shared/` holds what more than one dialect takes in: the audio of a wire (`UplinkAudio`) and the
// texts that a dialplan or a Lua script sends (`LegText`), which belong to no module.
//
// The modules crash FreeSWITCH on some input (protocols/freeswitch.md §3.4): invalid UTF-8, masked frames and junk in
// place of base64. So every text that goes down is a fixed template around base64 of our own making, whole numbers and
// mark names out of letters, digits, `-`, `_` and `.`.
