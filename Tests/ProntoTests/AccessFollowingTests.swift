import Foundation
import Records
import Stores
import Telephony
import Testing

@testable import pronto

@Suite("Policies and keys in memory")
struct AccessFollowingTests {
    private let one = TenantID("00000000-0000-4000-8000-000000000001")!
    private let two = TenantID("00000000-0000-4000-8000-000000000002")!

    private func access(
        _ folder: String, _ lines: Lines, _ environment: [String: String] = [:]
    ) throws -> (APIAccess, FaultTelling) {
        let faults = FaultTelling(lines.logger(.trace))
        let access = try APIAccess(
            try settings(in: folder, environment), turns: Turns(), faults: faults, logger: lines.logger(.trace))
        return (access, faults)
    }

    @Test("The file of keys is read again when it has changed; one that cannot be read leaves the keys, said once")
    func file() async throws {
        try await withFolder { folder in
            let (file, lines) = (folder + "/keys.json", Lines())
            func write(_ text: String) throws { try text.write(toFile: file, atomically: true, encoding: .utf8) }
            try write(try JSONWebKey.generated(.hs256, id: "first").value)
            let (access, _) = try self.access(folder, lines, ["PRONTO_JWT_KEYS_FILE": file])
            access.followFile()
            #expect(access.keys.signer()?.id == "first")
            try write(try JSONWebKey.generated(.hs256, id: "second").value)
            access.followFile()
            #expect(access.keys.signer()?.id == "second")
            try write("{}")
            for _ in 0..<3 { access.followFile() }
            #expect(access.keys.signer()?.id == "second")
            #expect(lines.all.count { $0.contains("those before stand") } == 1)
            try write(try JSONWebKey.generated(.hs256, id: "third").value)
            access.followFile()
            #expect(access.keys.signer()?.id == "third")
        }
    }

    @Test("One tenant's change leaves the others' policies; a key that is none harms itself, and is told once")
    func parts() async throws {
        try await withFolder { folder in
            let lines = Lines()
            let (access, faults) = try self.access(folder, lines)
            let policy = TenantPolicy(limits: TenantLimits(calls: 1))
            let broken = SigningKeyRecord(tenant: self.two, id: "broken", key: Redacted("{}"))
            let shut = ConfigurationFault(
                table: "voip_signing_keys", row: self.one.text, tenant: self.one, message: "column key_data: shut")
            access.take(
                AccessReading(
                    policies: [self.one: policy, self.two: policy],
                    keys: [SigningKeyRecord(tenant: self.one, id: "shut", key: nil), broken], faults: [shut]))
            #expect(faults.count == 2 && lines.all.count { $0.contains("voip_signing_keys") } == 2)
            access.take(AccessReading(asked: [self.two], keys: [broken]))
            #expect(access.policies.all == [self.one: policy])
            #expect(faults.count == 2 && lines.all.count { $0.contains("voip_signing_keys") } == 2, "told once")
            access.take(AccessReading(asked: [self.two]))
            #expect(faults.count == 1, "repaired")
            // Another reading's faults are its own.
            faults.tell([], in: .assistants, of: nil)
            #expect(faults.count == 1)
            access.take(AccessReading())
            #expect(faults.count == 0 && access.policies.all.isEmpty)
        }
    }
}
