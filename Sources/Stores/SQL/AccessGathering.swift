import Records
import Telephony

/// The tables of what tenants may use and of the keys that they sign with.
enum AccessTable: String, CaseIterable, Sendable {
    case policies = "voip_tenant_settings"
    case keys = "voip_signing_keys"
}

/// Puts rows together to policies and keys. A row that cannot be is left out, and said: the installation's settings hold
/// for its tenant, and tokens of its key are refused.
struct AccessGathering {
    private let secrets: SecretBox?
    private(set) var reading: AccessReading

    init(of asked: Set<TenantID>?, secrets: SecretBox?) {
        self.reading = AccessReading(asked: asked)
        self.secrets = secrets
    }

    mutating func take(_ row: Row, of table: AccessTable) {
        do throws(StoreError) {
            switch table {
            case .policies:
                let tenant = try row.value("domain_uuid") { TenantID($0) }
                self.reading.policies[tenant] = try TenantPolicy(row: row)
            case .keys:
                var key = try SigningKeyRecord(row: row)
                key.key = self.opened(row, key)
                self.reading.keys.append(key)
            }
        } catch {
            self.fault(row, table, error.message)
        }
    }

    /// Nil, and said: it stays shut, and harms those only who sign with it.
    private mutating func opened(_ row: Row, _ key: SigningKeyRecord) -> Redacted<String>? {
        guard let secrets = self.secrets else {
            self.fault(row, .keys, "column key_data is encrypted, and neither PRONTO_SECRET_KEY nor _FILE is set")
            return nil
        }
        do throws(StoreError) {
            return Redacted(try secrets.opened(try row.text("key_data"), for: key.owner))
        } catch {
            self.fault(row, .keys, "column key_data: \(error.message)")
            return nil
        }
    }

    private mutating func fault(_ row: Row, _ table: AccessTable, _ message: String) {
        let tenant = row[column: "domain_uuid"]?.tenant
        self.reading.faults.append(
            ConfigurationFault(
                table: table.rawValue, row: tenant?.text ?? "(no id)", tenant: tenant, message: message))
    }
}
