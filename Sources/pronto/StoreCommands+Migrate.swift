import Configuration
import Foundation
import Records
import Stores

extension StoreCommands {
    /// `pronto migrate up|down|status`, on whichever database the settings name.
    static func migrate(_ arguments: Arguments, _ settings: Settings, at now: Date) throws -> String {
        func said(_ what: String, _ numbers: [Int]) -> String {
            numbers.isEmpty ? "nothing to do" : "\(what) " + numbers.map(String.init).joined(separator: ", ")
        }
        let word = arguments.words.first ?? "status"
        guard ["up", "down", "status"].contains(word) else { throw Self.unknown("migrate \(word)") }
        if word == "down", !arguments.has("--yes") {
            throw CommandFailure("migrate down drops tables with their rows; add --yes to do it")
        }
        let target = try arguments.optional("--to", allowed: "a migration's number, or 0") { text in
            Int(text).flatMap { $0 >= 0 ? $0 : nil }
        }
        let migrator = Migrator(database: try StoreOpening.database(settings))
        switch word {
        case "up": return said("applied", try migrator.up(at: now))
        case "down":
            let applied = try migrator.status().filter { $0.appliedAt != nil }.map(\.number)
            return said("took back", try migrator.down(to: target ?? (applied.last ?? 1) - 1))
        default:
            return Self.table(
                ["number", "name", "applied"],
                try migrator.status().map { status in
                    [String(status.number), status.name, status.appliedAt.map(Self.text) ?? "no"]
                })
        }
    }
}
