// Assistants: everything that answers a caller, as values.
//
// `Kit/` is what every back end is: the machine protocol, its commands, events, capabilities and verdicts. Then one
// folder a back end, which alone knows that provider's wire. No sockets, no engines: a machine says `connect`,
// `send`, `synthesise`, `recognise`, and the shell (PhoneServer, SpeechEngines) performs it.
