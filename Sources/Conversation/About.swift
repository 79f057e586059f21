// Conversation: what happens on a call, as values.
//
// `Session/` is the conductor (`CallSession`) with its ladder, plan and transcript; `Turns/` decides who has the floor;
// `Playout/` knows what the caller has heard; `Recording/` lays both sides on one time line. Nothing here knows a wire,
// a socket, a clock or a database.
