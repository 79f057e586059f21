import Configuration
import Foundation
import Records
import Stores
import Telephony

extension StoreCommands {
    static func provider(
        _ arguments: Arguments, _ store: SQLStore, _ settings: Settings, _ readInput: () -> String?
    ) async throws -> String {
        switch arguments.words.first {
        case "voices": return try await ProviderVoices.list(arguments, store, settings)
        case "preview": return try await ProviderVoices.preview(arguments, store, settings)
        default: break
        }
        if arguments.words.first == "rotate" { return try await Self.rotateSecrets(store) }
        let tenant = try await Self.tenant(of: arguments, store)
        switch arguments.words.first {
        case "set-key": return try await ProviderKeys.set(arguments, tenant, store, readInput)
        case "list", nil:
            let rows = try await store.accounts(of: tenant.id).map { account in
                [
                    account.provider.text, account.kind.rawValue, account.hasSecret ? "set" : "none",
                    String(account.priority), account.isEnabled ? "yes" : "no",
                ]
            }
            return Self.table(["provider", "kind", "key", "priority", "enabled"], rows)
        case let word?: throw Self.unknown("provider \(word)")
        }
    }

    /// Says also what stays open: nobody is to believe that all is encrypted.
    static func rotateSecrets(_ store: SQLStore) async throws -> String {
        let count = try await store.rotateSecrets()
        let open = try await store.openSecrets().map { found in
            let place = "\(found.table).\(found.column)" + (found.setting.map { " of \($0)" } ?? "")
            let use =
                found.setting == "esl_password"
                ? "which Pronto reads for tenants without an Event Socket of their own: run pronto tenant set NAME --adopt-esl, and "
                : "which Pronto does not read: "
            return "still in the clear: \(place), \(found.rows) rows, \(use)empty it once nothing else needs it"
        }
        return (["encrypted again: \(count)"] + open).joined(separator: "\n")
    }

    static func calls(_ arguments: Arguments, _ store: any RecordsStore) async throws -> String {
        let tenant = try await Self.tenant(of: arguments, store)
        switch arguments.words.first {
        case "list", nil:
            let limit = try Self.number(arguments, "--limit", 1...1000) ?? 20
            let rows = try await store.calls(of: tenant.id, before: nil, limit: limit).map { call in
                [
                    Self.text(call.startedAt), call.id.text, Self.seconds(call.duration),
                    call.providers.isEmpty ? "-" : call.providers.map(\.text).joined(separator: ","),
                    call.termination.reason, call.termination.fault.rawValue, Self.text(call.cost),
                ]
            }
            return Self.table(["start", "call", "duration", "providers", "reason", "fault", "cost"], rows)
        case "show":
            let word = try Self.word(arguments, 1, "the call's id")
            guard let id = CallID(word), let call = try await store.call(id, of: tenant.id) else {
                throw CommandFailure("the tenant has no such call")
            }
            return try await Self.shown(call, arguments.has("--reveal"), store)
        case let word?: throw Self.unknown("calls \(word)")
        }
    }

    private static func shown(_ call: CallRecord, _ reveals: Bool, _ store: any RecordsStore) async throws -> String {
        func said(_ text: Redacted<String>?) -> String { text.map { reveals ? $0.value : "\($0)" } ?? "-" }
        let transfer = call.transferredTo.map { "\($0.name) \(said($0.number)) \($0.context)" }
        var lines = [
            "call        \(call.id)",
            "started     \(Self.text(call.startedAt))",
            "answered    \(call.answeredAt.map(Self.text) ?? "-")",
            "ended       \(Self.text(call.endedAt)), after \(Self.seconds(call.duration))",
            "caller      \(said(call.caller))",
            "dialed      \(said(call.dialed))",
            "assistant   \(call.assistant?.text ?? "-")",
            "providers   \(call.providers.isEmpty ? "-" : call.providers.map(\.text).joined(separator: ", "))",
            "end         \(call.termination.reason), \(call.termination.cause) (\(call.termination.cause.q850)), "
                + "fault: \(call.termination.fault.rawValue)",
            "transfer    \(transfer ?? "-")",
            "recording   \(call.recording ?? "-")",
            "quality     \(call.quality.underruns) underruns, \(call.quality.bargeIns) barge-ins, "
                + "\(call.quality.falseInterruptions) false; first audio p50 \(Self.milliseconds(call.quality.latencyMedian)), "
                + "p95 \(Self.milliseconds(call.quality.latencyP95))",
        ]
        lines.append("cost        \(Self.text(call.cost))" + Self.details(call))
        if let media = call.quality.media {
            lines.append(
                "network     \(media.received) packets, \(media.lost) lost, \(media.late) late, jitter "
                    + "\(Self.milliseconds(media.jitter)), round trip \(Self.milliseconds(media.roundTrip)), MOS "
                    + String(format: "%.1f", media.score))
        }
        // Only the conversations of this record: a channel may come back with the same id.
        let conversations = try await store.conversations(of: call.id, tenant: call.tenant).filter {
            $0.startedAt >= call.startedAt && $0.startedAt <= call.endedAt
        }
        for conversation in conversations {
            for turn in try await store.turns(of: conversation.id, tenant: call.tenant) {
                var line = "\(turn.number)  \(turn.role == .caller ? "caller" : "agent ")  \(said(turn.text))"
                if turn.role == .agent { line += "  [heard \(Self.milliseconds(turn.heard))" }
                if turn.role == .agent { line += turn.wasInterrupted ? ", interrupted]" : "]" }
                if let latency = turn.latency { line += "  [after \(Self.milliseconds(latency))]" }
                if turn.role == .agent, let cost = turn.costMicros {
                    line += "  [\(Self.money(cost)) \(call.cost?.currency ?? "")]"
                }
                lines.append(line)
            }
            for tool in try await store.toolUses(of: conversation.id, tenant: call.tenant) {
                lines.append("tool \(tool.number)  \(tool.name)  \(tool.outcome.rawValue)  \(said(tool.arguments))")
            }
        }
        return lines.joined(separator: "\n")
    }

    static func seconds(_ duration: Duration) -> String {
        "\(duration.milliseconds / 1000).\(duration.milliseconds % 1000 / 100) s"
    }

    private static func milliseconds(_ duration: Duration?) -> String {
        duration.map { "\($0.milliseconds) ms" } ?? "-"
    }
}
