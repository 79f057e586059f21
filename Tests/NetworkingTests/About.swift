// Networking tests: real loops and real sockets on loopback. What is awaited comes by a callback or the test fails at a
// deadline; nothing sleeps.
