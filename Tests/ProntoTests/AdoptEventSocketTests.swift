import Foundation
import Records
import Stores
import Telephony
import TestDatabases
import Testing

@testable import pronto

@Suite("An older system's Event Socket becomes the tenant's own", .timeLimit(.minutes(2)))
struct AdoptEventSocketTests {
    @Test("pronto tenant set --adopt-esl: encrypted, once, and only where there is something to adopt")
    func adopt() async throws {
        let server = try await TestPostgres.shared()
        try await server.withDatabase { name in
            let environment = [
                "DB_HOST": "127.0.0.1", "DB_PORT": String(server.port), "DB_NAME": name, "DB_USER": TestPostgres.user,
                "DB_PASS": TestPostgres.password, "PRONTO_DB_MIGRATE": "true", "PRONTO_SECRET_KEY": key(7),
            ]
            try await withDesk(environment) { desk in
                let id = try await desk.run("tenant add clinic.example")
                let adopt = "tenant set clinic.example --adopt-esl"
                #expect(await desk.complaint(adopt).contains("v_voice_secretary_settings has no esl_host"))
                _ = try await server.sql(
                    """
                    CREATE TABLE v_voice_secretary_settings (domain_uuid uuid, setting_name text, setting_value text,
                        UNIQUE (domain_uuid, setting_name));
                    INSERT INTO v_voice_secretary_settings VALUES ('\(id)', 'esl_host', 'pbx.example'),
                        ('\(id)', 'esl_port', '8o21'), ('\(id)', 'esl_password', 'very open indeed'),
                        ('\(id)', 'esl_read_timeout', '30.0');
                    """, in: name)
                let refused = await desk.complaint(adopt)
                #expect(refused.contains("row esl_port, column setting_value must be 1 to 65535"))
                #expect(!refused.contains("very open"))
                _ = try await server.sql(
                    "UPDATE v_voice_secretary_settings SET setting_value = '8031' WHERE setting_name = 'esl_port'",
                    in: name)
                #expect(await desk.complaint(adopt + " --esl-port 1").contains("--esl-port"))
                let told = try await desk.run("secrets rotate")
                #expect(
                    told.contains(
                        "v_voice_secretary_settings.setting_value of esl_password, 1 rows, which Pronto reads"))
                #expect(try await desk.run("tenant list").contains("pbx.example:8031"))
                #expect(try await desk.run(adopt) == id)
                let row = try await server.sql(
                    "SELECT esl_host, esl_port, esl_password, esl_read_timeout_ms FROM v_voice_event_sockets", in: name)
                #expect(row.hasPrefix("pbx.example|8031|v1:") && row.contains("|30000") && !row.contains("very open"))
                #expect(await desk.complaint(adopt).contains("of its own already"))
            }
        }
    }
}
