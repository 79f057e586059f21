// Stores: the databases behind the protocols of Records.
//
// `SQL/` is the store, written once for both databases, with the migrations and the copy of the configuration; `SQLite/` and
// `PostgreSQL/` are the connections that it works on, each on a thread of its own, so that a slow disk or server stops no
// media loop. `Rows/` turns records into rows and back, for the databases and for the spool alike. `Spool/` keeps finished
// calls in a file while the database cannot take them. `Secrets/` encrypts what must not lie in a table as it is, and signs
// stream tokens.
