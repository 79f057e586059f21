import Configuration
import Foundation
import Networking
import Observability
import Synchronization
import Telephony
import Testing

@testable import pronto

/// What a gateway says that cannot start: the setting, and what would repair it. Nothing is left behind.
@Suite("A gateway that cannot start")
struct StartTests {
    /// Certificates made once by the openssl program, which Debian's OpenSSL brings.
    private struct Certificates {
        let folder: String
        static let made: Result<Certificates, any Error> = Result { try Certificates() }

        private init() throws {
            self.folder = FileManager.default.temporaryDirectory.appending(path: "pronto-start-tls").path
            try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
            for name in ["one", "two"] {
                let process = Process()
                process.executableURL = URL(filePath: "/usr/bin/openssl")
                process.arguments = [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=\(name)", "-keyout", "\(self.folder)/\(name).key", "-out",
                    "\(self.folder)/\(name).pem",
                ]
                process.standardError = FileHandle.nullDevice
                try process.run()
                process.waitUntilExit()
                try #require(process.terminationStatus == 0)
            }
        }
    }

    /// Starts a gateway and says why it did not.
    private func complaint(_ folder: String, _ given: [String: String]) async throws -> String {
        do {
            let process = try await GatewayProcess(settings: try settings(in: folder, given), logger: .silent)
            await process.stop(patience: .zero)
            return "started"
        } catch {
            return "\(error)"
        }
    }

    private func isFree(_ port: UInt16) throws -> Bool {
        let address = try #require(SocketAddress("127.0.0.1", port: Int(port)))
        do throws(ListenError) {
            try TCPListener.bind(address).close()
            return true
        } catch {
            return false
        }
    }

    /// Below the ports that the system gives to connections (32768 on Linux): nobody takes one while a test runs.
    private static let nextPort = Atomic<UInt16>(20_000 + UInt16(ProcessInfo.processInfo.processIdentifier % 8000))

    /// A port that nobody has now.
    private func freePort() throws -> UInt16 {
        for _ in 0..<200 {
            let port = Self.nextPort.wrappingAdd(1, ordering: .relaxed).newValue
            if try self.isFree(port) { return port }
        }
        throw CommandFailure("no port is free")
    }

    @Test(
        "A port in use is named by its setting, and the ports already taken are given back",
        arguments: ["REALTIME_PORT", "PRONTO_PROXY_PORT", "HEALTH_PORT"])
    func portInUse(setting: String) async throws {
        let other = try TCPListener.bind(try #require(SocketAddress("127.0.0.1", port: 0)))
        defer { other.close() }
        try await withFolder { folder in
            var given = ["PRONTO_TOKEN_KEYS": key(1)]
            var ports: [UInt16] = []
            for name in ["REALTIME_PORT", "PRONTO_PROXY_PORT", "HEALTH_PORT"] where name != setting {
                ports.append(try self.freePort())
                given[name] = String(ports[ports.count - 1])
            }
            given[setting] = String(other.address.port)
            let told = try await self.complaint(folder, given)
            #expect(told.hasPrefix("\(setting): 127.0.0.1:\(other.address.port) is in use"), "\(told)")
            #expect(told.contains("set another port"))
            for port in ports { #expect(try self.isFree(port), "a failed start still listens on \(port)") }
            // Nothing holds the database either, and the repair works.
            given[setting] = String(try self.freePort())
            #expect(try await self.complaint(folder, given) == "started")
        }
    }

    @Test("The admin port over TLS beside the plain one; the certificate is read anew with the phones'")
    func adminTLS() async throws {
        let certificates = try Certificates.made.get()
        try await withFolder { folder in
            func install(_ name: String) throws {
                for kind in ["pem", "key"] {
                    try Data(contentsOf: URL(filePath: "\(certificates.folder)/\(name).\(kind)"))
                        .write(to: URL(filePath: "\(folder)/live.\(kind)"))
                }
            }
            try install("one")
            let process = try await GatewayProcess(
                settings: try settings(
                    in: folder,
                    [
                        "PRONTO_ADMIN_TLS_PORT": "0", "PRONTO_TLS_CERTIFICATE": folder + "/live.pem",
                        "PRONTO_TLS_KEY": folder + "/live.key",
                    ]), logger: .silent)
            let secure = try #require(process.secureAdminAddress)
            /// Whether it answers to whom trusts only the certificate of that name.
            func answers(_ name: String) async throws -> Bool {
                let result = try await ChildProgram.run(
                    "/usr/bin/curl",
                    [
                        "-s", "-m", "20", "--cacert", "\(certificates.folder)/\(name).pem", "--connect-to",
                        "\(name):443:\(secure)", "https://\(name)/health",
                    ], environment: [:])
                return result.output.contains("\"service\":\"pronto\"")
            }
            #expect(try await answers("one"))
            #expect(try await !answers("two"))
            let plain = try await ChildProgram.run(
                "/usr/bin/curl", ["-s", "-m", "20", "http://\(process.adminAddress)/health"], environment: [:])
            #expect(plain.output.contains("pronto"))
            try install("two")
            await process.reload()
            #expect(try await answers("two"))
            #expect(try await !answers("one"))
            await process.stop(patience: .zero)
        }
    }

    @Test("Two gateways do not share a port")
    func twice() async throws {
        try await withFolder { folder in
            let port = String(try self.freePort())
            let first = try await GatewayProcess(
                settings: try settings(in: folder, ["REALTIME_PORT": port]), logger: .silent)
            let told = try await self.complaint(folder, ["REALTIME_PORT": port])
            #expect(told.hasPrefix("REALTIME_PORT"))
            await first.stop(patience: .zero)
            #expect(try await self.complaint(folder, ["REALTIME_PORT": port]) == "started")
        }
    }

    /// `FOLDER` and `TLS` stand for folders that exist in the test only.
    static let wrong: [(given: [String: String], names: [String])] = [
        (["PRONTO_TLS_CERTIFICATE": "TLS/one.pem"], ["PRONTO_TLS_CERTIFICATE", "needs PRONTO_TLS_KEY too"]),
        (["PRONTO_TLS_KEY": "TLS/one.key"], ["PRONTO_TLS_KEY", "needs PRONTO_TLS_CERTIFICATE too"]),
        (
            ["PRONTO_TLS_CERTIFICATE": "FOLDER/none.pem", "PRONTO_TLS_KEY": "TLS/one.key"],
            ["PRONTO_TLS_CERTIFICATE", "none.pem", "name a PEM file"]
        ),
        (
            ["PRONTO_TLS_CERTIFICATE": "FOLDER/garbage", "PRONTO_TLS_KEY": "TLS/one.key"],
            ["PRONTO_TLS_CERTIFICATE", "garbage", "name a PEM file"]
        ),
        (
            ["PRONTO_TLS_CERTIFICATE": "TLS/one.pem", "PRONTO_TLS_KEY": "FOLDER/none.key"],
            ["PRONTO_TLS_KEY", "none.key"]
        ),
        (
            ["PRONTO_TLS_CERTIFICATE": "TLS/one.pem", "PRONTO_TLS_KEY": "TLS/two.key"],
            ["PRONTO_TLS_KEY", "two.key", "not the certificate's"]
        ),
        (["PRONTO_ADMIN_TLS_PORT": "0"], ["PRONTO_ADMIN_TLS_PORT", "PRONTO_TLS_CERTIFICATE and PRONTO_TLS_KEY"]),
        (["PRONTO_TOKEN_KEYS": "CANARY"], ["PRONTO_TOKEN_KEYS", "base64", "pronto token new-key"]),
        (["PRONTO_TOKEN_KEYS": "k1:CANARY,k1:CANARY"], ["PRONTO_TOKEN_KEYS", "key 1"]),
        (["PRONTO_SECRET_KEY": "k1:CANARY"], ["PRONTO_SECRET_KEY", "32 bytes", "pronto provider new-key"]),
        (["PRONTO_SECRET_KEY_FILE": "FOLDER/none"], ["PRONTO_SECRET_KEY_FILE", "cannot be read"]),
        (["PRONTO_SECRET_KEY_FILE": "FOLDER/garbage"], ["PRONTO_SECRET_KEY_FILE", "key 1"]),
        (
            ["PRONTO_SECRET_KEY_FILE": "FOLDER/garbage", "PRONTO_SECRET_KEY": key(1)],
            ["PRONTO_SECRET_KEY_FILE", "take one"]
        ),
        (["PRONTO_VAD": "silero"], ["PRONTO_VAD", "PRONTO_SILERO_MODEL"]),
        (
            ["PRONTO_VAD": "silero", "PRONTO_SILERO_MODEL": "FOLDER/none.onnx"],
            ["PRONTO_SILERO_MODEL", "none.onnx", "scripts/install"]
        ),
        (["PRONTO_DATABASE": "FOLDER/no/such.db"], ["PRONTO_DATABASE", "such.db", "make its folder"]),
        (["PRONTO_DATABASE": "FOLDER/garbage"], ["PRONTO_DATABASE", "garbage", "corrupt", "restore a copy"]),
        (["PRONTO_DATABASE": "FOLDER"], ["PRONTO_DATABASE", "name another file"]),
        (["PRONTO_CA_FILE": "FOLDER/none.pem"], ["PRONTO_CA_FILE", "none.pem", "unset it"]),
        (["PRONTO_CA_FILE": "FOLDER/garbage"], ["PRONTO_CA_FILE", "garbage"]),
        (["REALTIME_HOST": "gateway.example"], ["REALTIME_HOST", "IP address"]),
        (["PRONTO_ADMIN_HOST": "gateway.example"], ["PRONTO_ADMIN_HOST", "IP address"]),
        // TEST-NET-1 (RFC 5737) is no address of any machine.
        (["REALTIME_HOST": "192.0.2.1"], ["REALTIME_HOST", "not an address of this machine"]),
        (
            ["PRONTO_SIP_PORT": "0", "RTP_BIND_ADDRESS": "gateway.example"],
            ["RTP_BIND_ADDRESS", "IP address of this machine"]
        ),
        (
            ["PRONTO_SIP_PORT": "0", "RTP_BIND_ADDRESS": "192.0.2.1"],
            ["RTP_BIND_ADDRESS", "not an address of this machine"]
        ),
        (
            ["PRONTO_SIP_PORT": "0", "PRONTO_SIP_HOST": "::1", "RTP_BIND_ADDRESS": "0.0.0.0"],
            ["RTP_BIND_ADDRESS", "PRONTO_SIP_HOST"]
        ),
        (["PRONTO_PROXY_PORT": "0"], ["PRONTO_PROXY_PORT"]),
        (["REALTIME_PORT": "70000"], ["REALTIME_PORT", "\"70000\"", "65535"]),
        (["HEALTH_PORT": "http"], ["HEALTH_PORT", "\"http\""]),
        (["MAX_SESSIONS_PER_DOMAIN": "-1"], ["MAX_SESSIONS_PER_DOMAIN", "1 to 100000"]),
        (["REALTIME_SILENCE_MS": "0.5s"], ["REALTIME_SILENCE_MS", "100 to 5000"]),
        (["REALTIME_VAD_THRESHOLD": "nan"], ["REALTIME_VAD_THRESHOLD", "\"nan\""]),
        (["REALTIME_BARGE_IN": "perhaps"], ["REALTIME_BARGE_IN", "\"perhaps\"", "true"]),
        (["PRONTO_ALLOWED_PEERS": "10.0.0.0/33"], ["PRONTO_ALLOWED_PEERS", "CIDR"]),
        (["AUDIO_MODE": "sip"], ["AUDIO_MODE", "websocket"]),
        (["OPENAI_BASE_URL": "ftp://x"], ["OPENAI_BASE_URL", "https://"]),
        (
            ["REALTIME_PORT": "x", "HEALTH_PORT": "y", "PRONTO_VAD": "z"],
            ["REALTIME_PORT", "HEALTH_PORT", "PRONTO_VAD"]
        ),
    ]

    @Test("A wrong setting is named with its repair, secrets are not shown", arguments: wrong)
    func wrongSetting(given: [String: String], names: [String]) async throws {
        let certificates = try Self.Certificates.made.get()
        try await withFolder { folder in
            try Data(repeating: 0x21, count: 8192).write(to: URL(filePath: folder + "/garbage"))
            var ports: [UInt16] = []
            var all = given.mapValues {
                $0.replacing("FOLDER", with: folder).replacing("TLS/", with: certificates.folder + "/")
            }
            for name in ["REALTIME_PORT", "HEALTH_PORT"] where all[name] == nil {
                ports.append(try self.freePort())
                all[name] = String(ports[ports.count - 1])
            }
            let told = try await self.complaint(folder, all)
            for name in names { #expect(told.contains(name), "\(given): \(told)") }
            #expect(!told.contains("CANARY") && told != "started")
            for port in ports { #expect(try self.isFree(port)) }
        }
    }

    @Test("A warning is said where a start goes on: no Event Socket, development, a misspelt key")
    func warnings() async throws {
        try await withFolder { folder in
            let all = try settings(in: folder, ["PRONTO_DEVELOPMENT": "true", "PRONTO_DATABSE": "x"]).warnings
            for name in ["ESL_PASSWORD", "PRONTO_DEVELOPMENT", "PRONTO_DATABSE"] {
                #expect(all.contains { $0.contains(name) }, "\(name)")
            }
            #expect(all.contains { $0.contains("did you mean PRONTO_DATABASE?") })
        }
    }
}
