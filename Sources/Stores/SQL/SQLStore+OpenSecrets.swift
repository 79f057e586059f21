import Records

/// A column of another system's in which secrets lie in the clear.
package struct OpenSecrets: Sendable, Equatable {
    package var table: String
    package var column: String
    package var rows: Int
    /// Nil: the column is there for it. Else the name in the row, where one column has the values of all settings.
    package var setting: String?
    package init(table: String, column: String, rows: Int, setting: String? = nil) {
        self.table = table
        self.column = column
        self.rows = rows
        self.setting = setting
    }
}

extension SQLStore {
    /// Secrets that other systems keep in this database in the clear, in columns that Pronto does not write: an older
    /// voice system's settings (`v_voice_secretary_settings`: the Event Socket's password, keys of services that it spoke
    /// to). To encrypt them would take them from whoever reads them; so they are told.
    package func openSecrets() async throws(StoreError) -> [OpenSecrets] {
        try await self.perform(within: .seconds(60)) { database throws(StoreError) in
            // An SQLite file is ours alone.
            guard database.dialect == .postgres else { return [] }
            let columns = try database.rows(
                """
                SELECT table_name AS t, column_name AS c FROM information_schema.columns
                WHERE table_schema = current_schema() AND data_type IN ('text', 'character varying')
                    AND (table_name LIKE 'v\\_voice\\_%' OR table_name LIKE 'voip\\_%' OR table_name LIKE '%omniplay%')
                    AND column_name ~ '\(Self.names)'
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
            return try found + Self.openSettings(in: database)
        }
    }

    private static let names = "(password|api_key|api_token|access_token|secret|secret_key)$"

    /// Of tables with a row for each setting.
    private static func openSettings(in database: any SQLDatabase) throws(StoreError) -> [OpenSecrets] {
        let tables = try database.rows(
            """
            SELECT table_name AS t FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name LIKE 'v\\_voice\\_%'
                AND column_name IN ('setting_name', 'setting_value')
            GROUP BY 1 HAVING count(*) = 2 ORDER BY 1
            """)
        var found: [OpenSecrets] = []
        for row in tables {
            let table = try row.text("t")
            let settings = try database.rows(
                """
                SELECT setting_name::text AS name, count(*) AS n FROM \(Self.quoted(table))
                WHERE setting_name::text ~ '\(Self.names)' AND setting_value::text <> '' GROUP BY 1 ORDER BY 1
                """)
            for setting in settings {
                found.append(
                    OpenSecrets(
                        table: table, column: "setting_value", rows: try setting.integer("n"),
                        setting: try setting.text("name")))
            }
        }
        return found
    }

    private static func quoted(_ name: String) -> String { "\"\(name.replacing("\"", with: "\"\""))\"" }
}
