import Configuration
import Foundation
import Networking
import Telephony

/// What the examination goes by: gathered once, then judged without asking anything more (`DoctorChecks`).
struct DoctorFacts: Sendable {
    struct Script: Sendable, Equatable {
        var name: String
        var isThere: Bool
        var isAsOurs = false
        /// Whether every user of the machine may read it.
        var isReadable = false
        /// What its text does wrong, where it is not ours.
        var faults: [DialplanFault] = []
    }

    /// FusionPBX's rows and cache, where this machine can see them.
    struct FusionPBX: Sendable {
        /// All dialplans of the database that name a voice gateway, with their details beside them.
        var rows: [Row]
        /// Whether the cached dialplan of a context holds what the row says; nil: nothing is cached.
        var cache: [(file: String, isStale: Bool)]

        struct Row: Sendable, Equatable {
            var name: String
            var domain: String
            var context: String
            var isEnabled: Bool
            var continues: Bool
            var order: Int
            var xml: String
            /// `action APPLICATION DATA` of the details, in order.
            var details: [String]
            /// False: FusionPBX serves `public` by destinations, and none names this row.
            var isServed = true
        }
    }

    var settings: Settings
    var ports = DoctorPorts()
    /// Nil: connected.
    var switchError: SwitchConsoleError?
    var hasPassword = false
    /// Answers by command; what could not be asked is absent.
    var answers: [String: String] = [:]
    /// The served dialplan by context; nil text: no such context, or it could not be asked.
    var contexts: [(name: String, xml: String)] = []
    var scriptFolder: String?
    /// Empty: the folder is not on this machine.
    var scripts: [Script] = []
    /// Somebody else's scripts in that folder that do what costs calls.
    var foreignScripts: [Script] = []
    /// By port name: whether something listens where Pronto should.
    var listening: [(name: String, address: String, isOpen: Bool, isWanted: Bool)] = []
    var health: String?
    /// What Pronto itself stands on; nil: not looked at.
    var installation: InstallationFacts?
    /// Nil: no FusionPBX here; the error's words where it cannot be read.
    var fusion: Result<FusionPBX, CommandFailure>?

    // The commands that are asked, each by one name so that no check can miss its answer.
    static let modules = [
        "mod_event_socket", "mod_dialplan_xml", "mod_dptools", "mod_commands", "mod_sofia", "mod_lua", "mod_curl",
        "mod_voicemail", "mod_audio_stream", "mod_audio_fork",
    ]
    static func moduleExists(_ name: String) -> String { "module_exists \(name)" }
    static let streamUsage = "uuid_audio_stream"
    static func configuration(_ name: String) -> String { "xml_locate configuration configuration name \(name)" }
    static func context(_ name: String) -> String { "xml_locate dialplan context name \(name)" }
    static let version = "version"
    static let profile = "sofia status profile "

    func answer(_ command: String) -> String? { self.answers[command] }
    func has(_ module: String) -> Bool? { self.answers[Self.moduleExists(module)].map { $0 == "true" } }
}

/// Asks the switch, the files, the ports and the database. Whatever does not answer is a fact too.
enum DoctorGathering {
    struct Order: Sendable {
        var contexts: [String]
        var profile = "internal"
        var scripts: String?
        /// Nil: as PRONTO_SIP_PORT says.
        var sipPort: Int?
        var fusionFile = FusionPBXHost.defaultFile
        /// Whether the back ends' keys are tried, which costs money.
        var triesProviders = false
    }

    static func gather(_ order: Order, _ settings: Settings, environment: [String: String]) async -> DoctorFacts {
        var facts = DoctorFacts(settings: settings)
        facts.ports = DoctorPorts(
            media: settings.mediaPort, socket: settings.socketPort ?? 8022,
            sip: order.sipPort ?? settings.sipPort ?? 5090,
            admin: settings.adminPort)
        let loop = EventLoop(name: "doctor")
        loop.start()
        defer { loop.stop() }
        await Self.askSwitch(order, &facts, loop)
        Self.readScripts(order, &facts)
        await Self.tryPorts(&facts, loop)
        await Self.readFusion(order, &facts, environment)
        facts.installation = await InstallationGathering.gather(settings, trials: order.triesProviders)
        return facts
    }

    private static func askSwitch(_ order: Order, _ facts: inout DoctorFacts, _ loop: EventLoop) async {
        let settings = facts.settings
        facts.hasPassword = settings.switchPassword != nil
        let password = settings.switchPassword ?? "ClueCon"
        do throws(SwitchConsoleError) {
            let console = try await SwitchConsole.open(
                host: settings.switchHost, port: UInt16(settings.switchPort), password: Redacted(password),
                timeout: settings.switchConnectTimeout, on: loop)
            var commands = DoctorFacts.modules.map { DoctorFacts.moduleExists($0) }
            commands += [
                DoctorFacts.version, DoctorFacts.streamUsage, DoctorFacts.profile + order.profile,
                "global_getvar script_dir", "global_getvar conf_dir",
            ]
            for name in ["modules.conf", "event_socket.conf", "switch.conf"] {
                commands.append(DoctorFacts.configuration(name))
            }
            for command in commands { facts.answers[command] = try await console.api(command) }
            for context in order.contexts {
                let xml = try await console.api(DoctorFacts.context(context))
                if xml.contains("<context") { facts.contexts.append((context, xml)) }
            }
            facts.scriptFolder = facts.answers["global_getvar script_dir"].flatMap { $0.hasPrefix("/") ? $0 : nil }
            console.close()
        } catch {
            facts.switchError = error
        }
    }

    private static func readScripts(_ order: Order, _ facts: inout DoctorFacts) {
        let folder = order.scripts ?? facts.scriptFolder
        facts.scriptFolder = folder
        guard let folder, FileManager.default.fileExists(atPath: folder) else { return }
        facts.scripts = FreeSwitchScripts.all.map { script in
            let path = "\(folder)/\(script.name)"
            guard let data = FileManager.default.contents(atPath: path) else {
                return DoctorFacts.Script(name: script.name, isThere: FileManager.default.fileExists(atPath: path))
            }
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            let mode = (attributes?[.posixPermissions] as? NSNumber)?.intValue ?? 0
            let isAsOurs = data == Data(script.text.utf8)
            return DoctorFacts.Script(
                name: script.name, isThere: true, isAsOurs: isAsOurs, isReadable: mode & 0o004 != 0,
                faults: isAsOurs ? [] : ScriptFaults.faults(in: String(decoding: data, as: UTF8.self)))
        }
        let ours = Set(FreeSwitchScripts.all.map(\.name))
        let others = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter {
            $0.hasSuffix(".lua") && !ours.contains($0)
        }
        // More than a script can have is none that somebody wrote by hand.
        facts.foreignScripts = others.sorted().prefix(1000).compactMap { name in
            guard let data = FileManager.default.contents(atPath: "\(folder)/\(name)"), data.count <= 262_144 else {
                return nil
            }
            let faults = ScriptFaults.faults(in: String(decoding: data, as: UTF8.self))
            return faults.isEmpty ? nil : DoctorFacts.Script(name: name, isThere: true, faults: faults)
        }
    }

    private static func tryPorts(_ facts: inout DoctorFacts, _ loop: EventLoop) async {
        let settings = facts.settings
        func isOpen(_ host: String, _ port: Int) async -> Bool {
            let host = host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host
            return await withCheckedContinuation { continuation in
                loop.execute {
                    _ = Connector(host: host, port: UInt16(port), timeout: .seconds(2), on: loop) { result in
                        if case .success(let connection) = result { connection.abort() }
                        continuation.resume(returning: (try? result.get()) != nil)
                    }
                }
            }
        }
        let wantsSocket = settings.audioMode != .websocket || settings.socketPort != nil
        for (name, host, port, isWanted) in [
            ("media", settings.mediaHost, facts.ports.media, true),
            ("admin", settings.adminHost, facts.ports.admin, true),
            ("esl-server", settings.socketHost, facts.ports.socket, wantsSocket),
            // UDP has no "open"; SIP listens on TCP at the same port.
            ("sip", settings.sipHost, facts.ports.sip, settings.audioMode == .rtp || settings.sipPort != nil),
        ] {
            facts.listening.append((name, "\(host):\(port)", await isOpen(host, port), isWanted))
        }
    }

    private static func readFusion(
        _ order: Order, _ facts: inout DoctorFacts, _ environment: [String: String]
    ) async {
        let host = FusionPBXHost(file: order.fusionFile, environment: environment)
        guard host.hasConfiguration || environment["DB_NAME"] != nil else { return }
        let sql = """
            SELECT json_build_object('row', to_jsonb(d) - 'dialplan_description', 'domain', coalesce(m.domain_name, ''),
              'details', (SELECT coalesce(jsonb_agg(x.dialplan_detail_tag || ' ' || x.dialplan_detail_type || ' ' ||
                  coalesce(x.dialplan_detail_data, '') ORDER BY x.dialplan_detail_group, x.dialplan_detail_order), '[]')
                FROM v_dialplan_details x WHERE x.dialplan_uuid = d.dialplan_uuid))
            FROM v_dialplans d LEFT JOIN v_domains m ON m.domain_uuid = d.domain_uuid
            WHERE d.dialplan_xml LIKE '%"socket"%' OR d.dialplan_xml LIKE '%voice_secretary%'
              OR d.dialplan_xml LIKE '%ai_websocket_bridge%' OR d.dialplan_xml LIKE '%audio_stream%'
              OR d.dialplan_xml LIKE '%pronto_%'
            ORDER BY d.dialplan_order;

            """
        do {
            let destined = try await host.servedByDestination(environment: environment)
            let rows = try Self.rows(in: try await host.psql(sql, environment: environment), destined)
            var cache: [(file: String, isStale: Bool)] = []
            for context in Set(rows.filter(\.isEnabled).map(\.context)).sorted() {
                for file in host.cacheFiles(of: context) {
                    guard let data = FileManager.default.contents(atPath: file) else { continue }
                    let text = String(decoding: data, as: UTF8.self)
                    let isStale = rows.contains { $0.isEnabled && $0.context == context && !text.contains($0.xml) }
                    cache.append((file, isStale))
                }
            }
            facts.fusion = .success(DoctorFacts.FusionPBX(rows: rows, cache: cache))
        } catch {
            // DB_NAME may be a database of Pronto's own: no FusionPBX is not one that cannot be read.
            let isOther = "\(error)".contains("\"v_dialplans\" does not exist")
            guard host.hasConfiguration || !isOther else { return }
            facts.fusion = .failure(error as? CommandFailure ?? CommandFailure("\(error)"))
        }
    }

    private static func rows(in answer: String, _ destined: Set<String>?) throws -> [DoctorFacts.FusionPBX.Row] {
        try answer.split(separator: "\n").map { line in
            guard let value = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
                let row = value["row"] as? [String: Any]
            else { throw CommandFailure("psql answered with something else than rows of v_dialplans") }
            // Text in older versions of FusionPBX, booleans in newer ones.
            func isTrue(_ name: String) -> Bool { (row[name] as? Bool) ?? ((row[name] as? String) == "true") }
            let context = row["dialplan_context"] as? String ?? ""
            // A row of no domain is everybody's, in either mode.
            let isDestined =
                row["domain_uuid"] is NSNull || destined?.contains(row["dialplan_uuid"] as? String ?? "") ?? true
            return DoctorFacts.FusionPBX.Row(
                name: row["dialplan_name"] as? String ?? "", domain: value["domain"] as? String ?? "",
                context: context, isEnabled: isTrue("dialplan_enabled"),
                continues: isTrue("dialplan_continue"),
                order: (row["dialplan_order"] as? NSNumber)?.intValue ?? 0, xml: row["dialplan_xml"] as? String ?? "",
                details: value["details"] as? [String] ?? [], isServed: context != "public" || isDestined)
        }
    }
}
