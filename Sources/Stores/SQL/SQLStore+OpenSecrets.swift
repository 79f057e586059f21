import Records

/// A column of another system's in which secrets lie in the clear.
package struct OpenSecrets: Sendable, Equatable {
    package var table: String
    package var column: String
    package var rows: Int
}

extension SQLStore {
    /// Secrets that other systems keep in this database in the clear, in columns that Pronto neither reads nor writes: an
    /// older voice system's settings (`v_voice_secretary_settings.esl_password`, keys of services that it spoke to). To
    /// encrypt them would take them from whoever reads them; so they are told.
    package func openSecrets() async throws(StoreError) -> [OpenSecrets] {
        try await self.perform(within: .seconds(60)) { database throws(StoreError) in
            // An SQLite file is ours alone.
            guard database.dialect == .postgres else { return [] }
            let columns = try database.rows(
                """
                SELECT table_name AS t, column_name AS c FROM information_schema.columns
                WHERE table_schema = current_schema() AND data_type IN ('text', 'character varying')
                    AND (table_name LIKE 'v\\_voice\\_%' OR table_name LIKE 'voip\\_%' OR table_name LIKE '%omniplay%')
                    AND column_name ~ '(password|api_key|api_token|access_token|secret|secret_key)$'
                    AND (table_name, column_name) NOT IN
                        (('v_voice_ai_providers', 'secret'), ('v_voice_event_sockets', 'esl_password'))
                ORDER BY 1, 2
                """)
            var found: [OpenSecrets] = []
            for row in columns {
                let (table, column) = (try row.text("t"), try row.text("c"))
                // Names from the catalogue, quoted: not somebody's words.
                let (t, c) = (Self.quoted(table), Self.quoted(column))
                let count =
                    try database.rows("SELECT count(*) AS n FROM \(t) WHERE \(c) <> ''").first?.integer("n") ?? 0
                if count > 0 { found.append(OpenSecrets(table: table, column: column, rows: count)) }
            }
            return found
        }
    }

    private static func quoted(_ name: String) -> String { "\"\(name.replacing("\"", with: "\"\""))\"" }
}
