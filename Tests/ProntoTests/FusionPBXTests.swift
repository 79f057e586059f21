import Foundation
import Testing

@testable import pronto

/// FusionPBX's own tables, as far as dialplans go (its schema of 2026; `enabled` as each version has it).
private func schema(flags type: String) -> String {
    """
    CREATE TABLE v_domains (domain_uuid uuid PRIMARY KEY, domain_name text, domain_enabled \(type));
    CREATE TABLE v_dialplans (dialplan_uuid uuid PRIMARY KEY, domain_uuid uuid, app_uuid uuid, hostname text,
      dialplan_context text, dialplan_name text, dialplan_number text, dialplan_destination \(type),
      dialplan_continue \(type), dialplan_xml text, dialplan_order numeric, dialplan_enabled \(type),
      dialplan_description text, insert_date timestamptz, insert_user uuid, update_date timestamptz, update_user uuid);
    CREATE TABLE v_dialplan_details (dialplan_detail_uuid uuid PRIMARY KEY, domain_uuid uuid, dialplan_uuid uuid,
      dialplan_detail_tag text, dialplan_detail_type text, dialplan_detail_data text, dialplan_detail_break text,
      dialplan_detail_inline text, dialplan_detail_group numeric, dialplan_detail_order numeric,
      dialplan_detail_enabled \(type), insert_date timestamptz, insert_user uuid, update_date timestamptz,
      update_user uuid);
    INSERT INTO v_domains VALUES ('96f6142d-02b1-49fa-8bcb-f98658bb831f', 'demo.example', 'true'),
      ('dc923a2f-b88a-4a2f-8029-d6e0c06893c5', 'other.example', 'true');
    INSERT INTO v_dialplans (dialplan_uuid, domain_uuid, dialplan_context, dialplan_name, dialplan_xml, dialplan_order,
      dialplan_enabled, insert_date) VALUES ('11111111-2222-4333-8444-555555555555',
      '96f6142d-02b1-49fa-8bcb-f98658bb831f', 'demo.example', 'somebody''s own', '<extension name="own"/>', 100, 'true', now());
    """
}

/// Everything that the two tables hold, in an order that does not depend on history.
private let everything = """
    SELECT to_jsonb(d) FROM v_dialplans d ORDER BY d.dialplan_uuid;
    SELECT to_jsonb(x) FROM v_dialplan_details x ORDER BY x.dialplan_detail_uuid;
    """

@Suite("FusionPBX's database", .serialized)
struct FusionPBXTests {
    @Test(
        "Row and details are written together, again and again, and taken back to what they were",
        arguments: ["boolean", "text"])
    func install(_ type: String) async throws {
        try await PostgresCluster.with { cluster in
            try await withFolder { folder in
                _ = try await cluster.sql(schema(flags: type))
                let cache = "\(folder)/cache"
                for name in ["cache", "scripts"] {
                    try FileManager.default.createDirectory(
                        atPath: "\(folder)/\(name)", withIntermediateDirectories: false)
                }
                let environment = cluster.access.merging(["FUSIONPBX_CACHE": cache]) { _, new in new }
                func run(_ line: String) async throws -> DialplanCommand.Outcome {
                    let words = line.split(separator: " ").map(String.init)
                    return try await DialplanCommand.run(words, folder: folder, environment: environment)
                }
                let place = "--fusionpbx --domain demo.example --scripts scripts"
                let before = try await cluster.sql(everything)

                #expect(try await run("install esl \(place)").text.contains("new  v_dialplans voice_ai_esl"))
                #expect(try await cluster.sql(everything) == before, "a dry run wrote")

                for name in ["dialplan.demo.example", "dialplan.other.example"] {
                    try "old".write(toFile: "\(cache)/\(name)", atomically: true, encoding: .utf8)
                }
                let done = try await run("install esl \(place) --apply").text
                #expect(done.contains("cache cleared: \(cache)/dialplan.demo.example"))
                #expect(done.contains("fs_cli -x reloadxml"), "without ESL_PASSWORD it says what is left to do")
                #expect(try FileManager.default.contentsOfDirectory(atPath: cache) == ["dialplan.other.example"])

                let xml = try await cluster.sql(
                    "SELECT dialplan_xml FROM v_dialplans WHERE dialplan_name = 'voice_ai_esl' AND dialplan_enabled = 'true'"
                )
                #expect(xml.contains("domain_uuid=96f6142d-02b1-49fa-8bcb-f98658bb831f"))
                #expect(xml.contains("^(8\\d{3})$") && !xml.contains("PRONTO-"))
                let read = try #require(ServedExtension.all(in: xml)?.first)
                #expect(DialplanFaults.faults(of: read, DoctorPorts()).isEmpty)
                let shown = try await cluster.sql(
                    """
                    SELECT dialplan_detail_type || ' ' || dialplan_detail_data FROM v_dialplan_details
                    JOIN v_dialplans USING (dialplan_uuid) WHERE dialplan_name = 'voice_ai_esl'
                    AND dialplan_detail_tag = 'action' ORDER BY dialplan_detail_group, dialplan_detail_order
                    """)
                #expect(
                    shown.split(separator: "\n").map(String.init)
                        == read.actions.map { $0.application + " " + $0.data })

                // Again: nothing changes, no row is doubled.
                #expect(try await run("diff esl \(place)") == .init(text: "nothing to change", status: 0))
                _ = try await run("install esl \(place) --failover 3000 --apply")
                #expect(try await cluster.sql("SELECT count(*) FROM v_dialplans") == "4\n")
                let changed = try await run("diff esl \(place)").text
                #expect(changed.contains("-     <action application=\"set\" data=\"pronto_failover_ext=3000\"/>"))

                // What somebody switched off or edited in the web interface is told.
                _ = try await cluster.sql(
                    "UPDATE v_dialplans SET dialplan_enabled = 'false' WHERE dialplan_name = 'pronto_after'")
                #expect(try await run("diff esl \(place)").text.contains("pronto_after is disabled"))

                // The way back, the newest first.
                let kept = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/pronto-dialplan").sorted()
                #expect(kept.count == 2)
                for name in kept.reversed() { _ = try await run("rollback pronto-dialplan/\(name) --apply") }
                #expect(try await cluster.sql(everything) == before)
            }
        }
    }

    @Test("A domain that is not there changes nothing, and a password that is wrong is not shown")
    func refusals() async throws {
        try await PostgresCluster.with { cluster in
            try await withFolder { folder in
                _ = try await cluster.sql(schema(flags: "boolean"))
                let before = try await cluster.sql(everything)
                func complaint(_ domain: String, _ environment: [String: String]) async -> String {
                    do {
                        return try await DialplanCommand.run(
                            ["install", "esl", "--fusionpbx", "--domain", domain, "--apply"], folder: folder,
                            environment: environment
                        ).text
                    } catch { return "\(error)" }
                }
                #expect(await complaint("nobody.example", cluster.access).contains("nobody.example"))
                #expect(try await cluster.sql(everything) == before)
                let wrong = await complaint("demo.example", cluster.access.merging(["DB_PASS": "nutmeg"]) { $1 })
                #expect(wrong.contains("DB_PASS") && !wrong.contains("nutmeg"))
            }
        }
    }

    @Test("The doctor sees a stale cache, and rows that no longer agree")
    func doctor() async throws {
        try await PostgresCluster.with { cluster in
            try await withFolder { folder in
                _ = try await cluster.sql(schema(flags: "boolean"))
                let environment = cluster.access.merging([
                    "FUSIONPBX_CACHE": folder, "ESL_PORT": "1", "ESL_PASSWORD": "x",
                ]) { $1 }
                _ = try await DialplanCommand.run(
                    ["install", "esl", "--fusionpbx", "--domain", "demo.example", "--apply"], folder: folder,
                    environment: environment)
                func told() async throws -> String {
                    try await DoctorCommand.run([], folder: folder, environment: environment).text
                }
                #expect(try await told().contains("fusionpbx-voice_ai_esl"))
                try "<old/>".write(toFile: "\(folder)/dialplan.demo.example", atomically: true, encoding: .utf8)
                _ = try await cluster.sql("DELETE FROM v_dialplan_details WHERE dialplan_detail_type = 'socket'")
                let text = try await told()
                #expect(text.contains("older than the database") && text.contains("next Save"))
                let rows = try await cluster.sql("SELECT dialplan_xml FROM v_dialplans ORDER BY dialplan_order")
                try rows.write(toFile: "\(folder)/dialplan.demo.example", atomically: true, encoding: .utf8)
                #expect(try await told().contains("is as the database"))
            }
        }
    }
}
