// Stores: the databases behind the protocols of Records.
//
// `SQLite/` is the embedded default: one connection on one thread of its own, so that a slow disk stops no media loop.
// `Rows/` turns records into rows and back, for the database and for the spool alike. `Spool/` keeps finished calls in
// a file while the database cannot take them. `Secrets/` encrypts what must not lie in a table as it is, and signs
// stream tokens.
