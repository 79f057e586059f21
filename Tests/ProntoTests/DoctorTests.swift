import Configuration
import Foundation
import Glibc
import Networking
import Simulators
import Testing

@testable import pronto

private func facts(_ environment: [String: String] = ["ESL_PASSWORD": "long-and-own"]) throws -> DoctorFacts {
    var facts = DoctorFacts(settings: try Settings.load(folder: "/nonexistent", environment: environment))
    facts.hasPassword = environment["ESL_PASSWORD"] != nil
    for module in DoctorFacts.modules { facts.answers[DoctorFacts.moduleExists(module)] = "true" }
    facts.answers[DoctorFacts.version] = "FreeSWITCH Version 1.10.12"
    facts.answers[DoctorFacts.streamUsage] = "-USAGE: <uuid> [start | stop]"
    facts.answers[DoctorFacts.configuration("modules.conf")] = "<load module=\"mod_audio_stream\"/>"
    facts.answers[DoctorFacts.configuration("event_socket.conf")] =
        "<param name=\"listen-ip\" value=\"127.0.0.1\"/><param name=\"password\" value=\"x\"/>"
    facts.answers[DoctorFacts.configuration("switch.conf")] =
        "<param name=\"rtp-start-port\" value=\"16384\"/><param name=\"rtp-end-port\" value=\"32768\"/>"
    facts.answers[DoctorFacts.profile + "internal"] =
        "RTP-IP           \t198.51.100.7\nExt-RTP-IP       \tN/A\nCODECS IN        \tPCMU,PCMA\n"
    facts.contexts = [("default", DialplanFile.text(DialplanParameters(.realtime)))]
    facts.scriptFolder = "/scripts"
    facts.scripts = FreeSwitchScripts.all.map {
        DoctorFacts.Script(name: $0.name, isThere: true, isAsOurs: true, isReadable: true)
    }
    return facts
}

private func failures(_ facts: DoctorFacts) -> [String] {
    DoctorChecks.findings(facts).filter { $0.verdict == .failed }.map(\.id)
}

private func served(_ actions: String, continues: Bool = false) -> [String] {
    let xml =
        "<extension name=\"x\" continue=\"\(continues)\"><condition field=\"a\" expression=\"b\">\(actions)</condition></extension>"
    return ServedExtension.all(in: xml)?.flatMap { DialplanFaults.faults(of: $0, DoctorPorts()).map(\.slug) } ?? [
        "no XML"
    ]
}

@Suite("pronto doctor")
struct DoctorTests {
    @Test("A sound installation has nothing that failed, and each finding that is not fine says its repair")
    func sound() throws {
        let report = DoctorReport(DoctorChecks.findings(try facts()))
        #expect(report.status(strict: false) == 0)
        for check in report.checks {
            #expect((check.repair != nil) == (check.verdict == .warning || check.verdict == .failed), "\(check.id)")
        }
        let json = try #require(
            try JSONSerialization.jsonObject(with: Data(report.json.utf8)) as? [String: Any])
        #expect((json["checks"] as? [Any])?.count == report.checks.count && json["verdict"] as? String != nil)
    }

    @Test("Document 3's faults are found in scripts that are not ours")
    func foreignScripts() async throws {
        let documentThree = """
            -- never "both"
            local ws_url = "ws://127.0.0.1:8085/ws/" .. domain_uuid .. "/" .. call_uuid
            local cmd = "uuid_audio_stream " .. call_uuid .. " start " .. ws_url .. " mixed 16000"
            """
        #expect(ScriptFaults.faults(in: documentThree).map(\.slug) == ["mix-mixed", "path-ws"])
        #expect(
            ScriptFaults.faults(in: "api:execute('uuid_audio_stream', id .. ' start ' .. url .. ' both 8000')").map(
                \.slug)
                == ["mix-both"])
        #expect(ScriptFaults.faults(in: "x = \"uuid_audio_stream\"; mix = 'stereo'").map(\.slug) == ["mix-stereo"])
        // Words and paths of scripts that have nothing to do with streams are their own.
        #expect(ScriptFaults.faults(in: "log(\" both legs \"); path = '/ws/'").isEmpty)
        for script in FreeSwitchScripts.all { #expect(ScriptFaults.faults(in: script.text).isEmpty, "\(script.name)") }

        try await withFolder { folder in
            for name in ["voice_secretary.lua", "own.lua"] {
                try documentThree.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
            }
            try "print(1)".write(toFile: "\(folder)/fine.lua", atomically: true, encoding: .utf8)
            let text = try await DoctorCommand.run(
                ["--scripts", folder], folder: folder, environment: ["ESL_PORT": "1", "ESL_PASSWORD": "x"]
            ).text
            for name in ["voice_secretary.lua", "own.lua"] {
                #expect(text.contains("\(folder)/\(name): mix type mixed sends nothing"))
                #expect(text.contains("\(folder)/\(name): a stream address with /ws/"))
            }
            #expect(text.contains("use mono") && text.contains("/stream/{domain_uuid}/{call_uuid}"))
            #expect(!text.contains("fine.lua"))
        }
    }

    @Test("Each thing that breaks an installation is found")
    func broken() throws {
        func expect(_ id: String, _ change: (inout DoctorFacts) -> Void, _ line: Int = #line) throws {
            var broken = try facts()
            change(&broken)
            #expect(failures(broken).contains { $0.hasPrefix(id) }, "line \(line): \(failures(broken))")
        }
        for error in [SwitchConsoleError.refused, .accessDenied, .wrongPassword, .silent, .unknownHost, .noEventSocket]
        {
            try expect("event-socket") { $0.switchError = error }
        }
        try expect("event-socket-password") { $0.hasPassword = false }
        try expect("mod_audio_stream") { $0.answers[DoctorFacts.moduleExists("mod_audio_stream")] = "false" }
        try expect("mod_lua") { $0.answers[DoctorFacts.moduleExists("mod_lua")] = "false" }
        try expect("uuid_audio_stream") {
            $0.answers[DoctorFacts.streamUsage] = "-ERR uuid_audio_stream Command not found!"
        }
        try expect("rtp-range") {
            $0.answers[DoctorFacts.configuration("switch.conf")] =
                "<param name=\"rtp-start-port\" value=\"9\"/><param name=\"rtp-end-port\" value=\"8\"/>"
        }
        try expect("codecs") {
            $0.answers[DoctorFacts.profile + "internal"] = "RTP-IP  \t198.51.100.7\nCODECS IN \tG729\n"
        }
        try expect("dialplan") { $0.contexts = [("default", "<context name=\"default\"></context>")] }
        try expect("dialplan-default") { $0.contexts = [("default", "<context><extension></context>")] }
        try expect("scripts") { $0.scripts[0].isReadable = false }
        try expect("scripts") { $0.scripts[0].isThere = false }
        try expect("port-media") { $0.listening = [("media", "127.0.0.1:8085", false, true)] }
        try expect("fusionpbx") { $0.fusion = .failure(CommandFailure("no")) }
        try expect("fusionpbx-cache") { $0.fusion = .success(.init(rows: [], cache: [("dialplan.x", true)])) }
        try expect("dialplan-default") {
            let text = DialplanFile.text(DialplanParameters(.esl))
            $0.contexts = [("default", text.replacing("name=\"pronto_failover\"", with: "name=\"gone\""))]
        }
    }

    @Test("What is only unwise is a warning, and fails where a script is strict")
    func unwise() throws {
        var unwise = try facts(["ESL_PASSWORD": "ClueCon"])
        #expect(failures(unwise).isEmpty)
        let report = DoctorReport(DoctorChecks.findings(unwise))
        #expect(report.checks.contains { $0.id == "event-socket-password" && $0.verdict == .warning })
        #expect(report.status(strict: false) == 0 && report.status(strict: true) == 1)
        unwise.answers[DoctorFacts.configuration("modules.conf")] = "<modules/>"
        unwise.answers[DoctorFacts.configuration("event_socket.conf")] = "<param name=\"listen-ip\" value=\"::\"/>"
        unwise.answers[DoctorFacts.profile + "internal"] = "RTP-IP  \t192.168.1.2\nExt-RTP-IP \tN/A\n"
        let warned = Set(DoctorChecks.findings(unwise).filter { $0.verdict == .warning }.map(\.id))
        #expect(warned.isSuperset(of: ["autoload", "event-socket-acl", "nat"]))
    }

    @Test("The community module's sound is told plainly, with what is better")
    func community() throws {
        let told = DoctorChecks.findings(try facts(["ESL_PASSWORD": "x", "PRONTO_DIALECT": "mod-audio-stream"]))
        #expect(told.contains { $0.id == "sound" && $0.repair?.contains("AUDIO_MODE=esl") == true })
        #expect(!DoctorChecks.findings(try facts()).contains { $0.id == "sound" })
    }

    @Test("The mistakes of documents 1, 3 and 4 are found in a served dialplan")
    func mistakes() {
        let socket = "<action application=\"socket\" data=\"127.0.0.1:8022 async full\"/>"
        #expect(served(socket).contains("nothing-after-socket"))
        #expect(served(socket).contains("no-dead-mans-switch"))
        #expect(
            served("<action application=\"socket\" data=\"127.0.0.1:8022\"/><action application=\"hangup\"/>").contains(
                "socket-options"))
        #expect(served(socket + "<action application=\"park\"/>", continues: true).contains("continue"))
        #expect(
            served("<action application=\"audio_stream\" data=\"ws://127.0.0.1:8085/ws/a/b/c\"/>")
                == ["audio-stream-application", "path-ws"])
        let api = "<action application=\"set\" data=\"api_on_answer=uuid_audio_stream ${uuid} start ws://h/stream/a/b"
        #expect(served(api + " both 8000\"/>") == ["mix-both", "stream-without-script"])
        #expect(served(api + " mixed 16k\"/>").contains("mix-mixed"))
        #expect(served(api + " mono 16k\"/>") == ["stream-without-script"])
        #expect(served("<action application=\"lua\" data=\"voice_secretary.lua\"/>") == ["nothing-after-lua"])
        #expect(
            served(
                "<action application=\"set\" data=\"STREAM_PLAYBACK=true\"/><action application=\"lua\" data=\"voice_secretary.lua\"/><action application=\"hangup\"/>"
            ) == ["codec"])
        let bridge = served(
            "<action application=\"set\" data=\"hangup_after_bridge=true\"/><action application=\"bridge\" data=\"sofia/internal/x@127.0.0.1:5090\"/>"
        )
        #expect(
            Set(bridge)
                == [
                    "no-originate_timeout", "no-media_timeout", "hangup-after-bridge", "continue-on-fail",
                    "nothing-after-bridge", "custom-headers",
                ])
    }

    @Test("Details that differ from what runs are told: the next Save would change the dialplan")
    func details() throws {
        let item = DialplanModes.extensions(DialplanParameters(.esl))[0]
        var row = DoctorFacts.FusionPBX.Row(
            name: item.name, domain: "demo.example", context: "demo.example", isEnabled: true, continues: false,
            order: 5,
            xml: item.xml(), details: item.details.map { "\($0.tag) \($0.type) \($0.data)" })
        func told(_ row: DoctorFacts.FusionPBX.Row) throws -> [DoctorFinding] {
            var facts = try facts()
            facts.fusion = .success(.init(rows: [row], cache: []))
            return DoctorChecks.findings(facts).filter { $0.id == "fusionpbx-voice_ai_esl" }
        }
        #expect(try told(row).map(\.verdict) == [.fine])
        row.details.removeLast()
        #expect(try told(row).contains { $0.verdict == .warning && $0.found.contains("next Save") })
        row.isEnabled = false
        #expect(try told(row).map(\.verdict) == [.warning])
    }

    @Test("A switch that does not answer, refuses the password, or is none is told apart")
    func console() async throws {
        let loop = EventLoop(name: "switch")
        loop.start()
        defer { loop.stop() }
        let simulator = try await FreeSwitchSimulator.start(core: .init(password: "pineapple"), on: loop)
        func error(_ port: UInt16, _ password: String) async -> String {
            let report = try? await DoctorCommand.run(
                ["--esl-port", String(port), "--json"], folder: "/nonexistent", environment: ["ESL_PASSWORD": password])
            return report?.text ?? "threw"
        }
        #expect(await error(simulator.port, "marzipan").contains("refuses the password"))
        let answer = await error(simulator.port, "pineapple")
        #expect(answer.contains("answers") && !answer.contains("pineapple"))
        try await simulator.stop()
        // Bound and not listening: a port that was let go could be another test's by now.
        let holder = try HeldPort()
        #expect(await error(holder.port, "pineapple").contains("nothing listens there"))
    }

    /// A port of loopback that is taken, and answers nobody.
    private final class HeldPort {
        let port: UInt16
        private let descriptor: Int32

        init() throws {
            let descriptor: Int32 = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            self.descriptor = descriptor
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isBound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                    bind(descriptor, raw, length) == 0 && getsockname(descriptor, raw, &length) == 0
                }
            }
            self.port = UInt16(bigEndian: address.sin_port)
            try #require(isBound)
        }

        deinit { close(self.descriptor) }
    }
}
