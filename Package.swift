// swift-tools-version: 6.1
import PackageDescription

// Pronto takes no third-party Swift package: the toolchain and Debian's libraries only (docs/decisions/0001).
// Folders are the data path; the arrows between targets are checked by CI with
// `--explicit-target-dependency-import-check error`.

let settings: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny")]

func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

let package = Package(
    name: "pronto",
    products: [.executable(name: "pronto", targets: ["pronto"])],
    traits: [
        .trait(
            name: "LocalSpeech",
            description:
                "Silero VAD (and local speech models) through sherpa-onnx, installed by scripts/install from PyPI")
    ],
    targets: [
        // System libraries: a module map each.
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CHTTPParser", providers: [.apt(["libhttp-parser-dev"])]),
        .systemLibrary(name: "CSpandsp", pkgConfig: "spandsp", providers: [.apt(["libspandsp-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CPocketSphinx", pkgConfig: "pocketsphinx", providers: [.apt(["libpocketsphinx-dev"])]),
        .systemLibrary(name: "CSherpaOnnx", pkgConfig: "sherpa-onnx"),
        .systemLibrary(name: "CICal", pkgConfig: "libical", providers: [.apt(["libical-dev"])]),
        .systemLibrary(name: "CLibre", pkgConfig: "libre", providers: [.apt(["libre-dev"])]),
        // Without pkgConfig: hiredis.pc sets -D_FILE_OFFSET_BITS, which SwiftPM prohibits, and nothing else is needed.
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .target(name: "CLinux"),

        // Core: no sockets, files, clock, environment, random numbers, database.
        core("Telephony"),
        // Samples by the thousand: without the optimiser a call of the tests would take half a core.
        .target(
            name: "Audio", dependencies: ["Telephony"],
            swiftSettings: settings + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
        core("MediaDialects", ["Telephony", "Audio"]),
        core("EventSocket", ["Telephony"]),
        core("RTPMedia", ["Telephony", "Audio", "CSpandsp"]),
        core("Assistants", ["Telephony", "Audio"]),
        core("Conversation", ["Telephony", "Audio", "Assistants", "MediaDialects", "EventSocket"]),
        core("Routing", ["Telephony"]),
        core("Records", ["Telephony", "Routing"]),

        // Shell.
        core("Observability", ["Telephony", "CLinux"]),
        core("Networking", ["Telephony", "Observability", "CLinux", "COpenSSL", "CCurl", "CHTTPParser", "CZlib"]),
        .target(
            name: "SpeechEngines",
            dependencies: [
                "Telephony", "Audio", "Observability", "CLinux", "CPocketSphinx",
                .target(name: "CSherpaOnnx", condition: .when(traits: ["LocalSpeech"])),
            ],
            swiftSettings: settings),
        core("SIPSignalling", ["Telephony", "Observability", "Networking", "CLibre", "CLinux", "COpenSSL"]),
        core("Stores", ["Telephony", "Records", "Routing", "Observability", "CSQLite", "CPostgreSQL", "COpenSSL"]),
        core("SharedState", ["Telephony", "Records", "Observability", "Networking", "CHiredis"]),
        core("Calendars", ["Telephony", "Routing", "CICal"]),
        core("Configuration", ["Telephony"]),
        core(
            "PhoneServer",
            [
                "Telephony", "Audio", "MediaDialects", "EventSocket", "RTPMedia", "SIPSignalling", "Assistants",
                "Conversation", "Records", "Routing",
                "Networking", "SpeechEngines", "Observability", "COpenSSL",
            ]),
        core("AdminAPI", ["Telephony", "Records", "Routing", "Networking", "Observability"]),
        core(
            "Simulators",
            [
                "Telephony", "Audio", "MediaDialects", "EventSocket", "RTPMedia", "Assistants", "Networking",
                "Observability",
            ]),
        .executableTarget(
            name: "pronto",
            dependencies: [
                "Telephony", "Audio", "MediaDialects", "EventSocket", "RTPMedia", "SIPSignalling", "Assistants",
                "Conversation", "Records", "Routing",
                "Observability", "Networking", "SpeechEngines", "Stores", "Configuration", "PhoneServer", "AdminAPI",
                "Simulators", "SharedState", "Calendars",
            ],
            swiftSettings: settings),

        // scripts/bench and scripts/fuzz. Not packages of their own: those could not see `package` symbols.
        .target(name: "CAllocations", path: "Benchmarks/CAllocations"),
        .executableTarget(
            name: "pronto-bench",
            dependencies: [
                "Telephony", "Audio", "MediaDialects", "Assistants", "Conversation", "Networking", "RTPMedia",
                "CAllocations", "EventSocket", "Observability", "PhoneServer", "Records", "Routing", "AdminAPI",
                "Simulators", "Stores",
                "SpeechEngines", "TestDatabases",
            ],
            path: "Benchmarks/Bench", swiftSettings: settings),
        .target(name: "CFuzzer", path: "Fuzzing/CFuzzer"),
        .executableTarget(
            name: "pronto-fuzz",
            dependencies: [
                "Telephony", "Audio", "MediaDialects", "EventSocket", "Assistants", "Networking", "Configuration",
                "RTPMedia", "SIPSignalling", "CFuzzer",
            ],
            path: "Fuzzing/Fuzz", swiftSettings: settings),

        // The program under test of scripts/autobahn.
        .executableTarget(
            name: "pronto-autobahn", dependencies: ["Networking", "Telephony"], swiftSettings: settings),

        tests("TelephonyTests", ["Telephony"]),
        tests("RoutingTests", ["Routing", "Telephony"]),
        tests("CalendarsTests", ["Calendars", "Routing", "Telephony"]),
        tests("AudioTests", ["Audio", "Telephony"]),
        tests("MediaDialectsTests", ["MediaDialects", "Audio", "Telephony"]),
        tests("EventSocketTests", ["EventSocket", "Telephony"], resources: [.copy("Fixtures")]),
        tests(
            "PhoneServerTests",
            [
                "PhoneServer", "Audio", "Conversation", "EventSocket", "Networking", "Observability", "Records",
                "Telephony",
            ]),
        tests("RTPMediaTests", ["RTPMedia", "Audio", "Simulators", "Telephony"]),
        tests("AssistantsTests", ["Assistants", "Audio", "Telephony"]),
        tests(
            "ConversationTests",
            ["Conversation", "Assistants", "Audio", "Telephony", "MediaDialects", "EventSocket"]),
        tests(
            "AdminAPITests",
            ["AdminAPI", "Stores", "Records", "Routing", "Networking", "Observability", "Telephony"]),
        tests("NetworkingTests", ["Networking", "Telephony", "Observability"]),
        tests("ObservabilityTests", ["Observability", "Telephony"]),
        tests("ConfigurationTests", ["Configuration", "Telephony"]),
        // A real PostgreSQL for the tests that want one.
        .target(name: "TestDatabases", path: "Tests/TestDatabases", swiftSettings: settings),
        tests(
            "SharedStateTests",
            ["SharedState", "Networking", "Observability", "Records", "Telephony", "TestDatabases"]),
        tests("StoresTests", ["Stores", "Records", "Routing", "Telephony", "TestDatabases"]),
        tests(
            "SIPSignallingTests", ["SIPSignalling", "Networking", "Observability", "Telephony"]),
        tests("SpeechEnginesTests", ["SpeechEngines", "Audio", "Telephony"]),
        tests(
            "ProntoTests",
            [
                "pronto", "Configuration", "Networking", "Observability", "PhoneServer", "Records", "Routing",
                "AdminAPI",
                "Simulators",
                "Stores", "Telephony", "Audio", "EventSocket", "SpeechEngines", "Assistants", "TestDatabases",
                "SharedState",
            ]),
        tests(
            "IntegrationTests",
            [
                "Telephony", "Audio", "MediaDialects", "EventSocket", "Assistants", "Conversation", "Records",
                "Observability", "Networking", "SpeechEngines", "Stores", "Configuration", "PhoneServer", "AdminAPI",
                "Simulators", "SIPSignalling",
            ]),
    ]
)
