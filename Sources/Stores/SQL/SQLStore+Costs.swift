import Foundation
import Records
import Telephony

extension SQLStore: CostStore {
    package func costs(of tenant: TenantID, from: Date, to: Date) async throws(StoreError) -> [DailyCost] {
        try await self.perform { database throws(StoreError) in
            let day =
                switch database.dialect {
                // Times are UTC texts that begin with their day.
                case .sqlite: "substr(start_time, 1, 10)"
                case .postgres: "to_char(start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
                }
            // Sums of bigint are numeric in PostgreSQL.
            return try database.rows(
                """
                SELECT \(day) AS day, coalesce(cost_currency, '') AS currency, count(*) AS calls,
                    CAST(sum(duration_ms) AS bigint) AS duration_ms,
                    CAST(sum(CASE WHEN cost_micros IS NULL THEN 1 ELSE 0 END) AS bigint) AS unknown_calls,
                    CAST(coalesce(sum(cost_known_micros), 0) AS bigint) AS known_micros
                FROM voip_cdr WHERE domain_uuid = ? AND start_time >= ? AND start_time < ?
                GROUP BY 1, 2 ORDER BY 1, 2
                """, [.text(tenant.text), .text(Timestamp.text(from)), .text(Timestamp.text(to))]
            ).map { row throws(StoreError) in
                DailyCost(
                    day: try row.text("day"), currency: try row.text("currency"), calls: try row.integer("calls"),
                    duration: try row.milliseconds("duration_ms"), unknownCalls: try row.integer("unknown_calls"),
                    knownMicros: try row.integer("known_micros"))
            }
        }
    }

    package func spent(
        by tenant: TenantID, since: Date
    ) async throws(StoreError) -> [(currency: String, micros: Int)] {
        // Retention takes rows, and what they cost stays counted in voip_spent.
        try await self.perform { database throws(StoreError) in
            try database.rows(
                """
                SELECT currency, CAST(sum(micros) AS bigint) AS micros FROM (
                    SELECT cost_currency AS currency, cost_known_micros AS micros FROM voip_cdr
                    WHERE domain_uuid = ? AND start_time >= ? AND cost_currency IS NOT NULL
                        AND cost_known_micros IS NOT NULL
                    UNION ALL
                    SELECT cost_currency, cost_micros FROM voip_spent WHERE domain_uuid = ? AND month >= ?
                ) AS spent GROUP BY currency ORDER BY currency
                """,
                [
                    .text(tenant.text), .text(Timestamp.text(since)), .text(tenant.text),
                    .text(String(Timestamp.text(since).prefix(7))),
                ]
            ).map { row throws(StoreError) in (try row.text("currency"), try row.integer("micros")) }
        }
    }
}
