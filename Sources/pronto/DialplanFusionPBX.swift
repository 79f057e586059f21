import Foundation

/// FusionPBX keeps its dialplans in PostgreSQL: `v_dialplans.dialplan_xml` is what runs, `v_dialplan_details` what its
/// web interface shows and writes the former from at the next Save. Both are written together, or nothing is.
///
/// Rows are found again by `app_uuid` (`DialplanExtension.identity`), domain and context: modes that share an extension
/// (`pronto_failover`) may stand in several contexts of one domain, and each has to have its own there. Whatever else the
/// domain has is left alone. Column types differ between versions of FusionPBX (`dialplan_enabled` is text or boolean): literals without a
/// cast suit both.
struct FusionPBXDialplan: Sendable {
    var domain: String
    var extensions: [DialplanExtension]
    /// The domain's name, or `public`.
    var context: String

    /// One transaction that a person can read and run. Safe to run again.
    var sql: String {
        var lines = [
            "-- Pronto's dialplan for \(self.domain). One transaction; safe to run again. Afterwards: clear FusionPBX's",
            "-- cache for the context, and reloadxml (pronto dialplan install --fusionpbx --apply does both).",
            "BEGIN;",
            "DO $pronto$ BEGIN",
            "  IF (SELECT count(*) FROM v_domains WHERE domain_name = \(Self.literal(self.domain))) <> 1 THEN",
            "    RAISE EXCEPTION 'v_domains has no single row with the name %', \(Self.literal(self.domain));",
            "  END IF;",
            "END $pronto$;",
        ]
        for item in self.extensions { lines += self.upsert(item) }
        lines.append("COMMIT;")
        return lines.joined(separator: "\n") + "\n"
    }

    private func upsert(_ item: DialplanExtension) -> [String] {
        let app = Self.literal(item.identity)
        let ours = self.condition("app_uuid = \(app)")
        // The element carries the row's own id, which only the database knows.
        let xml =
            "replace(replace(\(Self.literal(item.xml(uuid: Self.placeholder))), '\(Self.placeholder)', dialplan_uuid::text), "
            + "'\(Self.domainPlaceholder)', domain_uuid::text)"
        let columns: [(String, String)] = [
            ("dialplan_context", Self.literal(self.context)), ("dialplan_name", Self.data(item.name)),
            ("dialplan_number", Self.data(item.number)), ("dialplan_continue", "'\(item.continues)'"),
            ("dialplan_order", "\(item.order)"), ("dialplan_enabled", "'true'"),
            ("dialplan_description", Self.literal(item.summary)),
        ]
        var lines = [
            "",
            "-- \(item.name)",
            "INSERT INTO v_dialplans (dialplan_uuid, domain_uuid, app_uuid, \(columns.map(\.0).joined(separator: ", ")))",
            "SELECT gen_random_uuid(), domain_uuid, \(app), \(columns.map(\.1).joined(separator: ", "))",
            "FROM v_domains WHERE domain_name = \(Self.literal(self.domain))",
            "AND NOT EXISTS (SELECT 1 FROM v_dialplans WHERE \(ours));",
            "UPDATE v_dialplans SET",
            "  " + columns.map { "\($0.0) = \($0.1)" }.joined(separator: ",\n  ") + ",",
            "  dialplan_xml = \(xml)",
            "WHERE \(ours);",
            "DELETE FROM v_dialplan_details WHERE dialplan_uuid IN",
            "  (SELECT dialplan_uuid FROM v_dialplans WHERE \(ours));",
        ]
        for detail in item.details {
            lines += [
                "INSERT INTO v_dialplan_details (dialplan_detail_uuid, domain_uuid, dialplan_uuid, dialplan_detail_tag,",
                "  dialplan_detail_type, dialplan_detail_data, dialplan_detail_break, dialplan_detail_inline,",
                "  dialplan_detail_group, dialplan_detail_order, dialplan_detail_enabled)",
                "SELECT gen_random_uuid(), domain_uuid, dialplan_uuid, '\(detail.tag)', \(Self.literal(detail.type)),",
                "  \(Self.data(detail.data)), \(detail.breaks.map { Self.literal($0.rawValue) } ?? "NULL"),",
                "  \(detail.isInline ? "'true'" : "NULL"), \(detail.group), \(detail.order), 'true'",
                "FROM v_dialplans WHERE \(ours);",
            ]
        }
        return lines
    }

    /// The rows of this domain and context that `which` names.
    private func condition(_ which: String) -> String {
        "\(which) AND domain_uuid = \(Self.domainID(self.domain)) AND dialplan_context = \(Self.literal(self.context))"
    }

    /// Asks for our rows as they are, one JSON object a line: for the difference, and for the way back.
    var query: String {
        let ours = self.condition("app_uuid IN (\(Self.list(self.extensions.map(\.identity))))")
        return """
            SELECT json_build_object('row', to_jsonb(d), 'details',
              (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.dialplan_detail_group, x.dialplan_detail_order), '[]')
               FROM v_dialplan_details x WHERE x.dialplan_uuid = d.dialplan_uuid))
            FROM v_dialplans d
            WHERE \(ours)
            ORDER BY d.dialplan_order, d.dialplan_name;

            """
    }

    /// The way back to `present`: our rows go, the former ones come as they were, with all their columns.
    ///
    /// What several modes share (`pronto_failover`) and was not there before stays as long as another mode in this context
    /// hands its calls there: modes may be taken back in any order.
    func rollback(to present: [Present]) -> String {
        let before = Set(present.map(\.identity))
        var lines = [
            "-- Takes Pronto's dialplan for \(self.domain) back to what it was. One transaction.",
            "BEGIN;",
        ]
        // Those that bring calls first: only what is left of them afterwards needs the shared ones.
        let items = self.extensions.filter { !$0.isShared } + self.extensions.filter(\.isShared)
        for item in items {
            var ours = self.condition("app_uuid = \(Self.literal(item.identity))")
            if item.isShared, !before.contains(item.identity) {
                let users = self.condition("app_uuid IN (\(Self.list(DialplanModes.users(of: item))))")
                ours += " AND NOT EXISTS (SELECT 1 FROM v_dialplans WHERE \(users))"
            }
            lines += [
                "DELETE FROM v_dialplan_details WHERE dialplan_uuid IN (SELECT dialplan_uuid FROM v_dialplans WHERE \(ours));",
                "DELETE FROM v_dialplans WHERE \(ours);",
            ]
        }
        for row in present {
            lines.append(
                "INSERT INTO v_dialplans SELECT * FROM jsonb_populate_record(NULL::v_dialplans, \(Self.literal(row.row)));"
            )
            lines.append(
                "INSERT INTO v_dialplan_details SELECT * FROM jsonb_populate_recordset(NULL::v_dialplan_details, \(Self.literal(row.details)));"
            )
        }
        lines.append("COMMIT;")
        return lines.joined(separator: "\n") + "\n"
    }

    /// One of our rows, as the database has it.
    struct Present: Sendable, Equatable {
        var name: String
        var identity: String
        var domainID: String
        var isEnabled: Bool
        var xml: String
        /// `tag type data inline group`, one a line.
        var detailLines: [String]
        /// JSON texts, for the way back.
        var row: String
        var details: String
    }

    /// Reads the answer to `query`. Throws when it is not what was asked for.
    static func present(in answer: String) throws -> [Present] {
        try answer.split(separator: "\n").map { line in
            guard
                let value = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
                let row = value["row"] as? [String: Any], let details = value["details"] as? [[String: Any]],
                let name = row["dialplan_name"] as? String
            else { throw CommandFailure("psql answered with something else than rows of v_dialplans") }
            let text = { (value: Any) throws -> String in
                String(
                    decoding: try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys]), as: UTF8.self)
            }
            // Text "true" in older versions, a boolean in newer ones.
            let enabled = row["dialplan_enabled"]
            return Present(
                name: name, identity: row["app_uuid"] as? String ?? "", domainID: row["domain_uuid"] as? String ?? "",
                isEnabled: (enabled as? Bool) ?? ((enabled as? String) == "true"),
                xml: row["dialplan_xml"] as? String ?? "", detailLines: details.map(Self.line), row: try text(row),
                details: try text(details))
        }
    }

    private static func line(_ detail: [String: Any]) -> String {
        func text(_ key: String) -> String { detail["dialplan_detail_" + key] as? String ?? "" }
        let group = (detail["dialplan_detail_group"] as? NSNumber)?.intValue ?? 0
        return Self.line(
            tag: text("tag"), type: text("type"), data: text("data"), breaks: text("break"),
            isInline: text("inline") == "true", group: group)
    }

    private static func line(
        tag: String, type: String, data: String, breaks: String, isInline: Bool, group: Int
    ) -> String {
        "\(group) \(tag) \(type) \(data)" + (breaks.isEmpty ? "" : " break=\(breaks)") + (isInline ? " inline" : "")
    }

    /// What would change, as lines of a unified difference without line numbers; empty: nothing.
    func difference(from present: [Present]) -> [String] {
        var lines: [String] = []
        for item in self.extensions {
            let wanted = TextDifference.lines(of: item.xml())
            let details = item.details.map {
                Self.line(
                    tag: $0.tag, type: $0.type, data: $0.data, breaks: $0.breaks?.rawValue ?? "",
                    isInline: $0.isInline, group: $0.group)
            }
            guard let found = present.first(where: { $0.identity == item.identity }) else {
                lines.append("new  v_dialplans \(item.name) in \(self.context)")
                lines += wanted.map { "+ \($0)" }
                continue
            }
            let xml = found.xml.replacing(/\ uuid="[0-9a-fA-F-]{36}"/, with: "", maxReplacements: 1)
            func resolved(_ lines: [String]) -> [String] {
                lines.map { $0.replacing(Self.domainPlaceholder, with: found.domainID) }
            }
            let changed = TextDifference.between(TextDifference.lines(of: xml), resolved(wanted))
            if found.name != resolved([item.name])[0] {
                lines += ["changed  name", "- \(found.name)", "+ \(resolved([item.name])[0])"]
            }
            if !changed.isEmpty { lines += ["changed  v_dialplans.dialplan_xml \(item.name)"] + changed }
            if !found.isEnabled { lines += ["changed  \(item.name) is disabled", "+ enabled"] }
            let shown = TextDifference.between(found.detailLines, resolved(details))
            if !shown.isEmpty { lines += ["changed  v_dialplan_details of \(item.name)"] + shown }
        }
        return lines
    }

    private static let placeholder = "PRONTO-DIALPLAN-UUID"

    /// Stands for the domain's id in what is made before the database was asked.
    static let domainPlaceholder = "PRONTO-DOMAIN-UUID"

    private static func data(_ text: String) -> String {
        guard text.contains(Self.domainPlaceholder) else { return Self.literal(text) }
        return "replace(\(Self.literal(text)), '\(Self.domainPlaceholder)', domain_uuid::text)"
    }

    private static func list(_ texts: [String]) -> String { texts.map(Self.literal).joined(separator: ", ") }

    private static func domainID(_ name: String) -> String {
        "(SELECT domain_uuid FROM v_domains WHERE domain_name = \(Self.literal(name)))"
    }

    /// A string literal of PostgreSQL. `E''` for backslashes, so that it is right whatever
    /// `standard_conforming_strings` says; NUL cannot occur in checked texts.
    static func literal(_ text: String) -> String {
        let quoted = text.replacing("'", with: "''")
        return text.contains("\\") ? "E'" + quoted.replacing("\\", with: "\\\\") + "'" : "'" + quoted + "'"
    }
}

/// Lines that go and lines that come, by the longest common subsequence.
enum TextDifference {
    static func lines(of text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    }

    /// Every line, with `- `, `+ ` or two spaces before it; empty when both are the same.
    static func between(_ old: [String], _ new: [String]) -> [String] {
        guard old != new else { return [] }
        let changes = new.difference(from: old)
        var (removed, inserted): (Set<Int>, Set<Int>) = ([], [])
        for change in changes {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var lines: [String] = []
        var (i, j) = (0, 0)
        while i < old.count || j < new.count {
            if i < old.count, removed.contains(i) {
                lines.append("- \(old[i])")
                i += 1
            } else if j < new.count, inserted.contains(j) {
                lines.append("+ \(new[j])")
                j += 1
            } else {
                lines.append("  \(old[i])")
                i += 1
                j += 1
            }
        }
        return lines
    }
}
