import Configuration
import Foundation
import Networking
import Observability
import Records
import Simulators
import Stores
import Telephony
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@testable import pronto

/// A whole gateway in a folder, as `pronto serve` runs it, with OpenAI's simulator behind it and a loop for phones.
///
/// Everything that a person says, dials, types or keeps secret is a word that occurs nowhere else.
struct House: Sendable {
    static let caller = "0391234567"
    static let dialed = "0815471142"
    static let prompt = "Behave like a pineapple."
    static let greeting = "Welcome to the marzipan."
    static let answer = "The tangerine is ripe."
    static let transcript = "Is the rhubarb here?"
    static let tenantKey = "sk-tenant-cinnamon"
    static let houseKey = "sk-house-nutmeg"
    /// What no log and no metric may contain, in whole or in part.
    static let canaries = [
        caller, dialed, "pineapple", "marzipan", "tangerine", "rhubarb", "cinnamon", "nutmeg", "clinic.example",
    ]

    let folder: String
    let environment: [String: String]
    let process: GatewayProcess
    let simulator: OpenAIRealtimeSimulator
    let lines: Lines
    let phones: EventLoop
    let tenant: TenantID
    let assistant: AssistantID

    /// A script whose simulator only takes the tenant's key.
    static func script() -> OpenAIRealtimeScript {
        var script = OpenAIRealtimeScript()
        script.key = Self.tenantKey
        script.answers = [
            .init(Self.answer, sound: .tone(hertz: 500, .milliseconds(600)), callerTranscript: Self.transcript)
        ]
        return script
    }

    /// Fills `folder` by the operator's own commands, and opens it. `setsKey` false: the tenant's key is what it was.
    init(
        _ folder: String, script: OpenAIRealtimeScript = House.script(), given: [String: String] = [:],
        setsKey: Bool = true, provider: String = "openai"
    ) async throws {
        self.folder = folder
        self.lines = Lines()
        self.simulator = try OpenAIRealtimeSimulator.start(script: script)
        self.environment = [
            "PRONTO_DATABASE": folder + "/pronto.db", "PRONTO_SECRET_KEY": key(7), "OPENAI_API_KEY": Self.houseKey,
            "OPENAI_BASE_URL": "http://127.0.0.1:\(self.simulator.port)/v1",
            "PRONTO_PHONE_FLUSH": "{\"type\":\"stopAudio\"}",
        ].merging(given) { _, new in new }
        self.phones = EventLoop(name: "phones")
        self.phones.start()
        let known = try await Self.command(
            ["tenant", "add", "clinic.example"], folder, self.environment)
        self.tenant = try #require(TenantID(known))
        let added = try await Self.command(
            [
                "assistant", "add", "reception", "--replace", "--provider", provider, "--instructions", Self.prompt,
                "--greeting", Self.greeting,
            ], folder, self.environment)
        self.assistant = try #require(AssistantID(added))
        if setsKey {
            _ = try await Self.command(["provider", "set-key", "openai"], folder, self.environment, Self.tenantKey)
        }
        self.process = try await GatewayProcess(
            settings: try settings(in: folder, self.environment), logger: self.lines.logger(.trace))
    }

    /// The same house with another gateway in it.
    init(_ house: House, _ process: GatewayProcess) {
        self.folder = house.folder
        self.lines = house.lines
        self.environment = house.environment
        self.process = process
        self.simulator = house.simulator
        self.phones = house.phones
        self.tenant = house.tenant
        self.assistant = house.assistant
    }

    private static func command(
        _ words: [String], _ folder: String, _ environment: [String: String], _ input: String? = nil
    ) async throws -> String {
        try await StoreCommands.run(
            words[0], Array(words.dropFirst()), folder: folder, environment: environment, readInput: { input })
    }

    /// `pronto WORDS…` beside the running gateway.
    func command(_ words: String...) async throws -> String {
        try await Self.command(words, self.folder, self.environment)
    }

    /// Calls as a build with binary downlink does, and stays on the line.
    func dial(_ call: CallID, to first: String? = nil) async throws -> DemoPhone {
        var configuration = PhoneConfiguration(dialect: .binary, rate: .narrowband)
        configuration.ending = .stay
        configuration.maximumDuration = .seconds(30)
        let path = "/stream/\(first ?? self.assistant.text)/\(call)/\(Self.caller)?did=\(Self.dialed)"
        let target = PhoneTarget(
            url: "ws://\(self.process.mediaAddress)\(path)&dialect=binary-down&encoding=l16&rate=8000",
            timeout: .seconds(10))
        return try await DemoPhone.call(configuration, target, on: self.phones) { _ in }
    }

    /// Hears the greeting, says something, hears the answer, hangs up.
    func converse(_ call: CallID) async throws -> PhoneResult {
        let phone = try await self.dial(call)
        let listen = PhoneStep.waitForAgent(quietFor: .milliseconds(300), timeout: .seconds(10))
        let words = PhoneStep.speak(Self.voice)
        #expect(await phone.perform([listen, words, listen]) == .done)
        phone.hangUp()
        return await phone.result()
    }

    /// 600 ms of a caller.
    static let voice: [Int16] = (0..<4800).map { $0 / 9 % 2 == 0 ? 9000 : -9000 }

    func get(_ path: String) async throws -> (status: Int, text: String) {
        let url = try #require(URL(string: "http://\(self.process.adminAddress)\(path)"))
        let (data, response) = try await URLSession.shared.data(from: url)
        return (try #require(response as? HTTPURLResponse).statusCode, String(decoding: data, as: UTF8.self))
    }

    /// The value of a metric's line, labels included in the name.
    func metric(_ name: String) async throws -> Double? {
        let line = try await self.get("/metrics").text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }
    }

    /// Ends it all, the gateway after `patience`.
    func stop(patience: Duration = .seconds(2)) async {
        await self.process.stop(patience: patience)
        self.simulator.stop()
        self.phones.stop()
    }

    /// What the database has of a call, once the gateway is stopped.
    func kept(_ call: CallID) async throws -> (call: CallRecord, turns: [TurnRecord])? {
        let store = try await SQLStore(path: self.folder + "/pronto.db")
        var found: (CallRecord, [TurnRecord])?
        if let record = try await store.call(call, of: self.tenant) {
            var turns: [TurnRecord] = []
            for conversation in try await store.conversations(of: call, tenant: self.tenant) {
                turns += try await store.turns(of: conversation.id, tenant: self.tenant)
            }
            found = (record, turns)
        }
        await store.close()
        return found
    }
}
