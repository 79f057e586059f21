import Configuration
import Foundation
import Records
import Stores
import Telephony

extension StoreCommands {
    static func assistant(
        _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings
    ) async throws -> String {
        let tenant = try await Self.tenant(of: arguments, store)
        switch arguments.words.first {
        case "add":
            let name = try Self.word(arguments, 1, "the assistant's name")
            let known = try await store.assistant(named: name, of: tenant.id)
            guard known == nil || arguments.has("--replace") else {
                throw CommandFailure("there is an assistant of that name; --replace changes it")
            }
            let given = try arguments.optional("--id", allowed: "a UUID") { AssistantID($0) }
            guard let id = known?.id ?? given ?? AssistantID(UUID().uuidString) else { throw CommandFailure("no id") }
            var assistant = known ?? Assistant(id: id, tenant: tenant.id, name: name)
            try Self.change(&assistant, by: arguments)
            if !arguments.has("--unchecked") {
                let accounts = try await store.accounts(of: tenant.id)
                try AssistantReadiness.check(assistant, of: tenant, accounts: accounts, settings)
            }
            try await store.save(assistant, of: tenant.id)
            return id.text
        case "list", nil:
            let rows = try await store.assistants(of: tenant.id).map { assistant in
                [
                    assistant.id.text, assistant.name, assistant.number ?? "-", assistant.language,
                    assistant.providers.isEmpty ? "-" : assistant.providers.map(\.text).joined(separator: ","),
                    assistant.isEnabled ? "yes" : "no",
                ]
            }
            return Self.table(["id", "name", "number", "language", "providers", "enabled"], rows)
        case "remove":
            let word = try Self.word(arguments, 1, "the assistant's name or id")
            let named = try await store.assistant(named: word, of: tenant.id)?.id
            guard let id = named ?? AssistantID(word), try await store.removeAssistant(id, of: tenant.id) else {
                throw CommandFailure("the tenant has no such assistant")
            }
            return "removed"
        case let word?: throw Self.unknown("assistant \(word)")
        }
    }

    /// Sets what the options name and leaves the rest.
    private static func change(_ assistant: inout Assistant, by arguments: Arguments) throws {
        if let text = try arguments.optional("--number") { assistant.number = text }
        if let text = try arguments.optional("--language") { assistant.language = text }
        if let text = try arguments.optional("--instructions") { assistant.instructions = Redacted(text) }
        if let path = try arguments.optional("--instructions-file") {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw CommandFailure("--instructions-file: the file cannot be read as UTF-8")
            }
            assistant.instructions = Redacted(text)
        }
        if let text = try arguments.optional("--greeting") { assistant.greeting = text }
        if let text = try arguments.optional("--farewell") { assistant.farewell = text }
        if let text = try arguments.optional("--voice") { assistant.voice = text }
        if let text = try arguments.optional("--model") { assistant.model = text }
        if arguments.has("--caller-first") { assistant.callerSpeaksFirst = true }
        if arguments.has("--disabled") { assistant.isEnabled = false }
        if arguments.has("--no-barge-in") { assistant.bargeIn.isEnabled = false }
        if arguments.has("--record") { assistant.isRecorded = true }
        if arguments.has("--no-record") { assistant.isRecorded = false }
        if !arguments.all("--tool").isEmpty { assistant.tools = arguments.all("--tool") }
        if !arguments.all("--provider").isEmpty {
            assistant.providers = try arguments.all("--provider").map { text in
                // A name that nothing answers to would only show in the first call.
                guard let name = ProviderName(text), AssistantReadiness.providers.contains(text) else {
                    throw ArgumentError.notAllowed(
                        option: "--provider", allowed: AssistantReadiness.providers.joined(separator: ", "))
                }
                return name
            }
        }
        if !arguments.all("--topic").isEmpty { assistant.topics = try arguments.all("--topic").map(Self.topic) }
        let modes = ProcessingMode.allCases.map(\.rawValue).joined(separator: ", ")
        if let mode = try arguments.optional("--mode", allowed: modes, { ProcessingMode(rawValue: $0) }) {
            assistant.mode = mode
        }
        if let text = try arguments.optional("--fallback") {
            let parts = text.split(separator: "@", maxSplits: 1)
            guard let number = parts.first else {
                throw ArgumentError.notAllowed(option: "--fallback", allowed: "NUMBER or NUMBER@CONTEXT")
            }
            assistant.fallback = FallbackDestination(
                number: String(number), context: parts.count == 2 ? String(parts[1]) : "default")
        }
        try Self.changeTurns(&assistant, by: arguments)
    }

    private static func changeTurns(_ assistant: inout Assistant, by arguments: Arguments) throws {
        let detections = TurnSettings.Detection.allCases.map(\.rawValue).joined(separator: ", ")
        if let value = try arguments.optional("--vad", allowed: detections, { TurnSettings.Detection(rawValue: $0) }) {
            assistant.turns.detection = value
        }
        let threshold = try arguments.optional("--threshold", allowed: "0 to 1") { text in
            Double(text).flatMap { (0...1).contains($0) ? $0 : nil }
        }
        if let threshold { assistant.turns.threshold = threshold }
        if let value = try Self.number(arguments, "--silence-ms", 100...5000) {
            assistant.turns.silence = .milliseconds(value)
        }
        if let value = try Self.number(arguments, "--prefix-ms", 0...2000) {
            assistant.turns.prefixPadding = .milliseconds(value)
        }
        if let value = try Self.number(arguments, "--resume-ms", 0...2000) {
            assistant.bargeIn.resumeWindow = .milliseconds(value)
        }
        if let value = try Self.number(arguments, "--idle-seconds", 5...3600) {
            assistant.idleTimeout = .seconds(value)
        }
        if let value = try Self.number(arguments, "--maximum-seconds", 10...86400) {
            assistant.maximumDuration = .seconds(value)
        }
        if let value = try Self.number(arguments, "--no-input-ms", 1000...120_000) {
            assistant.noInput.after = .milliseconds(value)
        }
        if let value = try Self.number(arguments, "--no-input-retries", 0...20) { assistant.noInput.retries = value }
        let prompts = arguments.all("--no-input-prompt")
        if !prompts.isEmpty { assistant.noInput.prompts = prompts }
    }

    static func number(_ arguments: Arguments, _ option: String, _ range: ClosedRange<Int>) throws -> Int? {
        try arguments.optional(option, allowed: "\(range.lowerBound) to \(range.upperBound)") { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// `name=phrase|phrase=answer`.
    private static func topic(_ text: String) throws -> Topic {
        let parts = text.split(separator: "=", maxSplits: 2).map(String.init)
        guard parts.count == 3 else {
            throw ArgumentError.notAllowed(option: "--topic", allowed: "NAME=PHRASE|PHRASE=ANSWER")
        }
        return Topic(name: parts[0], phrases: parts[1].split(separator: "|").map(String.init), answer: parts[2])
    }

    static func destination(_ arguments: Arguments, _ store: any RecordsStore) async throws -> String {
        let tenant = try await Self.tenant(of: arguments, store)
        switch arguments.words.first {
        case "add":
            let name = try Self.word(arguments, 1, "the destination's name")
            let number = try Self.word(arguments, 2, "the number")
            let owner = try await Self.assistant(arguments, "--assistant", tenant, store)
            let known = try await store.destinations(of: tenant.id).first { $0.name == name && $0.assistant == owner }
            guard known == nil || arguments.has("--replace") else {
                throw CommandFailure("there is a destination of that name; --replace changes it")
            }
            let given = try arguments.optional("--id", allowed: "a UUID") { DestinationID($0) }
            guard let id = known?.id ?? given ?? DestinationID(UUID().uuidString) else { throw CommandFailure("no id") }
            var destination =
                known ?? DestinationRecord(id: id, tenant: tenant.id, name: name, number: number, context: "default")
            destination.number = Redacted(number)
            destination.assistant = owner
            if let text = try arguments.optional("--context") { destination.context = text }
            if !arguments.all("--alias").isEmpty { destination.aliases = arguments.all("--alias") }
            if let text = try arguments.optional("--department") { destination.department = text }
            if let text = try arguments.optional("--summary") { destination.summary = text }
            let kinds = DestinationRecord.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            if let kind = try arguments.optional("--kind", allowed: kinds, { DestinationRecord.Kind(rawValue: $0) }) {
                destination.kind = kind
            }
            if let value = try Self.number(arguments, "--priority", 0...100_000) { destination.priority = value }
            if let value = try Self.number(arguments, "--ring-seconds", 1...600) {
                destination.ringTimeout = .seconds(value)
            }
            if arguments.has("--default") { destination.isDefault = true }
            if arguments.has("--disabled") { destination.isEnabled = false }
            try await store.save(destination, of: tenant.id)
            return id.text
        case "list", nil:
            let rows = try await store.destinations(of: tenant.id).map { destination in
                [
                    destination.id.text, destination.name, destination.kind.rawValue,
                    arguments.has("--reveal") ? destination.number.value : "\(destination.number)",
                    destination.context, String(destination.priority), destination.isEnabled ? "yes" : "no",
                ]
            }
            return Self.table(["id", "name", "kind", "number", "context", "priority", "enabled"], rows)
        case "remove":
            let word = try Self.word(arguments, 1, "the destination's name or id")
            let named = try await store.destinations(of: tenant.id).filter { $0.name == word }
            guard named.count <= 1 else { throw CommandFailure("several have that name: say the id") }
            guard let id = named.first?.id ?? DestinationID(word),
                try await store.removeDestination(id, of: tenant.id)
            else { throw CommandFailure("the tenant has no such destination") }
            return "removed"
        case let word?: throw Self.unknown("destination \(word)")
        }
    }

    /// The assistant that an option names by id or name; nil where it is not given.
    private static func assistant(
        _ arguments: Arguments, _ option: String, _ tenant: Tenant, _ store: any RecordsStore
    ) async throws -> AssistantID? {
        guard let text = try arguments.optional(option) else { return nil }
        if let id = AssistantID(text) { return id }
        guard let found = try await store.assistant(named: text, of: tenant.id) else {
            throw CommandFailure("\(option): the tenant has no such assistant")
        }
        return found.id
    }
}
