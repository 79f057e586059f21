// Routing: whether a call is answered by the AI or by a human, and by which agent (requirements 2).
//
// Rows go in (`RoutingRows`, as a database holds them, nonsense included), a `RoutingTable` comes out; a
// `RoutingQuestion` with its time goes in, a `RoutingDecision` with its reason comes out. No clock, file or database:
// whoever asks says when, so that next Christmas can be asked about today.
//
// Times are clock faces: a window is compared with the date and time that a clock on the wall shows in the window's
// zone. Hence an hour that daylight saving skips never matches, and an hour that it repeats matches twice. The zones
// themselves are Foundation's (ICU), which carries the IANA database.
//
// The order in which rows, numbers, exceptions and windows decide is in docs/routing.md, and in
// `RoutingTable+Deciding.swift` line by line.
