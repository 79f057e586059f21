import Foundation
import Networking
import Synchronization
import Testing

/// A FreeSWITCH of the machine, started for one test: a configuration of its own in a folder of its own, loopback only,
/// an Event Socket on a free port and no SIP.
///
/// `PRONTO_FREESWITCH` names the program (`/usr/bin/freeswitch`). Without it tests that have the simulator as well run
/// against that alone, and those that do not are skipped; either way the reason is printed once.
final class RealFreeSwitch: Sendable {
    static let password = "for-this-test"

    /// The program; nil, with the reason printed, when there is none.
    static let program: String? = {
        guard let path = ProcessInfo.processInfo.environment["PRONTO_FREESWITCH"], !path.isEmpty else {
            print("real FreeSWITCH: skipped, PRONTO_FREESWITCH does not name the freeswitch program")
            return nil
        }
        guard FileManager.default.isExecutableFile(atPath: path) else {
            print("real FreeSWITCH: skipped, PRONTO_FREESWITCH names no program")
            return nil
        }
        return path
    }()

    /// Where its Event Socket listens; the same after a restart.
    let port: UInt16
    /// For recordings and the like; gone with the test.
    let folder: String
    private let program: String
    private let process = Mutex<Process?>(nil)

    struct StartError: Error, CustomStringConvertible {
        var description: String
    }

    /// What calls with audio need beyond the Event Socket.
    struct Telephony {
        /// SIP on 127.0.0.1; its profile is `internal`.
        var sipPort: UInt16
        /// Where callers by SIP begin.
        var sipContext = "default"
        /// Dialplan contexts by name: lists of `<extension>`.
        var contexts: [String: String]
        /// Loaded beside the usual ones, without `mod_`.
        var modules: [String] = []
        /// A folder whose files its scripts folder gets.
        var scripts: String? = nil
    }

    /// Whether the program's folder of modules has `mod_NAME.so`.
    static func has(module name: String) -> Bool {
        guard let program else { return false }
        let folder = URL(fileURLWithPath: program).resolvingSymlinksInPath().deletingLastPathComponent()
            .deletingLastPathComponent().path
        return ["/lib/freeswitch/mod", "/mod"].contains {
            FileManager.default.fileExists(atPath: "\(folder)\($0)/mod_\(name).so")
        }
    }

    /// Extensions 5900 (park), 2000 (answers), 2001 (rings for ever), 2002 (busy) in the context `default`.
    init(program: String, telephony: Telephony? = nil) throws {
        self.program = program
        self.folder = FileManager.default.temporaryDirectory.path + "/pronto-fs-" + UUID().uuidString
        guard let any = SocketAddress("127.0.0.1", port: 0) else { throw StartError(description: "no loopback") }
        // Free now; the switch binds it in a moment. Nobody else is given it so soon: ephemeral ports go round.
        let probe = try TCPListener.bind(any)
        self.port = probe.address.port
        probe.close()
        for name in ["conf", "log", "db", "run", "temp", "scripts"] {
            try FileManager.default.createDirectory(
                atPath: self.folder + "/" + name, withIntermediateDirectories: true)
        }
        if let scripts = telephony?.scripts {
            for name in try FileManager.default.contentsOfDirectory(atPath: scripts) {
                try FileManager.default.copyItem(atPath: "\(scripts)/\(name)", toPath: "\(self.folder)/scripts/\(name)")
            }
        }
        try Self.configuration(port: self.port, telephony).write(
            toFile: self.folder + "/conf/freeswitch.xml", atomically: true, encoding: .utf8)
    }

    /// Starts the program; it listens some seconds later.
    func start() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: self.program)
        process.arguments =
            ["-nf", "-nc", "-nonat", "-np"]
            + ["conf", "log", "db", "run", "temp", "scripts"].flatMap { ["-" + $0, self.folder + "/" + $0] }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process.withLock { $0 = process }
    }

    /// As if it had crashed: no notice, no hang-up.
    func kill() {
        self.process.withLock { process in
            guard let running = process else { return }
            Glibc.kill(running.processIdentifier, SIGKILL)
            running.waitUntilExit()
            process = nil
        }
    }

    /// Ends it and removes its folder.
    func stop() {
        self.kill()
        try? FileManager.default.removeItem(atPath: self.folder)  // what is left in /tmp harms nothing
    }

    private static func configuration(port: UInt16, _ telephony: Telephony?) -> String {
        let usual = [
            "commands", "dptools", "dialplan_xml", "event_socket", "loopback", "tone_stream", "sndfile", "native_file",
        ]
        let modules = (usual + (telephony.map { ["sofia"] + $0.modules } ?? []))
            .map { "<load module=\"mod_\($0)\"/>" }.joined()
        func dialed(_ number: String, _ actions: String) -> String {
            "<extension name=\"\(number)\"><condition field=\"destination_number\" expression=\"^\(number)$\">"
                + actions + "</condition></extension>"
        }
        let dialplan = [
            dialed("5900", "<action application=\"answer\"/><action application=\"park\"/>"),
            dialed("2000", "<action application=\"answer\"/><action application=\"park\"/>"),
            dialed(
                "2001", "<action application=\"ring_ready\"/><action application=\"sleep\" data=\"60000\"/>"),
            dialed("2002", "<action application=\"hangup\" data=\"USER_BUSY\"/>"),
        ].joined()
        func configuration(_ name: String, _ settings: [(String, String)]) -> String {
            let parameters = settings.map { "<param name=\"\($0.0)\" value=\"\($0.1)\"/>" }.joined()
            return "<configuration name=\"\(name).conf\"><settings>\(parameters)</settings></configuration>"
        }
        let sofia =
            telephony.map { telephony in
                let settings = [
                    ("context", telephony.sipContext), ("dialplan", "XML"), ("sip-ip", "127.0.0.1"),
                    ("rtp-ip", "127.0.0.1"),
                    ("sip-port", String(telephony.sipPort)), ("auth-calls", "false"),
                    ("inbound-codec-prefs", "PCMU,PCMA"), ("outbound-codec-prefs", "PCMU,PCMA"),
                ].map { "<param name=\"\($0.0)\" value=\"\($0.1)\"/>" }.joined()
                return "<configuration name=\"sofia.conf\"><profiles><profile name=\"internal\"><settings>\(settings)"
                    + "</settings></profile></profiles></configuration>"
            } ?? ""
        let contexts = (telephony?.contexts ?? [:]).map { "<context name=\"\($0.key)\">\($0.value)</context>" }.joined()
        return """
            <?xml version="1.0"?>
            <document type="freeswitch/xml"><section name="configuration">
            <configuration name="modules.conf"><modules>\(modules)</modules></configuration>
            \(configuration("switch", [
                ("max-sessions", "100"), ("sessions-per-second", "100"), ("loglevel", "warning"),
                ("rtp-start-port", "41000"), ("rtp-end-port", "42000"),
            ]))
            \(sofia)
            \(configuration("event_socket", [
                ("nat-map", "false"), ("listen-ip", "127.0.0.1"), ("listen-port", String(port)),
                ("password", Self.password), ("apply-inbound-acl", "loopback.auto"),
            ]))
            </section><section name="dialplan"><context name="default">\(dialplan)</context>
            \(contexts)</section></document>
            """
    }
}
