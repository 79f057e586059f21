import Foundation
import Telephony

/// What this machine's FusionPBX says of itself (`/etc/fusionpbx/config.conf`): database and cache. The environment's
/// DB_… stand above it, as document 4 sets them.
struct FusionPBXHost: Sendable, CustomStringConvertible, CustomReflectable {
    var databaseHost = "127.0.0.1"
    var databasePort = "5432"
    var databaseName = "fusionpbx"
    var databaseUser = "fusionpbx"
    var databasePassword: Redacted<String>?
    /// `file` or `memcache`.
    var cacheMethod = "file"
    var cacheLocation = "/var/cache/fusionpbx"
    /// Whether the file was there.
    var hasConfiguration = false

    static let defaultFile = "/etc/fusionpbx/config.conf"

    init(file: String = FusionPBXHost.defaultFile, environment: [String: String]) {
        if let data = FileManager.default.contents(atPath: file), data.count <= 1_048_576 {
            self.hasConfiguration = true
            for line in String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline) {
                let parts = line.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                guard parts.count == 2, !parts[0].hasPrefix("#") else { continue }
                self.take(parts[0], parts[1])
            }
        }
        if let host = environment["DB_HOST"], !host.isEmpty { self.databaseHost = host }
        if let port = environment["DB_PORT"], !port.isEmpty { self.databasePort = port }
        if let name = environment["DB_NAME"], !name.isEmpty { self.databaseName = name }
        if let user = environment["DB_USER"], !user.isEmpty { self.databaseUser = user }
        if let password = environment["DB_PASS"], !password.isEmpty { self.databasePassword = Redacted(password) }
        if let location = environment["FUSIONPBX_CACHE"], !location.isEmpty { self.cacheLocation = location }
    }

    private mutating func take(_ key: String, _ value: String) {
        switch key {
        case "database.0.host": self.databaseHost = value
        case "database.0.port": self.databasePort = value
        case "database.0.name": self.databaseName = value
        case "database.0.username": self.databaseUser = value
        case "database.0.password": self.databasePassword = Redacted(value)
        case "cache.method": self.cacheMethod = value
        case "cache.location": self.cacheLocation = value
        default: break
        }
    }

    /// Runs SQL through `psql`. The connection goes by PG… variables, never on the command line.
    func psql(_ sql: String, environment: [String: String]) async throws -> String {
        guard let path = ChildProgram.find("psql", environment: environment) else {
            throw CommandFailure("psql is not installed: apt-get install postgresql-client")
        }
        var child = ["PATH": environment["PATH"] ?? "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGCONNECT_TIMEOUT": "5"]
        child["PGHOST"] = self.databaseHost
        child["PGPORT"] = self.databasePort
        child["PGDATABASE"] = self.databaseName
        child["PGUSER"] = self.databaseUser
        child["PGPASSWORD"] = self.databasePassword?.value
        child["HOME"] = environment["HOME"]
        let result = try await ChildProgram.run(
            path, ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"], environment: child, input: sql)
        guard result.status == 0 else {
            // psql's first lines say what and where; the statement itself is ours and tells nothing new.
            let words = result.errors.split(separator: "\n").prefix(3).joined(separator: "; ")
            // psql ends with 2 when it did not get in (its manual, EXIT STATUS).
            let repair = result.status == 2 ? "; set DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASS" : ""
            throw CommandFailure(
                "psql (\(self.databaseUser)@\(self.databaseHost):\(self.databasePort)/\(self.databaseName)): \(words)\(repair)"
            )
        }
        return result.output
    }

    /// The dialplans of `public` that FusionPBX serves; nil: all of them.
    ///
    /// Its dialplan.lua reads the default setting destinations/dialplan_mode, whether or not it is enabled. With `single`
    /// it serves, of a domain's rows in `public`, those alone that a row of v_destinations names; otherwise every row of the
    /// context, of whatever domain, in their order (source, FusionPBX of 2026).
    func servedByDestination(environment: [String: String]) async throws -> Set<String>? {
        let sql = """
            SELECT to_regclass('v_default_settings') IS NOT NULL AND to_regclass('v_destinations') IS NOT NULL AS there \\gset
            \\if :there
              SELECT count(*) > 0 AS single FROM v_default_settings WHERE default_setting_category = 'destinations'
                AND default_setting_subcategory = 'dialplan_mode' AND default_setting_value = 'single' \\gset
              \\if :single
                SELECT 'single';
                SELECT dialplan_uuid FROM v_destinations WHERE dialplan_uuid IS NOT NULL;
              \\endif
            \\endif

            """
        let lines = try await self.psql(sql, environment: environment).split(separator: "\n").map(String.init)
        return lines.first == "single" ? Set(lines.dropFirst()) : nil
    }

    static let singleModeRepair =
        "Advanced > Default Settings > destinations, dialplan_mode: multiple; then clear the cache and reloadxml"

    /// The cached dialplan files of a context: FusionPBX writes key `dialplan:<context>` as `dialplan.<context>`, and in
    /// its mode `single` one for each number of `public`.
    func cacheFiles(of context: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: self.cacheLocation)) ?? []
        return names.filter { $0 == "dialplan.\(context)" || $0.hasPrefix("dialplan.\(context).") }.sorted().map {
            "\(self.cacheLocation)/\($0)"
        }
    }

    var description: String { "FusionPBXHost" }
    var customMirror: Mirror { Mirror(self, children: [:]) }
}
