// Telephony: the nouns that every other module shares, and nothing that acts.
//
// Identifiers, audio formats, what a phone leg says and is told, and how a call ends. No dependency, no I/O.
