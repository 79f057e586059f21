import Foundation
import Records
import Telephony
import TestDatabases
import Testing

@testable import Stores

/// The stores that the contract is held against.
enum StoreUnderTest: String, CaseIterable, CustomTestStringConvertible {
    case sqliteMemory, sqliteFile, postgres

    var testDescription: String { self.rawValue }

    /// A fresh store, closed and removed afterwards.
    func withStore(
        keys: String? = Sample.secretKey, _ body: (any RecordsStore) async throws -> Void
    ) async throws {
        let keys = try keys.map { try SecretKeys($0) }
        switch self {
        case .sqliteMemory:
            let store = try await SQLStore(path: ":memory:", secretKeys: keys)
            try await body(store)
            await store.close()
        case .sqliteFile:
            try await withFolder { folder in
                let store = try await SQLStore(path: folder + "/pronto.db", secretKeys: keys)
                try await body(store)
                await store.close()
            }
        case .postgres:
            try await withPostgres { options in
                let store = try await SQLStore(postgres: options, secretKeys: keys, migrates: true)
                try await body(store)
                await store.close()
            }
        }
    }
}

/// How an empty database of the tests' PostgreSQL is reached.
func withPostgres(_ body: (PostgresPool.Options) async throws -> Void) async throws {
    let server = try await TestPostgres.shared()
    try await server.withDatabase { name in try await body(server.options(name)) }
}

extension TestPostgres {
    func options(_ database: String) -> PostgresPool.Options {
        let address = PostgresAddress(
            port: self.port, name: database, user: Self.user, password: Redacted(Self.password))
        var options = PostgresPool.Options(database: PostgresDatabase.Options(address: address))
        // Of a busy machine's tests: a question may wait.
        options.database.time = .seconds(60)
        options.database.connectTime = .seconds(20)
        return options
    }
}

/// A folder of its own, gone afterwards.
func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.path + "/pronto-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}

/// The code that `body` fails with; nil: it did not fail.
func code(_ body: () async throws -> Void) async -> StoreError.Code? {
    do {
        try await body()
        return nil
    } catch let error as StoreError {
        return error.code
    } catch {
        Issue.record("another error: \(error)")
        return nil
    }
}

/// Records to store.
enum Sample {
    static let secretKey = "a:" + Data(repeating: 7, count: 32).base64EncodedString()
    static let otherSecretKey = "b:" + Data(repeating: 9, count: 32).base64EncodedString()

    static func uuid(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }
    static func tenantID(_ number: Int) throws -> TenantID { try #require(TenantID(self.uuid(number))) }
    static func moment(_ seconds: Double) -> Date { Date(timeIntervalSince1970: 1_760_000_000 + seconds) }

    static func tenant(_ number: Int) throws -> Tenant {
        Tenant(id: try self.tenantID(number), name: "tenant\(number).example")
    }

    /// An assistant with no field at its default.
    static func assistant(_ number: Int, of tenant: TenantID) throws -> Assistant {
        var assistant = Assistant(
            id: try #require(AssistantID(self.uuid(100 + number))), tenant: tenant, name: "Àida \(number)",
            number: "80\(number)", language: "it-IT")
        assistant.instructions = Redacted("Rispondi “pronto”.\nSempre.")
        assistant.greeting = "Pronto!"
        assistant.farewell = "Ciao"
        assistant.callerSpeaksFirst = true
        assistant.providers = [.openAI, .local]
        assistant.voice = "marin"
        assistant.model = "gpt-realtime"
        assistant.maximumOutputTokens = 512
        assistant.turns.detection = .semantic
        assistant.turns.eagerness = .high
        assistant.turns.threshold = 0.65
        assistant.turns.silence = .milliseconds(900)
        assistant.turns.prefixPadding = .milliseconds(250)
        assistant.bargeIn.isEnabled = false
        assistant.bargeIn.resumeWindow = .milliseconds(450)
        assistant.noInput.isEnabled = false
        assistant.noInput.after = .milliseconds(6500)
        assistant.noInput.action = .hangup
        assistant.noInput.prompts = ["È ancora lì?", "\"Pronto?\""]
        assistant.noInput.retries = 3
        assistant.idleTimeout = .seconds(45)
        assistant.maximumDuration = .seconds(1200)
        assistant.isRecorded = true
        assistant.fallback = FallbackDestination(number: "2000", context: "tenant.example")
        assistant.tools = ["transfer_call"]
        assistant.topics = [Topic(name: "hours", phrases: ["orari", "quando"], answer: "Dalle nove.")]
        return assistant
    }

    static func destination(_ number: Int, of tenant: TenantID) throws -> DestinationRecord {
        var destination = DestinationRecord(
            id: try #require(DestinationID(self.uuid(200 + number))), tenant: tenant, name: "sales \(number)",
            number: "10\(number)", context: "tenant.example")
        destination.aliases = ["vendite", "shop"]
        destination.department = "Sales"
        destination.role = "first line"
        destination.summary = "Orders and offers"
        destination.kind = .ringGroup
        destination.ringTimeout = .seconds(20)
        destination.priority = number
        destination.isDefault = true
        return destination
    }

    /// A finished call with no field at its default.
    static func finished(_ number: Int, of tenant: TenantID, at start: Double = 0) throws -> FinishedCall {
        let id = try #require(CallID("call-\(number)"))
        var call = CallRecord(
            id: id, tenant: tenant, startedAt: self.moment(start), endedAt: self.moment(start + 61.25),
            termination: .transferred)
        call.assistant = AssistantID(self.uuid(101))
        call.direction = .outbound
        call.caller = Redacted("+390612345")
        call.dialed = Redacted("8001")
        call.dialect = "mod-audio-stream"
        call.providers = [.openAI, .local]
        call.answeredAt = self.moment(start + 0.125)
        call.transferredTo = TransferDestination(name: "sales", number: "1001", context: "default")
        call.recording = "2026/11/20/x.wav"
        call.quality.underruns = 1
        call.quality.bargeIns = 2
        call.quality.falseInterruptions = 3
        call.quality.latencyMedian = .milliseconds(420)
        call.quality.latencyP95 = .milliseconds(900)
        call.quality.uplinkBytes = 1_960_000
        call.quality.downlinkBytes = 5_000_000_000
        call.usage.inputTextTokens = 10
        call.usage.inputAudioTokens = 20
        call.usage.cachedTokens = 30
        call.usage.outputTextTokens = 40
        call.usage.outputAudioTokens = 50
        call.usage.characters = 60
        call.usage.heard = .milliseconds(61_250)
        call.usage.connected = .milliseconds(61_000)
        call.cost = CallCost(micros: 12_345, knownMicros: 12_345, currency: "USD", priceDate: "2026-11-21")
        call.node = "node-1"

        // One conversation for each call and start: as the shell makes them.
        let conversationID = try #require(ConversationID(self.uuid(1_000_000 + number * 1000 + Int(start))))
        var conversation = ConversationRecord(
            id: conversationID, tenant: tenant, call: id, startedAt: call.startedAt, endedAt: call.endedAt,
            finalAction: .transfer)
        conversation.assistant = call.assistant
        conversation.mode = .realtime
        conversation.language = "it-IT"

        var agent = TurnRecord(
            number: 1, role: .agent, text: "Pronto, sono Aida, come posso aiutarla?", startedAt: self.moment(start),
            endedAt: self.moment(start + 3))
        agent.heardText = Redacted("Pronto, sono Aida")
        agent.heard = .milliseconds(1340)
        agent.wasInterrupted = true
        agent.latency = .milliseconds(420)
        agent.provider = .openAI
        agent.costMicros = 345
        let caller = TurnRecord(
            number: 2, role: .caller, text: "Le vendite 🙂", startedAt: self.moment(start + 3),
            endedAt: self.moment(start + 4))
        let tool = ToolUse(
            number: 1, name: "transfer_call", arguments: #"{"to":"sales"}"#, result: "ok", outcome: .timedOut,
            startedAt: self.moment(start + 5), duration: .milliseconds(1500))
        return FinishedCall(call: call, conversation: conversation, turns: [agent, caller], tools: [tool])
    }
}
