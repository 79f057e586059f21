import Foundation
import PhoneServer
import Observability
import Records
import Stores
import Synchronization
import Telephony
import TestDatabases

/// What a large installation's configuration costs to load and to follow, from SQLite and from a real PostgreSQL:
/// `pronto-bench configuration sqlite|postgres [TENANTS] [ASSISTANTS-OF-EACH]`. CPU is of the whole process, which on a busy machine
/// says more than the clock.
enum ConfigurationLoad {
    static func run(_ database: SQLDialect, tenants: Int, assistants: Int) async throws {
        print(
            "\(tenants) tenants with \(assistants) assistants each, one destination, one account with an encrypted key")
        let keys = try SecretKeys(SecretKeys.generated())
        let folder = FileManager.default.temporaryDirectory.path + "/pronto-bench-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }

        guard database == .postgres else {
            let sqlite = try await SQLStore(path: folder + "/pronto.db", secretKeys: keys)
            try await self.measure("SQLite", sqlite, tenants, assistants, copy: nil)
            return await sqlite.close()
        }
        let server = try await TestPostgres.start()
        let address = PostgresAddress(
            port: server.port, name: "postgres", user: TestPostgres.user, password: Redacted(TestPostgres.password))
        let postgres = try await SQLStore(
            postgres: PostgresPool.Options(database: PostgresDatabase.Options(address: address)), secretKeys: keys,
            migrates: true)
        try await self.measure(
            "PostgreSQL", postgres, tenants, assistants, copy: ConfigurationCopy(path: folder + "/copy"), keys)
        await postgres.close()
    }

    private static func measure(
        _ name: String, _ store: SQLStore, _ tenants: Int, _ assistants: Int, copy: ConfigurationCopy?,
        _ keys: SecretKeys? = nil
    ) async throws {
        try await self.fill(store, tenants, assistants)
        let clock = ContinuousClock()
        let directory = AssistantDirectory()
        Heap.giveBack()
        let before = self.resident()
        for round in 1...3 {
            let used = self.processor()
            let time = try await clock.measure { try await directory.reload(from: store) }
            let (spent, full) = (self.processor() - used, self.resident())
            // As the gateway does after it.
            Heap.giveBack()
            print(
                "\(name): whole, round \(round): \(self.milliseconds(time)) ms, \(self.milliseconds(spent)) ms of CPU; resident "
                    + "\(before / 1024) MB before the first, \(full / 1024) after, \(self.resident() / 1024) trimmed")
        }

        // One change after another, seen in memory.
        let seen = Mutex<Int>(0)
        let watch = Task {
            await store.watchConfiguration { news in
                guard case .changed(let changed) = news else { return true }
                guard let reading = try? await store.configuration(of: changed) else { return false }
                directory.apply(reading)
                seen.withLock { $0 += 1 }
                return true
            }
        }
        while seen.withLock({ $0 }) == 0 { try await Task.sleep(for: .milliseconds(1)) }
        var delays: [Duration] = []
        for number in 0..<50 {
            guard let id = TenantID(self.uuid(number * 97 % tenants)),
                var assistant = directory.entry(of: id)?.assistants[0]
            else { throw StoreError(.failed, "a tenant is missing") }
            assistant.greeting = "changed \(number)"
            let start = clock.now
            try await store.save(assistant, of: id)
            while directory.entry(of: id)?.assistants[0].greeting != assistant.greeting {
                try await Task.sleep(for: .milliseconds(1))
            }
            delays.append(clock.now - start)
        }
        watch.cancel()
        delays.sort()
        print(
            "\(name): a change is in memory after \(self.milliseconds(delays[25])) ms (median), "
                + "\(self.milliseconds(delays[49])) ms (most of 50)")
        guard let copy, let keys else { return }
        let start = self.processor()
        let writing = try await clock.measure { try await copy.write(from: store) }
        let written = self.processor()
        let reading = try clock.measure { _ = try copy.read(secretKeys: keys) }
        let read = self.processor()
        let size = (try FileManager.default.attributesOfItem(atPath: copy.path))[.size] as? Int ?? 0
        print(
            "\(name): copy of \(size / 1_000_000) MB written in \(self.milliseconds(writing)) ms "
                + "(\(self.milliseconds(written - start)) of CPU), read in \(self.milliseconds(reading)) ms "
                + "(\(self.milliseconds(read - written)) of CPU)")
    }

    private static func fill(_ store: SQLStore, _ tenants: Int, _ assistants: Int) async throws {
        for first in stride(from: 0, to: tenants, by: 500) {
            let some = first..<min(first + 500, tenants)
            try await store.perform(within: .seconds(60)) { database throws(StoreError) in
                try database.transaction { () throws(StoreError) in
                    for number in some {
                        let tenant = self.uuid(number)
                        try database.run(
                            "INSERT INTO v_domains (domain_uuid, domain_name) VALUES (?, ?)",
                            [.text(tenant), .text("tenant\(number).example")])
                        for index in 0..<assistants {
                            try database.run(
                                """
                                INSERT INTO v_voice_secretaries (voice_secretary_uuid, domain_uuid, secretary_name, extension,
                                    personality_prompt, greeting_message) VALUES (?, ?, ?, ?, ?, ?)
                                """,
                                [
                                    .text(self.uuid(1_000_000 + number * assistants + index)), .text(tenant),
                                    .text("assistant \(index)"),
                                    .text("+3906\(10_000_000 + number * assistants + index)"),
                                    .text("You answer the telephone of a company with number \(number), politely."),
                                    .text("Good morning."),
                                ])
                        }
                        try database.run(
                            """
                            INSERT INTO v_voice_transfer_destinations (transfer_destination_uuid, domain_uuid, name,
                                destination_type, destination_number, destination_context)
                            VALUES (?, ?, 'reception', 'extension', '1001', 'default')
                            """, [.text(self.uuid(2_000_000 + number)), .text(tenant)])
                    }
                }
            }
            for number in some {
                guard let tenant = TenantID(self.uuid(number)) else { continue }
                try await store.save(
                    ProviderAccount(tenant: tenant, provider: .openAI, secret: "sk-\(number)"), of: tenant)
            }
        }
    }

    private static func uuid(_ number: Int) -> String {
        let digits = String(number)
        return "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }

    /// What the process has spent, user and system.
    static func processor() -> Duration {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return [usage.ru_utime, usage.ru_stime].reduce(.zero) {
            $0 + .seconds(Int64($1.tv_sec)) + .microseconds(Int64($1.tv_usec))
        }
    }

    /// Kilobytes in memory now.
    private static func resident() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(getpagesize()) / 1024
    }

    private static func milliseconds(_ duration: Duration) -> String {
        String(format: "%.0f", duration / .milliseconds(1))
    }
}
