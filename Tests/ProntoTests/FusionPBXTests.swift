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

/// A database of FusionPBX's, and `pronto dialplan WORDS --fusionpbx` on it.
private func withDatabase(
    _ body: (Database, (String) async throws -> DialplanCommand.Outcome) async throws -> Void
) async throws {
    try await PostgresCluster.with { cluster in
        try await withFolder { folder in
            _ = try await cluster.sql(schema(flags: "boolean"))
            for name in ["cache", "scripts"] {
                try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: false)
            }
            let access = cluster.access.merging(["FUSIONPBX_CACHE": "\(folder)/cache"]) { $1 }
            try await body(Database(cluster: cluster, access: access, folder: folder)) { line in
                var words = line.split(separator: " ").map(String.init)
                if words[0] != "rollback" { words += ["--fusionpbx", "--scripts", "scripts"] }
                return try await DialplanCommand.run(words, folder: folder, environment: access)
            }
        }
    }
}

private struct Database {
    var cluster: PostgresCluster
    var access: [String: String]
    var folder: String
    func sql(_ text: String) async throws -> String { try await self.cluster.sql(text) }
}

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

    @Test("Two modes on one domain, in two contexts: each has its own failover, and either goes without the other")
    func twoModes() async throws {
        try await withDatabase { cluster, run in
            let before = try await cluster.sql(everything)
            _ = try await run("install esl --domain demo.example --failover 3000 --apply")
            _ = try await run("install inbound --domain demo.example --numbers 5406594427 --apply")
            let rows = """
                SELECT dialplan_context || ' ' || dialplan_name FROM v_dialplans WHERE app_uuid IS NOT NULL
                ORDER BY dialplan_context, dialplan_name
                """
            let tenant = "96f6142d-02b1-49fa-8bcb-f98658bb831f"
            let esl = ["demo.example pronto_after", "demo.example pronto_failover", "demo.example voice_ai_esl"]
            let inbound = [
                "public inbound_ai_ask", "public inbound_ai_dynamic", "public pronto_failover_\(tenant)",
            ]
            func there() async throws -> [String] {
                try await cluster.sql(rows).split(separator: "\n").map(String.init)
            }
            #expect(try await there().sorted() == (esl + inbound).sorted())
            #expect(try await run("diff esl --domain demo.example --failover 3000").status == 0)
            #expect(try await run("diff inbound --domain demo.example --numbers 5406594427").status == 0)

            let kept = try FileManager.default.contentsOfDirectory(atPath: "\(cluster.folder)/pronto-dialplan").sorted()
            let first = try #require(kept.first { $0.hasSuffix("-esl") })
            let second = try #require(kept.first { $0.hasSuffix("-inbound") })
            _ = try await run("rollback pronto-dialplan/\(first) --apply")
            #expect(try await there().sorted() == inbound.sorted())
            _ = try await run("rollback pronto-dialplan/\(second) --apply")
            #expect(try await cluster.sql(everything) == before)
        }
    }

    @Test("Two modes in one context share their failover, which goes with the last of them")
    func sharedFailover() async throws {
        try await withDatabase { cluster, run in
            let before = try await cluster.sql(everything)
            _ = try await run("install esl --domain demo.example --numbers 8XXX --apply")
            _ = try await run("install rtp --domain demo.example --numbers 7XXX --apply")
            let kept = try FileManager.default.contentsOfDirectory(atPath: "\(cluster.folder)/pronto-dialplan")
            let first = try #require(kept.first { $0.hasSuffix("-esl") })
            let second = try #require(kept.first { $0.hasSuffix("-rtp") })
            // The older one first: its failover is the other's too by now.
            _ = try await run("rollback pronto-dialplan/\(first) --apply")
            let names = try await cluster.sql(
                "SELECT dialplan_name FROM v_dialplans WHERE app_uuid IS NOT NULL ORDER BY dialplan_name")
            #expect(names == "pronto_after_sip\npronto_failover\nvoice_ai_rtp\n")
            #expect(try await run("diff rtp --domain demo.example --numbers 7XXX").status == 0)
            // And the rows are the backup's of rtp, which had found a failover: taken back it stays as it was found.
            _ = try await run("rollback pronto-dialplan/\(second) --apply")
            let rest = try await cluster.sql("SELECT dialplan_name FROM v_dialplans WHERE app_uuid IS NOT NULL")
            #expect(rest == "pronto_failover\n")
            _ = try await run("rollback pronto-dialplan/\(first) --apply")
            #expect(try await cluster.sql(everything) == before)
        }
    }

    @Test("With inbound for two tenants each caller's failover is the own tenant's")
    func twoTenants() async throws {
        try await withDatabase { cluster, run in
            _ = try await run("install inbound --domain demo.example --numbers 5406594427 --apply")
            _ = try await run("install inbound --domain other.example --audio esl --numbers 5406594428 --apply")
            // As FusionPBX serves it: all of the context's rows, in their order.
            let context = try await cluster.sql(
                "SELECT dialplan_xml FROM v_dialplans WHERE dialplan_context = 'public' ORDER BY dialplan_order")
            let items = try #require(ServedExtension.all(in: context))
            for (tenant, domain, count) in [
                ("96f6142d-02b1-49fa-8bcb-f98658bb831f", "demo.example", 3),
                ("dc923a2f-b88a-4a2f-8029-d6e0c06893c5", "other.example", 4),
            ] {
                let theirs = items.filter { item in
                    item.actions.contains { $0.data.contains(tenant) } || item.name.hasSuffix(tenant)
                }
                #expect(theirs.count == count)
                // Every way on from the tenant's own extensions (transfer, fuse, script) ends at its own phone.
                let targets = theirs.flatMap(\.actions).flatMap { action in
                    action.data.matches(of: /pronto_(?:failover|after)[a-z0-9_-]*(?= )/).map { String($0.output) }
                }
                #expect(!targets.isEmpty)
                for target in Set(targets) {
                    let found = items.first { $0.expressions.contains("^\(target)$") }
                    #expect(found.map { theirs.contains($0) } == true, "\(domain): \(target)")
                }
                let failover = try #require(theirs.first { $0.name == "pronto_failover_\(tenant)" })
                #expect(failover.actions.contains { $0.data == "user/${pronto_failover_ext}@\(domain)" })
                #expect(failover.actions.contains { $0.data == "${pronto_failover_ext} XML \(domain)" })
            }
        }
    }

    @Test("Where FusionPBX serves public by destinations only, the installation and the doctor say that nothing runs")
    func servedByDestination() async throws {
        try await withDatabase { cluster, run in
            let line = "install inbound --domain demo.example --numbers 5406594427"
            #expect(try await !run(line).text.contains("dialplan_mode"))
            _ = try await cluster.sql(
                """
                CREATE TABLE v_default_settings (default_setting_category text, default_setting_subcategory text,
                  default_setting_value text);
                CREATE TABLE v_destinations (destination_uuid uuid, dialplan_uuid uuid);
                INSERT INTO v_default_settings VALUES ('destinations', 'dialplan_mode', 'multiple');
                """)
            #expect(try await !run("\(line) --apply").text.contains("dialplan_mode"))
            let environment = cluster.access.merging(["ESL_PORT": "1", "ESL_PASSWORD": "x"]) { $1 }
            func doctor() async throws -> String {
                try await DoctorCommand.run([], folder: cluster.folder, environment: environment).text
            }
            #expect(try await !doctor().contains("dialplan_mode"))
            _ = try await cluster.sql("UPDATE v_default_settings SET default_setting_value = 'single'")
            #expect(try await run(line).text.contains("dialplan_mode: multiple"))
            #expect(try await run("\(line) --failover 3000 --apply").text.contains("dialplan_mode: multiple"))
            // A domain's own context is served whole in either mode.
            #expect(try await !run("install esl --domain demo.example").text.contains("dialplan_mode"))
            #expect(try await doctor().contains("it never runs"))
            _ = try await cluster.sql(
                "INSERT INTO v_destinations SELECT gen_random_uuid(), dialplan_uuid FROM v_dialplans")
            #expect(try await !doctor().contains("it never runs"))
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
