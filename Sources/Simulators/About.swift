// Simulators: the other ends of Pronto's wires, for the demo, for load, and for tests.
//
// `Phone/` is a caller behind one of FreeSWITCH's media modules: `PhoneSimulatorCore` decides (a value, in virtual
// time), `PhoneSimulator` performs on a loop. What the modules do was measured on real ones (protocols/freeswitch.md
// §3); omitted: RTP, SIP and Event Socket, so that files that a controller would play are played by the phone itself.
