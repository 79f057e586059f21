import Configuration
import Foundation
import Networking
import Telephony

/// `pronto dialplan`: prints and installs what FreeSWITCH needs to bring calls here. Changes nothing without `--apply`.
enum DialplanCommand {
    static let usage = """
        pronto dialplan print MODE              the XML of a plain FreeSWITCH (with --fusionpbx: the SQL)
        pronto dialplan diff MODE               what an installation would change; status 1 when something
        pronto dialplan install MODE [--apply]  without --apply: what it would do
        pronto dialplan rollback FOLDER [--apply]
        pronto dialplan scripts [NAME]          the Lua scripts' names, or one's text

        MODE     realtime (mod_audio_stream), esl (stock, unicast), dual, rtp (stock, SIP), inbound (document 1)
        plain    --to FOLDER (/etc/freeswitch/dialplan/default or …/public)  --scripts FOLDER
        FusionPBX  --fusionpbx --domain NAME [--scripts FOLDER]; database from DB_HOST, DB_PORT, DB_NAME, DB_USER,
                 DB_PASS or --fusionpbx-config FILE (/etc/fusionpbx/config.conf)
        both     --backups FOLDER (where the way back is kept: ./pronto-dialplan)
        dialplan --numbers 8XXX  --context C  --failover 2000  --failover-context C  --failover-by dialplan|user
                 --domain-name D  --domain-uuid U  --secretary U  --pronto-host 127.0.0.1  --pronto-port N
                 --socket-port 8022  --admin-port 8100  --module community|fork|binary  --rate 8k|16k
                 --profile internal  --trunk ID (or the channel's pronto_trunk)  --fuse 4
                 --audio stream|esl (of inbound: mod_audio_stream, or unicast under the outbound Event Socket)
        """

    struct Outcome: Sendable, Equatable {
        var text: String
        var status: Int32 = 0
    }

    static let defaultScripts = "/usr/share/freeswitch/scripts"
    private static let options: Set<String> = DialplanParameters.options.union([
        "--to", "--scripts", "--domain", "--backups", "--config", "--fusionpbx-config",
    ])

    static func run(_ words: [String], folder: String, environment: [String: String]) async throws -> Outcome {
        let arguments = try Arguments(words, options: Self.options, flags: ["--apply", "--fusionpbx", "--help"])
        guard let verb = arguments.words.first, !arguments.has("--help") else { return Outcome(text: Self.usage) }
        if verb == "scripts" { return try Self.scripts(arguments) }
        if verb == "rollback" { return try await Self.rollback(arguments, folder, environment) }
        guard ["print", "diff", "install"].contains(verb) else {
            throw ArgumentError.notAllowed(option: verb, allowed: "print, diff, install, rollback, scripts")
        }
        guard arguments.words.count > 1 else { throw ArgumentError.missing("MODE") }
        if arguments.words.count > 2 { throw ArgumentError.tooMany(arguments.words[2]) }
        guard let mode = DialplanMode(rawValue: arguments.words[1]) else {
            let allowed = DialplanMode.allCases.map(\.rawValue).joined(separator: ", ")
            throw ArgumentError.notAllowed(option: "MODE", allowed: allowed)
        }
        let order = try Order(mode, arguments, folder)
        let host = FusionPBXHost(
            file: try arguments.optional("--fusionpbx-config") ?? FusionPBXHost.defaultFile, environment: environment)
        switch verb {
        case "print": return Outcome(text: order.fusion?.sql ?? DialplanFile.text(order.parameters))
        case "diff":
            let lines = try await order.difference(host, environment)
            return Outcome(
                text: lines.isEmpty ? "nothing to change" : lines.joined(separator: "\n"),
                status: lines.isEmpty ? 0 : 1)
        default:
            let settings = try Settings.load(
                folder: folder, file: try arguments.optional("--config"), environment: environment,
                arguments: arguments.settings)
            return try await Self.install(order, arguments.has("--apply"), host, settings, environment)
        }
    }

    /// Everything that one command line asks for.
    struct Order: Sendable {
        var parameters: DialplanParameters
        var fusion: FusionPBXDialplan?
        var files: FileInstallation
        var backups: String

        init(_ mode: DialplanMode, _ arguments: Arguments, _ folder: String) throws {
            var parameters = try DialplanParameters(mode, arguments)
            func path(_ option: String, _ otherwise: String) throws -> String {
                let given = try arguments.optional(option, allowed: "a path of 1 to 1024 characters") { text in
                    (1...1024).contains(text.utf8.count) && !text.utf8.contains(0) ? text : nil
                }
                let path = given ?? otherwise
                return path.hasPrefix("/") ? path : "\(folder)/\(path)"
            }
            self.backups = try path("--backups", "pronto-dialplan")
            var files: [FileInstallation.File] = []
            if arguments.has("--fusionpbx") {
                guard
                    let domain = try arguments.optional(
                        "--domain", allowed: "1 to 128 letters, digits, -, _ and .",
                        {
                            DialplanParameters.isWord($0) ? $0 : nil
                        })
                else { throw ArgumentError.missing("--domain (the name in v_domains)") }
                // FusionPBX's contexts are its domains' names; carriers arrive in `public`.
                if arguments.all("--context").isEmpty { parameters.context = mode == .inbound ? "public" : domain }
                // FusionPBX serves `public` without a look at whose a row is (its dialplan.lua).
                if parameters.context != domain { parameters.owner = FusionPBXDialplan.domainPlaceholder }
                if parameters.failoverContext == nil { parameters.failoverContext = domain }
                if arguments.all("--domain-name").isEmpty { parameters.domainName = domain }
                // A call from `public` has no domain yet; the row's own is the right one.
                if parameters.tenant == nil { parameters.tenant = FusionPBXDialplan.domainPlaceholder }
                self.fusion = FusionPBXDialplan(
                    domain: domain, extensions: DialplanModes.extensions(parameters), context: parameters.context)
            } else {
                if let domain = try arguments.optional("--domain") {
                    throw CommandFailure(
                        "--domain \(domain) goes with --fusionpbx; a plain FreeSWITCH has --domain-name")
                }
                let standard = "/etc/freeswitch/dialplan/" + (mode == .inbound ? "public" : "default")
                files.append(
                    FileInstallation.File(
                        path: try path("--to", standard) + "/" + mode.fileName, text: DialplanFile.text(parameters)))
            }
            if mode.needsScripts {
                let target = try path("--scripts", DialplanCommand.defaultScripts)
                files += FreeSwitchScripts.all.map {
                    FileInstallation.File(path: "\(target)/\($0.name)", text: $0.text)
                }
            }
            self.parameters = parameters
            self.files = FileInstallation(files: files)
        }

        func difference(_ host: FusionPBXHost, _ environment: [String: String]) async throws -> [String] {
            var lines = try self.files.difference()
            if let fusion {
                lines += fusion.difference(
                    from: try FusionPBXDialplan.present(in: try await host.psql(fusion.query, environment: environment))
                )
            }
            return lines
        }
    }

    private static func scripts(_ arguments: Arguments) throws -> Outcome {
        guard arguments.words.count > 1 else {
            return Outcome(text: FreeSwitchScripts.all.map(\.name).joined(separator: "\n"))
        }
        guard let text = FreeSwitchScripts.text(of: arguments.words[1]) else {
            let names = FreeSwitchScripts.all.map(\.name).joined(separator: ", ")
            throw ArgumentError.notAllowed(option: "NAME", allowed: names)
        }
        return Outcome(text: text)
    }

    private static func install(
        _ order: Order, _ applies: Bool, _ host: FusionPBXHost, _ settings: Settings, _ environment: [String: String]
    ) async throws -> Outcome {
        var present: [FusionPBXDialplan.Present] = []
        var lines = try order.files.difference()
        if let fusion = order.fusion {
            present = try FusionPBXDialplan.present(in: try await host.psql(fusion.query, environment: environment))
            lines += fusion.difference(from: present)
        }
        let warnings = try await Self.warnings(order.fusion, host, environment)
        guard applies else {
            let text = lines.isEmpty ? "nothing to change" : lines.joined(separator: "\n")
            let parts = [text] + warnings + ["Nothing was changed: that was a dry run. Add --apply to do it."]
            return Outcome(text: parts.joined(separator: "\n\n"))
        }
        // The cache may be stale even where database and files are right.
        if !lines.isEmpty {
            let backup = FileInstallation.Backup(
                mode: order.parameters.mode.rawValue, files: try order.files.present(),
                sql: order.fusion?.rollback(to: present), context: order.fusion?.context)
            let kept = try backup.save(
                in: order.backups,
                name: FileInstallation.Backup.name(of: order.parameters.mode, at: Date()))
            // Files first: a dialplan that names a script which is not there yet would cost calls.
            try order.files.write()
            if let fusion = order.fusion { _ = try await host.psql(fusion.sql, environment: environment) }
            lines.append("installed; the way back: pronto dialplan rollback \(kept) --apply")
        } else {
            lines.append("nothing to change")
        }
        lines += await Self.reload(order.fusion?.context, host, settings)
        return Outcome(text: (lines + warnings).joined(separator: "\n"))
    }

    /// What keeps rows that are right from being served.
    private static func warnings(
        _ fusion: FusionPBXDialplan?, _ host: FusionPBXHost, _ environment: [String: String]
    ) async throws -> [String] {
        guard let fusion, fusion.context == "public",
            try await host.servedByDestination(environment: environment) != nil
        else { return [] }
        return [
            "WARNING: FusionPBX's default setting destinations/dialplan_mode is single: of `public` it serves only what a "
                + "destination names, so these rows never run. \(FusionPBXHost.singleModeRepair)"
        ]
    }

    private static func rollback(
        _ arguments: Arguments, _ folder: String, _ environment: [String: String]
    ) async throws -> Outcome {
        guard arguments.words.count == 2 else { throw ArgumentError.missing("FOLDER (which the installation printed)") }
        let path = arguments.words[1].hasPrefix("/") ? arguments.words[1] : "\(folder)/\(arguments.words[1])"
        let backup = try FileInstallation.Backup.load(path)
        var lines = try backup.plan()
        guard arguments.has("--apply") else {
            lines.append("\nNothing was changed: that was a dry run. Add --apply to do it.")
            return Outcome(text: lines.joined(separator: "\n"))
        }
        let host = FusionPBXHost(
            file: try arguments.optional("--fusionpbx-config") ?? FusionPBXHost.defaultFile, environment: environment)
        // The other way round: first no dialplan names the scripts any more.
        if let sql = backup.sql { _ = try await host.psql(sql, environment: environment) }
        try backup.restoreFiles()
        let settings = try Settings.load(
            folder: folder, file: try arguments.optional("--config"), environment: environment,
            arguments: arguments.settings)
        lines += await Self.reload(backup.context, host, settings)
        return Outcome(text: lines.joined(separator: "\n"))
    }

    /// Clears FusionPBX's cache of `context` (nil: a plain FreeSWITCH has none) and makes FreeSWITCH read its XML anew.
    /// Says what it did and what is left to do: the dialplan is installed whatever happens here.
    private static func reload(_ context: String?, _ host: FusionPBXHost, _ settings: Settings) async -> [String] {
        var lines: [String] = []
        if let context, host.cacheMethod == "file" {
            for file in host.cacheFiles(of: context) {
                do {
                    try FileManager.default.removeItem(atPath: file)
                    lines.append("cache cleared: \(file)")
                } catch {
                    lines.append("the cache \(file) cannot be removed: as a user that may, rm \(file)")
                }
            }
        }
        guard let password = settings.switchPassword else {
            let cache =
                context != nil && host.cacheMethod != "file" ? " (and memcache's dialplan:\(context ?? ""))" : ""
            lines.append("ESL_PASSWORD is unset: now run fs_cli -x reloadxml\(cache)")
            return lines
        }
        let loop = EventLoop(name: "console")
        loop.start()
        defer { loop.stop() }
        do throws(SwitchConsoleError) {
            let console = try await SwitchConsole.open(
                host: settings.switchHost, port: UInt16(settings.switchPort), password: Redacted(password),
                timeout: settings.switchConnectTimeout, on: loop)
            if let context, host.cacheMethod == "memcache" {
                // Its web interface and its scripts write the key in two ways.
                _ = try await console.api("memcache delete dialplan:\(context)")
                _ = try await console.api("memcache delete dialplan.\(context)")
                lines.append("cache cleared: dialplan:\(context) in memcache")
            }
            let answer = try await console.api("reloadxml")
            lines.append("reloadxml: \(answer)")
            console.close()
        } catch {
            lines.append(
                "FreeSWITCH at \(settings.switchHost):\(settings.switchPort) was not told: \(error); run fs_cli -x reloadxml"
            )
        }
        return lines
    }
}
