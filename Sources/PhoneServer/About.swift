// PhoneServer: the shell around the conversation core. It owns sockets, timers, files and tasks, and decides nothing.
//
// `Gateway` wires the parts and holds what calls share; `PhoneListener` takes HTTP requests and turns them into calls;
// `CallShell` owns one call on one event loop: it feeds the values of the core and performs what they ask; `ControlLink`
// speaks to FreeSWITCH's Event Socket; `CallRecorder` writes audio off the loops.
