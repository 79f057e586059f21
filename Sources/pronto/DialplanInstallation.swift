import Foundation

/// The scripts of `freeswitch/scripts`, in the program, so that an installed binary needs no files beside it.
enum FreeSwitchScripts {
    static func text(of name: String) -> String? { Self.all.first { $0.name == name }?.text }
}

/// Files that are to be as stated, with what they were before kept for the way back.
struct FileInstallation: Sendable {
    struct File: Sendable, Equatable {
        var path: String
        var text: String
    }

    var files: [File]

    /// What would change: for each file its difference, and nothing for one that is as it should be.
    func difference() throws -> [String] {
        try self.files.flatMap { file -> [String] in
            guard let present = try Self.text(at: file.path) else {
                return ["new  \(file.path) (\(TextDifference.lines(of: file.text).count) lines)"]
            }
            let lines = TextDifference.between(TextDifference.lines(of: present), TextDifference.lines(of: file.text))
            return lines.isEmpty && present == file.text ? [] : ["changed  \(file.path)"] + lines
        }
    }

    /// What the files are now, for `Backup`.
    func present() throws -> [Backup.File] {
        try self.files.map { Backup.File(path: $0.path, text: try Self.text(at: $0.path)) }
    }

    func write() throws {
        for file in self.files { try Self.write(file.text, to: file.path) }
    }

    static func text(at path: String) throws -> String? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8)
        else { throw CommandFailure("\(path) cannot be read as text: run as a user that may, or name another folder") }
        return text
    }

    /// Whole or not at all: FreeSWITCH may read the folder at any moment. The file belongs to whom the folder belongs,
    /// and everybody may read it, as FreeSWITCH runs as a user of its own.
    static func write(_ text: String, to path: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        guard let owner = try? FileManager.default.attributesOfItem(atPath: folder) else {
            throw CommandFailure("\(folder): there is no such folder; name it with --to or --scripts")
        }
        let temporary = "\(folder)/.pronto-\(UUID().uuidString)"
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: temporary), options: .withoutOverwriting)
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: temporary)
            if getuid() == 0, let user = owner[.ownerAccountID], let group = owner[.groupOwnerAccountID] {
                try FileManager.default.setAttributes(
                    [.ownerAccountID: user, .groupOwnerAccountID: group], ofItemAtPath: temporary)
            }
        } catch {
            // What is half written must not stay; that it could not be removed either says nothing new.
            try? FileManager.default.removeItem(atPath: temporary)
            throw CommandFailure("\(path) cannot be written: run as a user that may write to \(folder)")
        }
        guard rename(temporary, path) == 0 else {
            try? FileManager.default.removeItem(atPath: temporary)
            throw CommandFailure("\(path) cannot be replaced: run as a user that may write to \(folder)")
        }
    }

    /// The way back from one installation: a folder with the former files and the SQL.
    struct Backup: Codable, Sendable, Equatable {
        struct File: Codable, Sendable, Equatable {
            var path: String
            /// Nil: there was none.
            var text: String?
        }

        var mode: String
        var files: [File]
        /// SQL that restores FusionPBX's rows.
        var sql: String?
        var context: String?

        static func name(of mode: DialplanMode, at date: Date) -> String {
            let time = date.formatted(
                Date.ISO8601FormatStyle(dateSeparator: .omitted, timeSeparator: .omitted, timeZone: .gmt))
            return "\(time)-\(mode.rawValue)"
        }

        /// Writes the folder before anything is changed. A name that is taken gets a number: nothing is written over.
        func save(in parent: String, name: String) throws -> String {
            let manager = FileManager.default
            var folder = "\(parent)/\(name)"
            var number = 2
            while manager.fileExists(atPath: folder), number < 1000 {
                folder = "\(parent)/\(name)-\(number)"
                number += 1
            }
            do {
                // Dialplans hold numbers; they are nobody else's business.
                try manager.createDirectory(
                    atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
                try encoder.encode(self).write(to: URL(fileURLWithPath: "\(folder)/backup.json"))
                if let sql { try Data(sql.utf8).write(to: URL(fileURLWithPath: "\(folder)/rollback.sql")) }
            } catch {
                throw CommandFailure("\(folder): the way back cannot be kept there; name another folder with --backups")
            }
            return folder
        }

        static func load(_ folder: String) throws -> Backup {
            guard let data = FileManager.default.contents(atPath: "\(folder)/backup.json") else {
                throw CommandFailure(
                    "\(folder)/backup.json: there is none; name the folder that the installation printed")
            }
            do { return try JSONDecoder().decode(Backup.self, from: data) } catch {
                throw CommandFailure("\(folder)/backup.json is not of `pronto dialplan install`")
            }
        }

        /// What restoring would do, one line a file.
        func plan() throws -> [String] {
            try self.files.compactMap { file in
                let now = try FileInstallation.text(at: file.path)
                if now == file.text { return nil }
                return file.text == nil ? "remove   \(file.path)" : "restore  \(file.path)"
            } + (self.sql == nil ? [] : ["restore  FusionPBX's rows (rollback.sql)"])
        }

        func restoreFiles() throws {
            for file in self.files {
                if let text = file.text {
                    try FileInstallation.write(text, to: file.path)
                } else if FileManager.default.fileExists(atPath: file.path) {
                    do { try FileManager.default.removeItem(atPath: file.path) } catch {
                        throw CommandFailure("\(file.path) cannot be removed: run as a user that may")
                    }
                }
            }
        }
    }
}
