import Configuration
import Foundation
import Records
import Stores
import Telephony
import Testing

@testable import pronto

/// `pronto NAME …` in a folder of its own, as an operator types it.
struct Desk {
    let folder: String
    let environment: [String: String]

    init(folder: String, environment: [String: String] = [:]) {
        self.folder = folder
        self.environment = ["PRONTO_DATABASE": folder + "/pronto.db"].merging(environment) { _, new in new }
    }

    @discardableResult
    func run(_ line: String, _ more: String..., input: String? = nil) async throws -> String {
        let words = line.split(separator: " ").map(String.init)
        return try await StoreCommands.run(
            words[0], Array(words.dropFirst()) + more, folder: self.folder, environment: self.environment,
            readInput: { input })
    }

    /// What the operator is told when it does not work.
    func complaint(_ line: String, _ more: String..., input: String? = nil) async -> String {
        let words = line.split(separator: " ").map(String.init)
        do {
            let text = try await StoreCommands.run(
                words[0], Array(words.dropFirst()) + more, folder: self.folder, environment: self.environment,
                readInput: { input })
            return "worked: \(text)"
        } catch {
            return "\(error)"
        }
    }

    func withStore<Value>(_ body: (SQLStore) async throws -> Value) async throws -> Value {
        let keys = try self.environment["PRONTO_SECRET_KEY"].map { try SecretKeys($0) }
        let store = try await SQLStore(path: self.folder + "/pronto.db", secretKeys: keys)
        let value = try await body(store)
        await store.close()
        return value
    }

    /// Every byte of every file of the folder.
    func bytes() throws -> Data {
        try FileManager.default.subpathsOfDirectory(atPath: self.folder).sorted().reduce(into: Data()) { all, name in
            all += FileManager.default.contents(atPath: self.folder + "/" + name) ?? Data()
        }
    }
}

func withDesk(_ environment: [String: String] = [:], _ body: (Desk) async throws -> Void) async throws {
    try await withFolder { folder in try await body(Desk(folder: folder, environment: environment)) }
}

@Suite("The commands of the store")
struct StoreCommandTests {
    @Test("The help names every command, and the usage every option of an assistant and a destination")
    func helpIsWhole() {
        for name in StoreCommands.names { #expect(Pronto.help.contains("pronto \(name) "), "\(name)") }
        // A command's part of the usage reaches to the next command.
        let parts = StoreCommands.usage.components(separatedBy: "pronto ")
        for word in ["assistant", "destination"] {
            let part = parts.first { $0.hasPrefix("\(word) add") } ?? ""
            for option in (StoreCommands.options[word] ?? []).union(StoreCommands.flags[word] ?? []) {
                #expect(part.contains(option), "\(word) \(option)")
            }
            #expect(!part.contains("] … "))
        }
        #expect(DialplanCommand.usage.contains("--fusionpbx-config FILE"))
    }

    @Test("A tenant is added once, keeps its id, is listed and disabled")
    func tenants() async throws {
        try await withDesk { desk in
            let id = "11111111-2222-3333-4444-555555555555"
            #expect(try await desk.run("tenant add clinic.example --id \(id)") == id)
            #expect(try await desk.run("tenant add clinic.example") == id)
            let other = try await desk.run("tenant add other.example --disabled")
            let list = try await desk.run("tenant list").split(separator: "\n").map { $0.split(separator: " ") }
            #expect(
                list.map { $0.map(String.init) } == [
                    ["id", "name", "enabled", "esl", "audio"], [id, "clinic.example", "yes", "-", "-"],
                    [other, "other.example", "no", "-", "-"],
                ])
            #expect(await desk.complaint("tenant add clinic.example --id \(other)").contains("another id"))
            #expect(await desk.complaint("tenant add x --id 7").contains("a UUID"))
            #expect(await desk.complaint("tenant add").contains("name"))
        }
    }

    @Test(
        "How a tenant's calls bring their audio: set, kept beside its limits, listed, and as the installation's again")
    func tenantAudio() async throws {
        try await withDesk { desk in
            let id = try #require(TenantID(try await desk.run("tenant add clinic.example --audio esl")))
            try await desk.withStore { store in
                var policy = try await store.policy(of: id)
                #expect(policy.audio == .esl)
                policy.limits.calls = 7
                try await store.save(policy, of: id)
            }
            #expect(try await desk.run("tenant set clinic.example --audio rtp") == id.text)
            #expect(try await desk.run("tenant list").hasSuffix("rtp"))
            #expect(await desk.complaint("tenant set clinic.example --audio smoke").contains("rtp, dual, websocket"))
            #expect(try await desk.run("tenant set clinic.example --audio default") == id.text)
            let policy = try await desk.withStore { store in try await store.policy(of: id) }
            #expect(policy == TenantPolicy(limits: TenantLimits(calls: 7)))
        }
    }

    @Test("A tenant's own Event Socket: set, changed without its password, listed without it, and taken away")
    func tenantSwitch() async throws {
        let environment = ["PRONTO_SECRET_KEY": "a:" + Data(repeating: 7, count: 32).base64EncodedString()]
        try await withDesk(environment) { desk in
            let id = try #require(TenantID(try await desk.run("tenant add clinic.example")))
            #expect(await desk.complaint("tenant set clinic.example").contains("--esl-host"))
            #expect(
                await desk.complaint("tenant set clinic.example --esl-host pbx.example").contains("--esl-password-file")
            )
            #expect(await desk.complaint("tenant set clinic.example --esl-host", "a b").contains("--esl-host"))
            #expect(await desk.complaint("tenant set nobody.example --no-esl").contains("pronto tenant list"))
            let set = "tenant set clinic.example --esl-host PBX.example --esl-password-file -"
            #expect(await desk.complaint(set, input: "two\u{7}bells").contains("control characters"))
            #expect(await desk.complaint(set).contains("standard input"))
            #expect(try await desk.run(set, input: "very secret indeed") == id.text)
            #expect(try await desk.run("tenant set clinic.example --esl-port 8031 --esl-read-timeout 7.5") == id.text)
            try await desk.withStore { store in
                let account = try #require(try await store.switchAccount(of: id))
                #expect(account.password?.value == "very secret indeed")
                #expect(account.host == "pbx.example")
                #expect(account.port == 8031)
                #expect(account.readTimeout == .milliseconds(7500))
                #expect(account.connectTimeout == nil)
            }
            #expect(try await desk.run("tenant list").contains("pbx.example:8031"))
            #expect(try desk.bytes().range(of: Data("very secret".utf8)) == nil)
            #expect(try await desk.run("provider rotate").contains("1"))
            #expect(await desk.complaint("tenant set clinic.example --no-esl --esl-port 1").contains("--esl-port"))
            try await desk.run("tenant set clinic.example --no-esl")
            let left = try await desk.withStore { store in try await store.switchAccounts() }
            #expect(left == [])
        }
    }

    @Test("An assistant is added, changed only on request, listed and removed")
    func assistants() async throws {
        try await withDesk(["OPENAI_API_KEY": "sk-1"]) { desk in
            #expect(await desk.complaint("assistant add reception").contains("pronto tenant add"))
            let tenant = try #require(TenantID(try await desk.run("tenant add clinic.example")))
            let id = try await desk.run(
                "assistant add reception --number 100 --language it --provider openai --provider local --vad semantic_vad"
                    + " --resume-ms 400 --fallback 200@internal --no-barge-in", "--instructions", "Be brief.",
                "--topic", "hours=hours|open=We open at nine.")
            #expect(await desk.complaint("assistant add reception --number 101").contains("--replace"))
            #expect(try await desk.run("assistant add reception --replace --number 101") == id)
            let stored = try await desk.withStore { try await $0.assistants(of: tenant) }
            let assistant = try #require(stored.first)
            #expect(stored.count == 1 && assistant.id.text == id)
            #expect(assistant.number == "101" && assistant.language == "it", "what was not named stays")
            #expect(assistant.providers == [.openAI, .local])
            #expect(assistant.instructions.value == "Be brief.")
            #expect(assistant.fallback == FallbackDestination(number: "200", context: "internal"))
            #expect(assistant.turns.detection == .semantic && assistant.bargeIn.isEnabled == false)
            #expect(assistant.topics == [Topic(name: "hours", phrases: ["hours", "open"], answer: "We open at nine.")])
            let list = try await desk.run("assistant list")
            #expect(list.contains("reception") && list.contains("openai,local"))
            #expect(!list.contains("Be brief"), "a prompt is nobody's business on a terminal")
            #expect(try await desk.run("assistant remove reception") == "removed")
            #expect(try await desk.run("assistant list").split(separator: "\n").count == 1)
            #expect(await desk.complaint("assistant remove reception").contains("no such assistant"))
        }
    }

    @Test("A destination's number is listed only with --reveal")
    func destinations() async throws {
        try await withDesk { desk in
            try await desk.run("tenant add clinic.example")
            try await desk.run(
                "destination add Sales 0815471142 --context internal --alias shop --priority 5 --default")
            #expect(await desk.complaint("destination add Sales 1").contains("--replace"))
            let list = try await desk.run("destination list")
            #expect(list.contains("Sales") && list.contains("internal") && !list.contains("0815471142"))
            #expect(try await desk.run("destination list --reveal").contains("0815471142"))
            #expect(await desk.complaint("destination add Night").contains("number"))
            #expect(await desk.complaint("destination add Night 1 --kind ghost").contains("extension"))
            #expect(await desk.complaint("destination add Night 1 --assistant nobody").contains("no such assistant"))
            #expect(try await desk.run("destination remove Sales") == "removed")
            #expect(await desk.complaint("destination remove Sales").contains("no such destination"))
        }
    }

    @Test("One tenant is understood, several are asked about, a stranger is refused")
    func whichTenant() async throws {
        try await withDesk { desk in
            let one = try await desk.run("tenant add one.example")
            try await desk.run("assistant add a")
            try await desk.run("tenant add two.example")
            #expect(await desk.complaint("assistant list").contains("--tenant"))
            #expect(try await desk.run("assistant list --tenant \(one)").contains(" a "))
            #expect(!(try await desk.run("assistant list --tenant two.example").contains(" a ")))
            #expect(await desk.complaint("assistant list --tenant three").contains("pronto tenant list"))
        }
    }

    @Test("A provider's key is kept encrypted: it is in no file and in no output")
    func providerKey() async throws {
        let secret = "sk-canary-0123456789-abcdef"
        try await withDesk(["PRONTO_SECRET_KEY": key(7)]) { desk in
            let tenant = try #require(TenantID(try await desk.run("tenant add clinic.example")))
            var said = try await desk.run("provider set-key openai", input: secret + "\n")
            said += try await desk.run("provider list")
            said += try await desk.run("config")
            #expect(said.contains("openai") && said.contains("set"))
            #expect(!said.contains(secret) && !said.contains(key(7)))
            let bytes = try desk.bytes()
            #expect(bytes.range(of: Data("openai".utf8)) != nil, "the files were looked at")
            #expect(bytes.range(of: Data(secret.utf8)) == nil)
            #expect(bytes.range(of: Data(Data(secret.utf8).base64EncodedString().utf8)) == nil)
            let account = try await desk.withStore { try await $0.account(.openAI, kind: .realtime, of: tenant) }
            #expect(account?.secret?.value == secret)

            // A new key in front: the old one still opens, and after `rotate` is needed no more.
            let both = Desk(folder: desk.folder, environment: ["PRONTO_SECRET_KEY": key(8, id: "k2") + "," + key(7)])
            #expect(try await both.run("provider rotate").hasSuffix("1"))
            let new = Desk(folder: desk.folder, environment: ["PRONTO_SECRET_KEY": key(8, id: "k2")])
            let again = try await new.withStore { try await $0.account(.openAI, kind: .realtime, of: tenant) }
            #expect(again?.secret?.value == secret)
            // The same by its own name; and nothing else by it.
            #expect(try await new.run("secrets rotate").hasSuffix("1"))
            #expect(await new.complaint("secrets").contains("no such command"))
        }
    }

    @Test("A tenant's own keys for the stages of the pipeline, with what belongs to the account")
    func stageKeys() async throws {
        try await withDesk(["PRONTO_SECRET_KEY": key(7)]) { desk in
            let tenant = try #require(TenantID(try await desk.run("tenant add clinic.example")))
            let said = try await desk.run(
                "provider set-key deepgram --kind stt --kind tts --voice aura-2", input: "dg-1")
            #expect(said == "kept, encrypted: stt/deepgram, tts/deepgram")
            #expect(try await desk.run("provider set-key anthropic", input: "an-1").hasSuffix("llm/anthropic"))
            let own = "provider set-key compatible --base-url https://llm.example/v1 --model m"
            #expect(try await desk.run(own, input: "c-1").hasSuffix("llm/compatible"))
            // A new key changes nothing else.
            _ = try await desk.run("provider set-key compatible", input: "c-2")
            let name = try #require(ProviderName("compatible"))
            let account = try #require(
                try await desk.withStore { try await $0.account(name, kind: .llm, of: tenant) })
            #expect(account.secret?.value == "c-2" && account.configuration.contains("llm.example"))
            #expect(account.configuration.contains("\"model\":\"m\""))
            let list = try await desk.run("provider list")
            for kind in ["stt", "tts", "llm"] { #expect(list.contains(kind)) }
        }
    }

    @Test("A provider's key needs a key to encrypt it, a line of input, and a name")
    func providerKeyRefused() async throws {
        try await withDesk { desk in
            try await desk.run("tenant add clinic.example")
            #expect(await desk.complaint("provider set-key openai", input: "sk-1").contains("PRONTO_SECRET_KEY"))
            #expect(await desk.complaint("provider set-key openai", input: "  \n").contains("standard input"))
            #expect(await desk.complaint("provider set-key openai", input: nil).contains("standard input"))
            #expect(await desk.complaint("provider set-key Open!AI", input: "sk-1").contains("a-z"))
            #expect(await desk.complaint("provider set-key").contains("name"))
            #expect(await desk.complaint("provider set-key deepgram", input: "k").contains("stt and tts"))
            #expect(await desk.complaint("provider set-key deepgram --kind llm", input: "k").contains("stt, tts for"))
            #expect(await desk.complaint("provider set-key nobody", input: "k").contains("no back end of this name"))
            #expect(
                await desk.complaint("provider set-key groq --kind llm --base-url nowhere", input: "k").contains("http")
            )
            let wrong = Desk(folder: desk.folder, environment: ["PRONTO_SECRET_KEY": "k1:c2hvcnQ="])
            let told = await wrong.complaint("tenant list")
            #expect(told.contains("PRONTO_SECRET_KEY") && told.contains("32 bytes") && !told.contains("c2hvcnQ="))
        }
    }

    @Test("A call is listed and shown; what was said and dialed only with --reveal")
    func calls() async throws {
        try await withDesk { desk in
            let tenant = try #require(TenantID(try await desk.run("tenant add clinic.example")))
            let call = try #require(CallID("3c1a4a4e-0000-4000-8000-000000000001"))
            let start = Date(timeIntervalSince1970: 1_700_000_000)
            var record = CallRecord(
                id: call, tenant: tenant, startedAt: start, endedAt: start + 61.2, termination: .callerHungUp)
            record.caller = Redacted("0391234567")
            record.dialed = Redacted("0815471142")
            record.providers = [.openAI]
            record.transferredTo = TransferDestination(name: "Sales", number: "0700123123", context: "internal")
            let conversation = ConversationRecord(
                id: try #require(ConversationID(UUID().uuidString)), tenant: tenant, call: call, startedAt: start,
                endedAt: start + 61.2, finalAction: .hangup)
            var turn = TurnRecord(number: 1, role: .agent, text: "Pineapples", startedAt: start, endedAt: start + 2)
            turn.heard = .milliseconds(640)
            turn.wasInterrupted = true
            let tool = ToolUse(
                number: 1, name: "lookup", arguments: "{\"who\":\"Rossi\"}", outcome: .refused, startedAt: start,
                duration: .zero)
            let finished = FinishedCall(call: record, conversation: conversation, turns: [turn], tools: [tool])
            _ = try await desk.withStore { try await $0.finish(finished, of: tenant) }

            let canaries = ["0391234567", "0815471142", "0700123123", "Pineapples", "Rossi"]
            let list = try await desk.run("calls")
            #expect(list.contains(call.text) && list.contains("61.2 s") && list.contains("caller-hung-up"))
            let shown = try await desk.run("calls show \(call)")
            #expect(shown.contains("640 ms, interrupted") && shown.contains("lookup  refused"))
            for canary in canaries { #expect(!(list + shown).contains(canary), "\(canary)") }
            let revealed = try await desk.run("calls show \(call) --reveal")
            for canary in canaries { #expect(revealed.contains(canary), "\(canary)") }
            #expect(await desk.complaint("calls show nothing").contains("no such call"))
            #expect(await desk.complaint("calls show").contains("id"))
            #expect(await desk.complaint("calls list --limit 0").contains("1 to 1000"))
        }
    }

    @Test("The schema goes up, down only with --yes, and says where it is")
    func migrations() async throws {
        try await withDesk { desk in
            let before = try await desk.run("migrate status").split(separator: "\n")
            #expect(before.count > 1 && before.dropFirst().allSatisfy { $0.hasSuffix("no") })
            #expect(try await desk.run("migrate up").hasPrefix("applied 1"))
            #expect(try await desk.run("migrate up") == "nothing to do")
            #expect(try await desk.run("migrate").split(separator: "\n").dropFirst().allSatisfy { $0.contains("T") })
            #expect(await desk.complaint("migrate down").contains("--yes"))
            #expect(await desk.complaint("migrate down --yes --to x").contains("number"))
            #expect(try await desk.run("migrate down --yes --to 0").hasPrefix("took back"))
            #expect(
                try await desk.run("migrate status").split(separator: "\n").dropFirst().allSatisfy {
                    $0.hasSuffix("no")
                })
            try await desk.run("tenant add clinic.example")
            #expect(try await desk.run("migrate up") == "nothing to do", "a command brings the schema up by itself")
        }
    }

    @Test("An issued token is good for its call, its tenant and its time")
    func tokens() async throws {
        try await withDesk(["PRONTO_TOKEN_KEYS": key(9)]) { desk in
            let tenant = try #require(TenantID(try await desk.run("tenant add clinic.example")))
            let call = try #require(CallID("call-1"))
            let keys = try TokenKeys(key(9))
            let text = try await desk.run("token issue --call call-1 --lifetime 120")
            let token = try StreamToken.verified(text, keys: keys, tenant: tenant, call: call, at: Date())
            #expect(token.expiresAt.timeIntervalSince(token.issuedAt) == 120)
            #expect(throws: StreamTokenError.expired) {
                try StreamToken.verified(text, keys: keys, tenant: tenant, call: call, at: Date() + 121)
            }
            #expect(throws: StreamTokenError.otherCall) {
                try StreamToken.verified(text, keys: keys, tenant: tenant, call: CallID("call-2"), at: Date())
            }
            #expect(await desk.complaint("token issue").contains("--call"))
            #expect(await desk.complaint("token issue --call a/b").contains("letters"))
            #expect(await desk.complaint("token issue --call a --lifetime 0").contains("1 to 86400"))
            let none = Desk(folder: desk.folder)
            #expect(await none.complaint("token issue --call a").contains("PRONTO_TOKEN_KEYS"))
            let wrong = Desk(folder: desk.folder, environment: ["PRONTO_TOKEN_KEYS": "k1:Zm9v"])
            let told = await wrong.complaint("token issue --call a")
            #expect(told.contains("PRONTO_TOKEN_KEYS") && !told.contains("Zm9v"))
            _ = try TokenKeys(try await none.run("token new-key --id n1"))
            _ = try SecretKeys(try await none.run("provider new-key"))
        }
    }

    @Test("`pronto config --markdown` is docs/configuration.md; `pronto config` shows no secret")
    func page() async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/configuration.md"), encoding: .utf8)
        try await withDesk(["OPENAI_API_KEY": "sk-canary", "REALTIME_PORT": "9001"]) { desk in
            #expect(try await desk.run("config --markdown") + "\n" == page)
            let list = try await desk.run("config")
            #expect(list.contains("REALTIME_PORT=9001") && list.contains("OPENAI_API_KEY=‹secret›"))
            #expect(!list.contains("sk-canary"))
        }
    }

    static let wrong: [(line: String, names: [String])] = [
        ("tenant remove x", ["tenant remove", "add NAME", "list"]),
        ("assistant sing", ["assistant sing", "remove NAME"]),
        ("destination sing", ["destination sing", "add NAME NUMBER"]),
        ("provider sing", ["provider sing", "set-key PROVIDER"]),
        ("calls sing", ["calls sing", "show ID"]),
        ("migrate sideways", ["migrate sideways", "up | down"]),
        ("token eat", ["token eat", "token issue"]),
        ("assistant add b --provider martian", ["--provider", "openai, elevenlabs"]),
        ("assistant add b --vad telepathy", ["--vad", "server_vad", "none"]),
        ("assistant add b --threshold 2", ["--threshold", "0 to 1"]),
        ("assistant add b --silence-ms soon", ["--silence-ms", "100 to 5000"]),
        ("assistant add b --topic hours", ["--topic", "NAME=PHRASE|PHRASE=ANSWER"]),
        ("assistant add b --instructions-file /no/such", ["--instructions-file", "UTF-8"]),
        ("assistant add b --numbr 5", ["--numbr", "did you mean --number"]),
        ("calls --limit", ["--limit", "value"]),
        ("tenant list --realtime-port many", ["REALTIME_PORT", "\"many\"", "65535"]),
        ("tenant list --openai-api-key sk-canary", ["OPENAI_API_KEY", "command line"]),
        ("tenant list --config /no/such.toml", ["such.toml", "no such file"]),
    ]

    @Test("A wrong word is answered with what is allowed", arguments: wrong)
    func wrongWords(line: String, names: [String]) async throws {
        try await withDesk { desk in
            try await desk.run("tenant add clinic.example")
            let told = await desk.complaint(line)
            for name in names { #expect(told.contains(name), "\(line): \(told)") }
            #expect(!told.contains("sk-canary") && !told.hasPrefix("worked"))
        }
    }
}
