// libpq, PostgreSQL's own C client, for Swift.
#pragma once
#include <libpq-fe.h>

// PG_DIAG_… are character constants, which Swift does not import as the integers that PQresultErrorField takes.
static inline const char *pronto_pq_sqlstate(const PGresult *r) { return PQresultErrorField(r, PG_DIAG_SQLSTATE); }
static inline const char *pronto_pq_primary(const PGresult *r) { return PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY); }
static inline const char *pronto_pq_table(const PGresult *r) { return PQresultErrorField(r, PG_DIAG_TABLE_NAME); }
static inline const char *pronto_pq_column(const PGresult *r) { return PQresultErrorField(r, PG_DIAG_COLUMN_NAME); }
static inline const char *pronto_pq_constraint(const PGresult *r) { return PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME); }

// Notices would go to standard error; what matters of them comes as an error.
static inline void pronto_pq_ignore(void *arg, const PGresult *r) { (void)arg; (void)r; }
static inline void pronto_pq_silence(PGconn *c) { PQsetNoticeReceiver(c, pronto_pq_ignore, 0); }
