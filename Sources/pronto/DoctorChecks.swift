import Configuration

/// The checklists of documents 3 and 4, and what was measured since: facts in, findings out.
enum DoctorChecks {
    static func findings(_ facts: DoctorFacts) -> [DoctorFinding] {
        var findings = self.eventSocket(facts)
        if facts.switchError == nil {
            findings += self.modules(facts) + self.network(facts) + self.dialplan(facts)
        } else {
            findings.append(.skipped("modules", "FreeSWITCH cannot be asked"))
            findings.append(.skipped("dialplan", "FreeSWITCH cannot be asked"))
        }
        findings += self.scripts(facts) + self.ports(facts) + self.fusion(facts) + self.sound(facts)
        return findings + (facts.installation.map { self.installation($0, facts.settings) } ?? [])
    }

    // MARK: The Event Socket

    private static func eventSocket(_ facts: DoctorFacts) -> [DoctorFinding] {
        let settings = facts.settings
        let address = "\(settings.switchHost):\(settings.switchPort)"
        var findings: [DoctorFinding] = []
        let id = "event-socket"
        switch facts.switchError {
        case nil: findings.append(.fine(id, "\(address) answers"))
        case .refused:
            findings.append(
                .failed(
                    id, "\(address): nothing listens there",
                    "start FreeSWITCH; load mod_event_socket; compare ESL_HOST and ESL_PORT with event_socket.conf.xml")
            )
        case .accessDenied:
            findings.append(
                .failed(
                    id, "\(address): its access list refuses this machine",
                    "apply-inbound-acl in event_socket.conf.xml names a list with this address; then reload mod_event_socket"
                ))
        case .wrongPassword:
            findings.append(
                .failed(
                    id, "\(address): it refuses the password",
                    "ESL_PASSWORD has to be the password of event_socket.conf.xml"))
        case .silent:
            findings.append(
                .failed(
                    id, "\(address): no answer in time", "a firewall or another host? Compare ESL_HOST and ESL_PORT"))
        case .unknownHost: findings.append(.failed(id, "\(address): the host has no address", "correct ESL_HOST"))
        case .noEventSocket, .lost:
            findings.append(
                .failed(id, "\(address): what listens there is no Event Socket", "correct ESL_PORT (8021 by default)"))
        }
        if !facts.hasPassword {
            findings.append(
                .failed(
                    "event-socket-password", "ESL_PASSWORD is unset: Pronto cannot transfer, hang up or play files",
                    "set ESL_PASSWORD to the password of event_socket.conf.xml"))
        } else if settings.switchPassword == "ClueCon" {
            findings.append(
                .warning(
                    "event-socket-password", "the password is ClueCon, which everybody knows",
                    "another password in event_socket.conf.xml, the same in ESL_PASSWORD"))
        } else {
            findings.append(.fine("event-socket-password", "set, and not FreeSWITCH's default"))
        }
        guard let configuration = facts.answer(DoctorFacts.configuration("event_socket.conf")) else { return findings }
        let listens = Self.parameter("listen-ip", in: configuration) ?? ""
        let list = Self.parameter("apply-inbound-acl", in: configuration)
        let isLocal = listens == "127.0.0.1" || listens == "::1" || listens == "localhost"
        if isLocal || list != nil {
            findings.append(
                .fine(
                    "event-socket-acl",
                    list.map { "listens on \(listens), apply-inbound-acl \($0)" } ?? "listens on \(listens)"))
        } else {
            // Without a list FreeSWITCH takes loopback only (source: loopback.auto is its default).
            findings.append(
                .warning(
                    "event-socket-acl",
                    "listens on \(listens.isEmpty ? "every address" : listens) without apply-inbound-acl",
                    "listen-ip 127.0.0.1, or apply-inbound-acl with a list of Pronto's addresses"))
        }
        return findings
    }

    /// The value of a `<param>` in a text of XML.
    static func parameter(_ name: String, in xml: String) -> String? {
        for line in xml.split(separator: "<") where line.contains("name=\"\(name)\"") {
            guard let start = line.range(of: "value=\"") else { continue }
            let rest = line[start.upperBound...]
            return rest.firstIndex(of: "\"").map { String(rest[..<$0]) }
        }
        return nil
    }

    // MARK: Modules

    /// Which modules a way of bringing calls needs, and why.
    private static func modules(_ facts: DoctorFacts) -> [DoctorFinding] {
        var findings: [DoctorFinding] = []
        if let version = facts.answer(DoctorFacts.version) {
            findings.append(.fine("freeswitch", String(version.prefix(80)).trimmingNewlines))
        }
        let needsStream = facts.settings.audioMode == .websocket || facts.settings.audioMode == .dual
        func need(_ name: String, _ isNeeded: Bool, _ why: String, _ repair: String) {
            guard let isLoaded = facts.has(name) else { return }
            if isLoaded {
                findings.append(.fine(name, "loaded"))
            } else if isNeeded {
                findings.append(.failed(name, "not loaded: \(why)", repair))
            } else {
                findings.append(
                    .skipped(name, "not loaded, and not needed for AUDIO_MODE=\(facts.settings.audioMode.rawValue)"))
            }
        }
        func load(_ name: String) -> String {
            "fs_cli -x 'load \(name)', and <load module=\"\(name)\"/> in modules.conf.xml"
        }
        for name in ["mod_dialplan_xml", "mod_dptools", "mod_commands"] {
            need(name, true, "no dialplan works without it", load(name))
        }
        need("mod_sofia", facts.settings.audioMode == .rtp, "the SIP leg needs it", load("mod_sofia"))
        need("mod_lua", needsStream, "the scripts need it", "apt-get install freeswitch-mod-lua; " + load("mod_lua"))
        need("mod_curl", false, "", "")
        need("mod_voicemail", false, "", "")
        need(
            "mod_audio_stream", needsStream, "AUDIO_MODE=\(facts.settings.audioMode.rawValue) needs it",
            "build and install it (document 3 §6), or AUDIO_MODE=esl or rtp, which need no module")
        if facts.has("mod_audio_stream") == true {
            let usage = facts.answer(DoctorFacts.streamUsage) ?? ""
            findings.append(
                usage.hasPrefix("-USAGE")
                    ? .fine("uuid_audio_stream", "the API is there")
                    : .failed(
                        "uuid_audio_stream", "mod_audio_stream is loaded and its API is not there",
                        "unload and load the module; look into freeswitch.log"))
            if let modules = facts.answer(DoctorFacts.configuration("modules.conf")) {
                findings.append(
                    modules.contains("module=\"mod_audio_stream\"")
                        ? .fine("autoload", "mod_audio_stream is in modules.conf.xml")
                        : .warning(
                            "autoload", "mod_audio_stream is loaded by hand: gone after a restart",
                            "<load module=\"mod_audio_stream\"/> in autoload_configs/modules.conf.xml"))
            }
        }
        return findings
    }

    // MARK: Network

    private static func network(_ facts: DoctorFacts) -> [DoctorFinding] {
        var findings: [DoctorFinding] = []
        if let text = facts.answer(DoctorFacts.configuration("switch.conf")) {
            let first = Self.parameter("rtp-start-port", in: text).flatMap { Int($0) } ?? 16384
            let last = Self.parameter("rtp-end-port", in: text).flatMap { Int($0) } ?? 32768
            let ours = facts.settings.datagramFirst...max(facts.settings.datagramFirst, facts.settings.datagramLast)
            if first >= last {
                findings.append(
                    .failed(
                        "rtp-range", "rtp-start-port \(first) is not below rtp-end-port \(last)",
                        "correct switch.conf.xml"))
            } else if ours.overlaps(first...last), facts.settings.audioMode == .rtp || facts.settings.audioMode == .esl
            {
                findings.append(
                    .warning(
                        "rtp-range",
                        "FreeSWITCH's RTP ports (\(first)-\(last)) and Pronto's (\(ours.lowerBound)-\(ours.upperBound)) overlap",
                        "RTP_PORT_MIN and RTP_PORT_MAX outside of FreeSWITCH's range, where both are on one machine"))
            } else {
                findings.append(
                    .fine("rtp-range", "FreeSWITCH \(first)-\(last), Pronto \(ours.lowerBound)-\(ours.upperBound)"))
            }
        }
        guard let profile = facts.answers.first(where: { $0.key.hasPrefix(DoctorFacts.profile) })?.value,
            profile.contains("RTP-IP")
        else { return findings }
        func field(_ name: String) -> String? {
            for line in profile.split(whereSeparator: \.isNewline) where line.hasPrefix(name) {
                let value = line.dropFirst(name.count).drop { $0 == " " || $0 == "\t" }
                if !value.isEmpty { return String(value).trimmingNewlines }
            }
            return nil
        }
        let (address, outside) = (field("RTP-IP") ?? "", field("Ext-RTP-IP") ?? "")
        if Self.isPrivate(address), outside.isEmpty || outside == "N/A" || Self.isPrivate(outside),
            address != "127.0.0.1"
        {
            findings.append(
                .warning(
                    "nat", "the SIP profile offers the private address \(address) to everybody",
                    "where phones or carriers are beyond a NAT: ext-rtp-ip and ext-sip-ip in the profile"))
        } else {
            findings.append(
                .fine("nat", outside.isEmpty ? "RTP-IP \(address)" : "RTP-IP \(address), Ext-RTP-IP \(outside)"))
        }
        let codecs = (field("CODECS IN") ?? "").uppercased()
        if !codecs.isEmpty, !codecs.contains("PCMU"), !codecs.contains("PCMA") {
            findings.append(
                .failed(
                    "codecs", "the profile takes neither PCMU nor PCMA: \(codecs)",
                    "add PCMU or PCMA to inbound-codec-prefs"))
        } else if !codecs.isEmpty {
            findings.append(.fine("codecs", codecs))
        }
        return findings
    }

    private static func isPrivate(_ address: String) -> Bool {
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"].contains {
            AddressRange($0)?.contains(address) == true
        }
    }

    // MARK: Dialplan

    private static func dialplan(_ facts: DoctorFacts) -> [DoctorFinding] {
        guard !facts.contexts.isEmpty else {
            return [
                .warning(
                    "dialplan", "no context could be read by xml_locate",
                    "name the context: pronto doctor --context NAME (FusionPBX: the domain's name)")
            ]
        }
        var findings: [DoctorFinding] = []
        var served = 0
        for (name, xml) in facts.contexts {
            guard let items = ServedExtension.all(in: xml) else {
                findings.append(
                    .failed(
                        "dialplan-\(name)", "the served XML cannot be read", "look into freeswitch.log for XML errors"))
                continue
            }
            for item in items where item.concerns(facts.ports) {
                served += 1
                findings += Self.finding(item, "dialplan-\(name)", facts.ports)
            }
            let names = Set(items.map(\.name))
            // In a context that tenants share each has a failover of its own name.
            let named = items.flatMap(\.actions).flatMap { action in
                action.data.matches(of: /(pronto_failover(?:_[0-9a-f-]{36})?) XML/).map { String($0.output.1) }
            }
            for missing in Set(named).subtracting(names).sorted() {
                findings.append(
                    .failed(
                        "dialplan-\(name)", "\(missing) is named and not there: callers would be hung up",
                        "pronto dialplan install, once more"))
            }
        }
        if served == 0 {
            findings.append(
                .failed(
                    "dialplan",
                    "no served extension brings a call to Pronto (contexts \(facts.contexts.map(\.name).joined(separator: ", ")))",
                    "pronto dialplan install realtime|esl|rtp|inbound; then reloadxml, and with FusionPBX clear its cache"
                ))
        }
        return findings
    }

    private static func finding(_ item: ServedExtension, _ id: String, _ ports: DoctorPorts) -> [DoctorFinding] {
        let faults = DialplanFaults.faults(of: item, ports)
        guard !faults.isEmpty else { return [.fine(id, "\(item.name) is served and sound")] }
        return faults.map { fault in
            fault.isFatal
                ? .failed("\(id)/\(fault.slug)", "\(item.name): \(fault.found)", fault.repair)
                : .warning("\(id)/\(fault.slug)", "\(item.name): \(fault.found)", fault.repair)
        }
    }

    // MARK: Files, ports, database

    private static func scripts(_ facts: DoctorFacts) -> [DoctorFinding] {
        guard !facts.scripts.isEmpty else {
            return [.skipped("scripts", "FreeSWITCH's script folder is not on this machine (--scripts FOLDER)")]
        }
        let folder = facts.scriptFolder ?? ""
        let isNeeded = facts.settings.audioMode == .websocket
        let missing = facts.scripts.filter { !$0.isThere }.map(\.name)
        // Somebody else's are looked at whatever the mode: a dialplan may still name them.
        let faulty = facts.foreignScripts.flatMap { script in
            script.faults.map { fault in
                DoctorFinding.warning(
                    "scripts/\(fault.slug)", "\(folder)/\(script.name): \(fault.found)",
                    "\(fault.repair); or voice_secretary.lua of pronto dialplan install realtime in its place")
            }
        }
        if missing.count == facts.scripts.count, !isNeeded {
            return faulty + [.skipped("scripts", "none in \(folder), and not needed")]
        }
        var findings = faulty
        if !missing.isEmpty {
            findings.append(
                .failed(
                    "scripts", "\(folder) lacks \(missing.joined(separator: ", "))",
                    "pronto dialplan install realtime --scripts \(folder) --apply"))
        }
        for script in facts.scripts where script.isThere {
            if !script.isReadable {
                findings.append(
                    .failed(
                        "scripts", "\(folder)/\(script.name) is not readable by FreeSWITCH's user",
                        "chown freeswitch:freeswitch and chmod 644 \(folder)/\(script.name)"))
            } else if !script.isAsOurs {
                findings.append(
                    .warning(
                        "scripts", "\(folder)/\(script.name) differs from this version's",
                        "pronto dialplan diff realtime --scripts \(folder) shows it; install replaces it"))
            }
            for fault in script.faults {
                findings.append(
                    .failed(
                        "scripts/\(fault.slug)", "\(folder)/\(script.name): \(fault.found)",
                        "\(fault.repair); or pronto dialplan install realtime --scripts \(folder) --apply"))
            }
        }
        return findings.isEmpty
            ? [.fine("scripts", "\(facts.scripts.count) in \(folder), as this version has them")] : findings
    }

    private static func ports(_ facts: DoctorFacts) -> [DoctorFinding] {
        facts.listening.map { port in
            switch (port.isOpen, port.isWanted) {
            case (true, _): .fine("port-\(port.name)", "\(port.address) is open")
            case (false, true):
                .failed(
                    "port-\(port.name)", "\(port.address): nothing listens",
                    "start pronto serve with these settings (pronto config shows them)")
            case (false, false): .skipped("port-\(port.name)", "\(port.address) is not used in this AUDIO_MODE")
            }
        }
    }

    private static func fusion(_ facts: DoctorFacts) -> [DoctorFinding] {
        switch facts.fusion {
        case nil: return [.skipped("fusionpbx", "no FusionPBX on this machine (/etc/fusionpbx/config.conf, DB_NAME)")]
        case .failure(let failure):
            return [
                .failed(
                    "fusionpbx", "its database cannot be read: \(failure)",
                    "DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASS")
            ]
        case .success(let fusion):
            var findings: [DoctorFinding] = []
            if fusion.rows.isEmpty {
                findings.append(
                    .warning(
                        "fusionpbx", "no row of v_dialplans names a voice gateway",
                        "pronto dialplan install MODE --fusionpbx --domain NAME --apply"))
            }
            for row in fusion.rows {
                let id = "fusionpbx-\(row.name)"
                guard row.isEnabled else {
                    findings.append(.warning(id, "\(row.domain): disabled", "enable it in the Dialplan Manager"))
                    continue
                }
                if !row.isServed {
                    findings.append(
                        .failed(
                            id,
                            "\(row.domain): FusionPBX's default setting destinations/dialplan_mode is single, and no destination names this row of public: it never runs",
                            FusionPBXHost.singleModeRepair))
                }
                guard let items = ServedExtension.all(in: row.xml) else {
                    findings.append(
                        .failed(id, "\(row.domain): dialplan_xml is no XML", "pronto dialplan install … --apply"))
                    continue
                }
                for item in items where item.concerns(facts.ports) { findings += Self.finding(item, id, facts.ports) }
                let running = items.flatMap(\.actions).map {
                    ($0.isAnti ? "anti-action " : "action ") + $0.application + " " + $0.data
                }
                let shown = row.details.filter { !$0.hasPrefix("condition ") }
                if shown.map(\.trimmingBlanks) != running.map(\.trimmingBlanks) {
                    findings.append(
                        .warning(
                            id,
                            "\(row.domain): v_dialplan_details and dialplan_xml differ: the next Save in the web interface changes what runs",
                            "pronto dialplan install … --apply writes both"))
                }
            }
            for (file, isStale) in fusion.cache {
                findings.append(
                    isStale
                        ? .failed(
                            "fusionpbx-cache", "\(file) is older than the database", "rm \(file) && fs_cli -x reloadxml"
                        )
                        : .fine("fusionpbx-cache", "\(file) is as the database"))
            }
            if findings.isEmpty { findings.append(.fine("fusionpbx", "\(fusion.rows.count) rows, as they should be")) }
            return findings
        }
    }

    /// What sounds better, and how to have it.
    private static func sound(_ facts: DoctorFacts) -> [DoctorFinding] {
        guard facts.settings.audioMode == .websocket, facts.settings.dialect == .modAudioStream else { return [] }
        return [
            .warning(
                "sound",
                "the community mod_audio_stream plays by files: 120 to 180 ms of silence between any two, and it stops late at interruptions",
                "AUDIO_MODE=esl (pronto dialplan install esl) or rtp: no module, audio frame by frame")
        ]
    }
}

extension String {
    fileprivate var trimmingNewlines: String { String(self.drop(while: \.isNewline).prefix { !$0.isNewline }) }
    fileprivate var trimmingBlanks: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
