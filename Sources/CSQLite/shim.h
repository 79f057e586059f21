// SQLite for Swift. SQLITE_TRANSIENT is a cast macro, which Swift does not import.
#pragma once
#include <sqlite3.h>

static inline int pronto_sqlite_bind_text(sqlite3_stmt *s, int i, const char *p, int n) { return sqlite3_bind_text(s, i, p, n, SQLITE_TRANSIENT); }
static inline int pronto_sqlite_bind_blob(sqlite3_stmt *s, int i, const void *p, int n) { return sqlite3_bind_blob(s, i, p, n, SQLITE_TRANSIENT); }
