import Configuration
import Foundation
import FoundationXML
import Testing

@testable import pronto

private func parameters(_ line: String) throws -> DialplanParameters {
    let words = line.split(separator: " ").map(String.init)
    let mode = try #require(DialplanMode(rawValue: words[0]))
    return try DialplanParameters(
        mode, try Arguments(words.dropFirst(), options: DialplanParameters.options))
}

/// `pronto dialplan WORDS` in a folder.
private func dialplan(
    _ line: String, in folder: String, environment: [String: String] = [:]
) async throws -> DialplanCommand.Outcome {
    try await DialplanCommand.run(
        line.split(separator: " ").map(String.init), folder: folder, environment: environment)
}

private func root() throws -> URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
}

/// What an extension does for a channel with these variables, as mod_dialplan_xml has it: conditions in their order, the
/// end at the first that is false, or that is true and breaks on it.
private func matched(_ item: DialplanExtension, _ variables: [String: String]) -> [String] {
    func expanded(_ text: String) -> String {
        variables.reduce(text) { $0.replacing("${\($1.key)}", with: $1.value) }
    }
    var lines: [String] = []
    for condition in item.conditions {
        let value = condition.field.contains("$") ? expanded(condition.field) : variables[condition.field] ?? ""
        guard value.range(of: condition.expression, options: .regularExpression) != nil else {
            lines += condition.actions.filter(\.isAnti).map { expanded("\($0.application) \($0.data)") }
            if condition.breaks == nil { break }
            continue
        }
        lines += condition.actions.filter { !$0.isAnti }.map { expanded("\($0.application) \($0.data)") }
        if condition.breaks == .onTrue { break }
    }
    return lines
}

@Suite("The dialplan that Pronto writes")
struct DialplanTests {
    @Test("Every mode is sound by the doctor's own rules, in any form", arguments: DialplanMode.allCases)
    func sound(_ mode: DialplanMode) throws {
        for line in ["", " --module fork", " --failover-by user", " --failover-by dialplan", " --rate 8k"] {
            let made = try parameters("\(mode.rawValue) --numbers 8000,+390612345678\(line)")
            let ports = DoctorPorts(media: 8085, socket: 8022, sip: 5090, admin: 8100)
            let items = try #require(ServedExtension.all(in: DialplanFile.text(made)))
            #expect(items.contains { $0.concerns(ports) })
            for item in items { #expect(DialplanFaults.faults(of: item, ports).isEmpty, "\(item.name)") }
            // Whatever hands a call over names extensions that are there.
            let names = Set(items.map(\.name))
            for action in items.flatMap(\.actions) where action.application == "transfer" {
                let target = String(action.data.prefix { $0 != " " })
                #expect(target.hasPrefix("${") || names.contains(target), "\(target)")
            }
            let failover = try #require(items.first { $0.name == DialplanModes.failover })
            #expect(failover.actions.first?.application == "sched_cancel")
        }
    }

    @Test("The files of freeswitch/dialplan are what the program prints", arguments: DialplanMode.allCases)
    func files(_ mode: DialplanMode) throws {
        let numbers = mode == .inbound ? " --numbers 5406594427,+390686356924" : ""
        let file = try root().appending(path: "freeswitch/dialplan/\(mode.fileName)")
        let text = DialplanFile.text(try parameters(mode.rawValue + numbers))
        #expect(try String(contentsOf: file, encoding: .utf8) == text, "scripts/generate-freeswitch writes them")
    }

    @Test("The scripts in the program are those of freeswitch/scripts")
    func scripts() throws {
        let folder = try root().appending(path: "freeswitch/scripts")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".lua") }
        #expect(Set(names) == Set(FreeSwitchScripts.all.map(\.name)))
        for script in FreeSwitchScripts.all {
            #expect(
                try String(contentsOf: folder.appending(path: script.name), encoding: .utf8) == script.text,
                "\(script.name): scripts/generate-freeswitch writes it")
        }
    }

    @Test("The scripts do what they should under a real Lua")
    func lua() async throws {
        let environment = ProcessInfo.processInfo.environment
        guard let lua = ChildProgram.find("lua5.2", environment: environment) else {
            Issue.record("lua5.2 is missing: scripts/install installs it")
            return
        }
        let result = try await ChildProgram.run(
            lua, [try root().appending(path: "freeswitch/tests/run.lua").path], environment: environment)
        #expect(result.status == 0, "\(result.output)\n\(result.errors)")
        #expect(result.output.contains("0 failed"))
    }

    @Test(
        "Numbers become an expression that matches them and nothing else",
        arguments: [
            ("8XXX", "^(8\\d{3})$"), ("8X", "^(8\\d)$"), ("8000,8001", "^(8000|8001)$"),
            ("+390612345678", "^(\\+?390612345678)$"),
        ])
    func numbers(_ text: String, _ expression: String) {
        #expect(DialplanParameters.expression(of: text) == expression)
    }

    @Test(
        "What could be more than a number, a name or an address is refused, with what is allowed",
        arguments: [
            "realtime --numbers 8.*", "realtime --numbers X", "realtime --numbers 8XX1", "realtime --numbers ,",
            "realtime --numbers 8\"/><action", "realtime --failover 2000$", "realtime --context a\"b",
            "realtime --context a;b", "realtime --domain-uuid 7", "realtime --pronto-host ::1",
            "realtime --pronto-port 0",
            "realtime --fuse 3", "realtime --module netplay", "realtime --module fork --rate 16k",
            "realtime --failover-by luck", "rtp --profile ../x", "inbound", "esl --pronto-port 70000",
        ])
    func refusals(_ line: String) {
        #expect(throws: (any Error).self) { try parameters(line) }
    }

    @Test(
        "What kind of failover an answer names decides what the human's extension does",
        arguments: DialplanMode.allCases)
    func failoverTypes(_ mode: DialplanMode) throws {
        for (line, kind, number, expected) in [
            ("user", "", "2000", "bridge user/2000@demo.example"),
            ("user", "ext", "2000", "bridge user/2000@demo.example"),
            ("user", "ring", "ring_store01", "transfer ring_store01 XML tenant"),
            ("user", "queue", "support", "transfer support XML tenant"),
            ("user", "vm", "*991001", "transfer *991001 XML tenant"),
            ("user", "vm", "1001", "voicemail default demo.example 1001"),
            ("dialplan", "", "2000", "transfer 2000 XML tenant"), ("dialplan", "ring", "r", "transfer r XML tenant"),
            ("dialplan", "vm", "1001", "voicemail default demo.example 1001"),
            ("dialplan", "vm", "*991001", "transfer *991001 XML tenant"),
        ] {
            let made = try parameters(
                "\(mode.rawValue) --numbers 8000 --failover-context tenant --domain-name demo.example --failover-by \(line)"
            )
            let failover = try #require(
                DialplanModes.extensions(made).first { $0.name == DialplanModes.failover })
            let run = matched(
                failover,
                [
                    "destination_number": "pronto_failover", "pronto_failover_type": kind,
                    "pronto_failover_ext": number,
                ])
            #expect(run.first == "sched_cancel ", "\(mode) \(line) \(kind)")
            #expect(run.contains(expected), "\(mode) \(line) \(kind): \(run)")
            let ways = run.filter { $0.hasPrefix("bridge") || $0.hasPrefix("transfer") }
            #expect(ways.count == (expected.hasPrefix("voicemail") ? 0 : 1), "\(run)")
        }
        // Carriers' calls come in by a context without extensions.
        let plain = DialplanModes.extensions(try parameters("\(mode.rawValue) --numbers 8000 --failover-by dialplan"))
        let context = mode == .inbound ? "default" : "${context}"
        #expect(plain.last?.conditions.last?.actions.map(\.data) == ["${pronto_failover_ext} XML \(context)"])
    }

    @Test("Attributes and literals hold what is in them")
    func escaping() throws {
        let action = DialplanAction("set", "a=\"b\" & <c> 'd' \\e")
        let item = DialplanExtension(
            name: "x", identity: "70726f6e-746f-4000-8000-000000000000", number: "1", order: 1, summary: "",
            conditions: [DialplanCondition(field: "f", expression: "^<&\">$", actions: [action])])
        let read = try #require(ServedExtension.all(in: item.xml()))
        #expect(read.first?.actions == [action])
        #expect(read.first?.expressions == ["^<&\">$"])
        #expect(FusionPBXDialplan.literal("it's \\d") == "E'it''s \\\\d'")
    }

    @Test("The details are the same lines as the XML, in groups and order")
    func details() throws {
        let items = DialplanModes.extensions(try parameters("inbound --numbers 5406594427"))
        let inbound = try #require(items.first { $0.name == "inbound_ai_dynamic" })
        let details = inbound.details
        #expect(details.map(\.order) == Array(stride(from: 0, to: details.count * 5, by: 5)))
        #expect(details.filter { $0.tag == "condition" }.map(\.group) == [0, 1])
        #expect(details.last?.tag == "anti-action" && details.last?.group == 1)
        let ask = try #require(items.first { $0.name == "inbound_ai_ask" })
        #expect(ask.continues && ask.details.dropFirst().allSatisfy(\.isInline))
    }

    @Test("A dry run changes nothing; an installation can be taken back to the byte")
    func install() async throws {
        try await withFolder { folder in
            let manager = FileManager.default
            for name in ["dialplan", "scripts"] {
                try manager.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: false)
            }
            let before = "-- somebody's own\n"
            try before.write(toFile: "\(folder)/scripts/voice_secretary.lua", atomically: true, encoding: .utf8)
            let place = "--to dialplan --scripts scripts"
            let dry = try await dialplan("install realtime \(place)", in: folder)
            #expect(dry.text.contains("dry run") && dry.text.contains("- -- somebody's own"))
            #expect(try manager.contentsOfDirectory(atPath: "\(folder)/dialplan").isEmpty)
            #expect(try await dialplan("diff realtime \(place)", in: folder).status == 1)

            let done = try await dialplan("install realtime \(place) --apply", in: folder)
            #expect(done.text.contains("pronto dialplan rollback"))
            #expect(try await dialplan("diff realtime \(place)", in: folder).status == 0)
            #expect(try await dialplan("diff realtime \(place) --failover 3000", in: folder).text.contains("+ "))
            let modes = try manager.attributesOfItem(atPath: "\(folder)/scripts/pronto_stream.lua")
            #expect((modes[.posixPermissions] as? NSNumber)?.intValue == 0o644)
            #expect(try manager.contentsOfDirectory(atPath: "\(folder)/scripts").allSatisfy { !$0.hasPrefix(".") })

            let kept = try #require(try manager.contentsOfDirectory(atPath: "\(folder)/pronto-dialplan").first)
            let plan = try await dialplan("rollback pronto-dialplan/\(kept)", in: folder)
            #expect(plan.text.contains("remove") && plan.text.contains("dry run"))
            _ = try await dialplan("rollback pronto-dialplan/\(kept) --apply", in: folder)
            #expect(
                try String(contentsOfFile: "\(folder)/scripts/voice_secretary.lua", encoding: .utf8) == before)
            #expect(try manager.contentsOfDirectory(atPath: "\(folder)/dialplan").isEmpty)
            #expect(!manager.fileExists(atPath: "\(folder)/scripts/pronto_stream.lua"))
        }
    }

    @Test("What cannot be done says which word would be right")
    func complaints() async throws {
        try await withFolder { folder in
            for (line, word) in [
                ("print", "MODE"), ("print telepathy", "realtime"), ("install realtime --to nowhere --apply", "--to"),
                ("print esl --fusionpbx", "--domain"), ("print esl --domain x", "--fusionpbx"),
                ("rollback nowhere", "backup.json"), ("scripts evil.lua", "voice_secretary.lua"),
                ("install realtime --scripts nowhere --to .", "dry run"), ("explode", "print"),
            ] {
                let text: String
                do { text = try await dialplan(line, in: folder).text } catch { text = "\(error)" }
                #expect(text.contains(word), "\(line): \(text)")
            }
        }
    }
}
