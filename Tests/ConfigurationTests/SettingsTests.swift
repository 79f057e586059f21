import Foundation
import Testing

@testable import Configuration

/// One layer from the environment.
private func environment(_ values: [String: String]) -> [[RawValue]] {
    [values.sorted { $0.key < $1.key }.map { RawValue(key: $0.key, text: $0.value, origin: .environment) }]
}

/// What is wrong with these layers, a line for each problem.
private func problems(_ layers: [[RawValue]]) -> [String] {
    do throws(ConfigurationError) {
        _ = try Settings(layers: layers)
        return []
    } catch {
        return error.problems.map(\.description)
    }
}

@Suite("Settings")
struct SettingsTests {
    @Test("Without any source there are the defaults, and they are safe")
    func defaults() throws {
        let settings = try Settings(layers: [])
        #expect(settings.audioMode == .websocket)
        #expect(settings.mediaHost == "127.0.0.1")
        #expect(settings.mediaPort == 8085)
        #expect(settings.adminHost == "127.0.0.1")
        #expect(settings.adminPort == 8100)
        #expect(settings.isDevelopment == false)
        #expect(settings.recording == false)
        #expect(settings.proxyPort == nil)
        #expect(settings.openAIKey == nil)
        #expect(settings.switchPassword == nil)
        #expect(settings.silence == .milliseconds(500))
        #expect(settings.switchConnectTimeout == .seconds(5))
        #expect(settings.fallbackProviders == ["local"])
        #expect(settings.allowedPeers.contains { $0.contains("127.0.0.1") })
        #expect(settings.allowedPeers.contains { $0.contains("::1") })
        #expect(!settings.allowedPeers.contains { $0.contains("192.168.1.1") })
        #expect(settings.warnings.count == 1, "no call control")
    }

    @Test("Each type is read")
    func types() throws {
        let settings = try Settings(
            layers: environment([
                "REALTIME_PORT": "9000", "ESL_CONNECT_TIMEOUT": "2.5", "REALTIME_SILENCE_MS": "900",
                "REALTIME_VAD_THRESHOLD": ".65", "REALTIME_BARGE_IN": "Off", "LOG_LEVEL": "WARNING",
                "PRONTO_ALLOWED_PEERS": "10.0.0.0/8, 192.0.2.7", "PRONTO_PROXY_PORT": "8443",
                "PRONTO_TOKEN_KEYS": "a:xyz", "OPENAI_BASE_URL": "ws://127.0.0.1:9/v1",
                "REALTIME_FALLBACK_PROVIDERS": "openai,local", "PATH": "/bin", "ESL_PASSWORD": "p",
            ]))
        #expect(settings.mediaPort == 9000)
        #expect(settings.switchConnectTimeout == .milliseconds(2500))
        #expect(settings.silence == .milliseconds(900))
        #expect(settings.vadThreshold == 0.65)
        #expect(settings.bargeIn == false)
        #expect(settings.logLevel == .warning)
        #expect(settings.allowedPeers.map(\.description) == ["10.0.0.0/8", "192.0.2.7"])
        #expect(settings.proxyPort == 8443)
        #expect(settings.fallbackProviders == ["openai", "local"])
        #expect(settings.warnings == [])
        #expect(settings.origin(of: "REALTIME_PORT") == .environment)
    }

    @Test(
        "A wrong value is named with its key, itself and what is allowed",
        arguments: [
            ("REALTIME_PORT", "eighty", #"REALTIME_PORT (environment): "eighty" is not allowed; allowed: 0 to 65535"#),
            ("REALTIME_PORT", "65536", #"REALTIME_PORT (environment): "65536" is not allowed; allowed: 0 to 65535"#),
            ("REALTIME_PORT", "99999999999999999999999", "99999999999999999999999"),
            ("PRONTO_PROXY_PORT", "-1", "0 to 65535"),
            ("REALTIME_HOST", "not a host", "host name"), ("REALTIME_HOST", "256.0.0.1", "IPv4"),
            ("REALTIME_HOST", "10.0.0.0/8", "IPv4"), ("REALTIME_HOST", "a..b", "host name"),
            ("AUDIO_MODE", "sip", "allowed: websocket"),
            ("REALTIME_VAD_THRESHOLD", "1.01", "0.0 to 1.0"), ("REALTIME_VAD_THRESHOLD", "nan", "0.0 to 1.0"),
            ("REALTIME_VAD_THRESHOLD", "-0.1", "0.0 to 1.0"), ("REALTIME_VAD_THRESHOLD", "0,5", "0.0 to 1.0"),
            ("REALTIME_SILENCE_MS", "99", "100 to 5000"), ("REALTIME_SILENCE_MS", "500ms", "100 to 5000"),
            ("REALTIME_BARGE_IN", "maybe", "true, false"),
            ("LOG_LEVEL", "loud", "trace, debug, info, notice, warning, error"),
            ("ESL_CONNECT_TIMEOUT", "0x1p3", "0.1 to 60"), ("ESL_CONNECT_TIMEOUT", "1e1", "0.1 to 60"),
            ("PRONTO_ALLOWED_PEERS", "10.0.0.1/8", "CIDR"), ("PRONTO_ALLOWED_PEERS", "10.0.0.0/33", "CIDR"),
            ("PRONTO_ALLOWED_PEERS", "10.0.0.0/08", "CIDR"), ("PRONTO_ALLOWED_PEERS", "::1,", "CIDR"),
            ("OPENAI_BASE_URL", "api.openai.com", "https://"), ("OPENAI_BASE_URL", "https:///v1", "https://"),
            ("REALTIME_FALLBACK_PROVIDERS", "openai,martian", "openai, elevenlabs"),
            ("PRONTO_DATABASE", "a\nb", #""a?b""#),
            ("OPENAI_REALTIME_MODEL", String(repeating: "x", count: 300), "…"),
        ])
    func wrong(key: String, value: String, part: String) {
        let found = problems(environment([key: value]))
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("\(key) (environment): ") == true)
        #expect(found.first?.contains(part) == true, "\(found)")
    }

    @Test("A secret is never shown: not in errors, not in lists, not in dumps")
    func secrets() throws {
        let value = "sk-\u{7}-very-secret"
        for setting in SettingKeys.all where setting.isSecret {
            let found = problems(environment([setting.name: value]))
            #expect(found.first?.contains("‹secret›") == true)
            #expect(found.allSatisfy { !$0.contains("very") })
        }
        let settings = try Settings(layers: environment(["OPENAI_API_KEY": "sk-very-secret"]))
        var dumped = ""
        dump(settings, to: &dumped)
        for text in [ConfigurationPage.list(settings), "\(settings)", String(reflecting: settings), dumped] {
            #expect(!text.contains("very"))
        }
        #expect(ConfigurationPage.list(settings).contains("OPENAI_API_KEY=‹secret›  # environment"))
        #expect(ConfigurationPage.list(settings).contains("\nPRONTO_SECRET_KEY=unset\n"))
    }

    @Test("Everything that is wrong is said at once")
    func together() {
        #expect(problems(environment(["REALTIME_PORT": "x", "HEALTH_PORT": "y", "LOG_LEVEL": "z"])).count == 3)
    }

    @Test(
        "What does not go together",
        arguments: [
            (["PRONTO_TLS_CERTIFICATE": "c.pem"], "PRONTO_TLS_CERTIFICATE (environment): needs PRONTO_TLS_KEY too"),
            (["PRONTO_TLS_KEY": "k.pem"], "PRONTO_TLS_KEY (environment): needs PRONTO_TLS_CERTIFICATE too"),
            (["PRONTO_SECRET_KEY": "x", "PRONTO_SECRET_KEY_FILE": "y"], "take one"),
            (["PRONTO_PROXY_PORT": "1"], "PRONTO_PROXY_PORT (environment): needs PRONTO_TOKEN_KEYS"),
            (["PRONTO_VAD": "silero"], "silero needs PRONTO_SILERO_MODEL"),
        ])
    func conflicts(values: [String: String], part: String) {
        let found = problems(environment(values))
        #expect(found.count == 1 && found[0].contains(part), "\(found)")
    }

    @Test(
        "An unknown key is an error in files and on the command line, with what was meant",
        arguments: [
            ("REALTIME_PROT", "REALTIME_PORT"), ("OPENAI_APIKEY", "OPENAI_API_KEY"), ("LOGLEVEL", "LOG_LEVEL"),
            ("PRONTO_DATABSE", "PRONTO_DATABASE"), ("SOMETHING_ELSE_ENTIRELY", nil),
        ])
    func unknown(key: String, meant: String?) {
        for origin in [Origin.file("pronto.toml", line: 3), .commandLine] {
            let found = problems([[RawValue(key: key, text: "secret-value", origin: origin)]])
            let tail = meant.map { "did you mean \($0)?" } ?? "`pronto config` lists all"
            #expect(found == ["\(key) (\(origin)): no such key; \(tail)"])
        }
        #expect(problems(environment([key: "1"])) == [])
    }

    @Test("In the environment an unknown key of ours is a warning; a known one that is not read is one in files")
    func warnings() throws {
        let settings = try Settings(layers: [
            [RawValue(key: "FREESWITCH_RTP_IP", text: "1", origin: .file(".env", line: 1))],
            [
                RawValue(key: "PRONTO_PROT", text: "1", origin: .environment),
                RawValue(key: "DEBUG", text: "1", origin: .environment),
                RawValue(key: "PRONTO_DEVELOPMENT", text: "1", origin: .environment),
                RawValue(key: "ESL_PASSWORD", text: "x", origin: .environment),
            ],
        ])
        #expect(settings.warnings.count == 3)
        #expect(settings.warnings[0].hasPrefix("FREESWITCH_RTP_IP: not read"))
        #expect(settings.warnings[1].hasPrefix("PRONTO_PROT: no such key"))
        #expect(settings.warnings[2].contains("without authentication"))
    }

    @Test("A later source stands above an earlier one; an empty value is none; twice in one source is an error")
    func precedence() throws {
        func raw(_ text: String, _ origin: Origin) -> [RawValue] {
            [RawValue(key: "REALTIME_PORT", text: text, origin: origin)]
        }
        let file = raw("1", .file("pronto.toml", line: 1))
        let environment = raw("2", .environment)
        let line = raw("3", .commandLine)
        #expect(try Settings(layers: [file, environment, line]).mediaPort == 3)
        #expect(try Settings(layers: [file, environment]).mediaPort == 2)
        #expect(try Settings(layers: [file, raw("", .environment)]).mediaPort == 1)
        #expect(try Settings(layers: [file, environment]).origin(of: "REALTIME_PORT") == .environment)
        #expect(problems([file + file]) == ["REALTIME_PORT (pronto.toml:1): given twice"])
    }

    @Test("Secrets are not taken from the command line")
    func secretOnCommandLine() {
        let found = problems([[RawValue(key: "OPENAI_API_KEY", text: "sk-very", origin: .commandLine)]])
        #expect(found.count == 1 && found[0].contains("environment") && !found[0].contains("sk-very"))
    }

    @Test("Files, the environment and the command line together, and a file that is not there")
    func loading() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/pronto-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func write(_ text: String, _ name: String) throws {
            try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
        }
        #expect(try Settings.load(folder: folder, environment: [:]).mediaPort == 8085)
        try write("[realtime]\nport = 1\nsilence_ms = 700\nbarge_in = false\n", "pronto.toml")
        try write("\u{FEFF}REALTIME_PORT=2\nLOG_LEVEL=debug\n", ".env")
        let arguments = try Arguments(["--log-format", "json", "--development"]).settings
        let settings = try Settings.load(folder: folder, environment: ["LOG_LEVEL": "error"], arguments: arguments)
        #expect(settings.mediaPort == 2)
        #expect(settings.silence == .milliseconds(700))
        #expect(settings.bargeIn == false)
        #expect(settings.logLevel == .error)
        #expect(settings.logFormat == .json)
        #expect(settings.isDevelopment)

        try write("{}", "pronto.json")
        #expect(throws: ConfigurationError.self) { try Settings.load(folder: folder, environment: [:]) }
        try write(#"{"realtime": {"port": 3}, "PRONTO_RECORDING": true}"#, "other.json")
        let named = try Settings.load(folder: folder, file: folder + "/other.json", environment: [:])
        #expect(named.mediaPort == 2 && named.recording)
        let error = #expect(throws: ConfigurationError.self) {
            try Settings.load(folder: folder, file: folder + "/no.toml", environment: ["REALTIME_PORT": "x"])
        }
        #expect(error?.problems.count == 2, "the file that is missing, and the port")
        try Data([0xFF, 0xFE]).write(to: URL(fileURLWithPath: folder + "/.env"))
        #expect(throws: ConfigurationError.self) {
            try Settings.load(folder: folder, file: folder + "/other.json", environment: [:])
        }
    }
}

@Suite("Address ranges")
struct AddressRangeTests {
    @Test(
        "What is inside",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false), ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true), ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false), ("127.0.0.0/8", "::ffff:127.0.0.1", true),
            ("127.0.0.0/8", "nonsense", false), ("127.0.0.0/8", "", false), ("172.16.0.0/12", "172.31.255.255", true),
            ("172.16.0.0/12", "172.32.0.0", false),
        ])
    func contains(range: String, address: String, isInside: Bool) throws {
        #expect(try #require(AddressRange(range)).contains(address) == isInside)
    }
}

@Suite("Command lines")
struct ArgumentsTests {
    @Test("Options, flags, settings and words in any order")
    func sorted() throws {
        let arguments = try Arguments(
            [
                "add", "--tenant", "t", "--alias=a", "--force", "--realtime-port", "9", "--alias", "b", "--recording",
                "word", "--database=x=y", "--", "--not-an-option",
            ], options: ["--tenant", "--alias"], flags: ["--force"])
        #expect(arguments.words == ["add", "word", "--not-an-option"])
        #expect(try arguments.required("--tenant") == "t")
        #expect(arguments.all("--alias") == ["a", "b"])
        #expect(arguments.has("--force") && !arguments.has("--tenant"))
        #expect(arguments.settings.map(\.key) == ["REALTIME_PORT", "PRONTO_RECORDING", "PRONTO_DATABASE"])
        #expect(arguments.settings.map(\.text) == ["9", "true", "x=y"])
        #expect(throws: ArgumentError.tooMany("--alias")) { try arguments.optional("--alias") }
        #expect(throws: ArgumentError.missing("--name")) { try arguments.required("--name") }
        #expect(throws: ArgumentError.notAllowed(option: "--tenant", allowed: "a number")) {
            try arguments.optional("--tenant", allowed: "a number") { Int($0) }
        }
    }

    @Test(
        "What is wrong",
        arguments: [
            (["--tenat", "t"], ArgumentError.unknown("--tenat", suggestion: "--tenant")),
            (["--realtime-prot=1"], .unknown("--realtime-prot", suggestion: "--realtime-port")),
            (["--zzzzzzzzzzzzzzzzzzzz"], .unknown("--zzzzzzzzzzzzzzzzzzzz", suggestion: nil)),
            (["--tenant"], .missingValue("--tenant")), (["--force=yes"], .unexpectedValue("--force")),
            (["--realtime-port"], .missingValue("--realtime-port")),
        ])
    func wrong(words: [String], error: ArgumentError) {
        #expect(throws: error) { try Arguments(words, options: ["--tenant"], flags: ["--force"]) }
    }
}
