// Simulators: the other ends of the wires, for `pronto demo`, `pronto call`, `pronto simulate` and the tests.
//
// `Phone/` is a FreeSWITCH media module as a client, `OpenAI/` a Realtime service, `FreeSWITCH/` an Event Socket. Each is a
// value with a thin shell on loopback; each speaks the real wire, and is held against recordings or the vendor's SDK.
