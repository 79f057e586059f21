import Foundation
import Glibc
import Records
import Routing
import Synchronization

/// The configuration as a file beside the gateway: what a restart begins with while the database is away.
///
/// The very rows of the tables, secrets encrypted as they are there. One line says the version, each table has a line with
/// its columns and one for every row, and the last line says how many rows there were: a file that was cut short is none.
/// It is written beside the old one and takes its place when it is whole; mode 0600.
package struct ConfigurationCopy: Sendable {
    package let path: String

    package init(path: String) { self.path = path }

    private struct Line: Codable {
        var version: Int?
        var table: String?
        var columns: [String]?
        var row: [StoredValue]?
        var end: Int?
    }

    package var exists: Bool { access(self.path, R_OK) == 0 }

    /// How long ago it was written, or last known to be true; nil: there is none.
    package func age(at now: Date = Date()) -> Duration? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: self.path),
            let date = attributes[.modificationDate] as? Date
        else { return nil }
        return .seconds(max(0, now.timeIntervalSince(date)))
    }

    /// Says that what it has is true now.
    package func confirm() {
        // It is only younger than it looks where this fails.
        _ = utimensat(AT_FDCWD, self.path, nil, 0)
    }

    /// Writes what the store has.
    package func write(from store: SQLStore) async throws(StoreError) {
        let new = self.path + ".new"
        let descriptor = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure() }
        let writer = Writer(descriptor)
        do throws(StoreError) {
            try writer.line(Line(version: 1))
            try await store.eachConfigurationRow { table, row throws(StoreError) in try writer.row(table, row) }
            try writer.end()
        } catch {
            close(descriptor)
            unlink(new)
            throw error
        }
        close(descriptor)
        guard rename(new, self.path) == 0 else { throw Self.failure() }
        try AppendFile.syncFolder(of: self.path)
    }

    /// What it has. `corrupt` unless it is whole.
    package func read(secretKeys: SecretKeys?) throws(StoreError) -> ConfigurationReading {
        var gathering = ConfigurationGathering(secrets: secretKeys.map { SecretBox(keys: $0.list) })
        try self.each { name, row in
            // A table that this version does not read, and those of others' readings, are passed over.
            if let table = ConfigurationTable(rawValue: name) { gathering.take(row, of: table) }
            if let table = OlderTable(rawValue: name) { gathering.take(row, of: table) }
        }
        return gathering.reading(of: nil)
    }

    /// The rows of routing that it has. `corrupt` unless it is whole.
    package func readRouting() throws(StoreError) -> RoutingRows {
        var gathering = RoutingGathering(of: nil)
        try self.each { name, row in
            if let table = RoutingQuery(rawValue: name) { gathering.take(row, of: table) }
        }
        return gathering.rows
    }

    /// The tenants' policies and keys that it has. `corrupt` unless it is whole.
    package func readAccess(secretKeys: SecretKeys?) throws(StoreError) -> AccessReading {
        var gathering = AccessGathering(of: nil, secrets: secretKeys.map { SecretBox(keys: $0.list) })
        try self.each { name, row in
            if let table = AccessTable(rawValue: name) { gathering.take(row, of: table) }
        }
        return gathering.reading
    }

    private func each(_ body: (String, Row) -> Void) throws(StoreError) {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: self.path), options: .mappedIfSafe) else {
            throw StoreError(.unavailable, "the copy of the configuration cannot be read")
        }
        var (table, columns) = ("", RowColumns([]))
        var (rows, isBegun, isWhole) = (0, false, false)
        let decoder = JSONDecoder()
        for text in data.split(separator: UInt8(ascii: "\n")) {
            guard let line = try? decoder.decode(Line.self, from: Data(text)), !isWhole else { throw Self.torn }
            if let version = line.version {
                guard version == 1, !isBegun else { throw Self.torn }
                isBegun = true
            } else if let end = line.end {
                guard end == rows else { throw Self.torn }
                isWhole = true
            } else if let name = line.table {
                table = name
                columns = RowColumns(line.columns ?? [])
            } else if let row = line.row {
                guard row.count == columns.names.count else { throw Self.torn }
                rows += 1
                body(table, Row(columns, row))
            }
        }
        guard isBegun, isWhole else { throw Self.torn }
    }

    private static let torn = StoreError(.corrupt, "the copy of the configuration is damaged or of another version")

    private static func failure() -> StoreError {
        StoreError(
            errno == ENOSPC || errno == EDQUOT ? .full : .failed,
            "the copy of the configuration cannot be written: errno \(errno)")
    }

    /// Used by one connection's thread at a time; the lock only says so to the compiler.
    private final class Writer: Sendable {
        private struct State {
            var buffer = Data()
            var table = ""
            var columns: [String] = []
            var rows = 0
        }
        private let descriptor: Int32
        private let state = Mutex(State())

        init(_ descriptor: Int32) { self.descriptor = descriptor }

        func line(_ line: Line) throws(StoreError) {
            guard let data = try? JSONEncoder().encode(line) else {
                throw StoreError(.invalid, "the configuration does not encode")
            }
            let full: Data? = self.state.withLock { state in
                state.buffer.append(data)
                state.buffer.append(UInt8(ascii: "\n"))
                guard state.buffer.count > 65536 else { return nil }
                defer { state.buffer.removeAll(keepingCapacity: true) }
                return state.buffer
            }
            if let full { try self.write(full) }
        }

        func row(_ table: String, _ row: Row) throws(StoreError) {
            let values = row.values
            let (columns, isNew) = self.state.withLock { state in
                state.rows += 1
                guard state.table != table else { return (state.columns, false) }
                state.table = table
                state.columns = values.keys.sorted()
                return (state.columns, true)
            }
            if isNew { try self.line(Line(table: table, columns: columns)) }
            try self.line(
                Line(
                    row: columns.map { column in
                        // JSON has no NaN and no infinity, and both stand for nothing that could be set: one of them in
                        // some row must not keep every tenant out of the copy.
                        if case .real(let number)? = values[column], !number.isFinite { return .null }
                        return values[column] ?? .null
                    }))
        }

        func end() throws(StoreError) {
            try self.line(Line(end: self.state.withLock { $0.rows }))
            try self.write(self.state.withLock { $0.buffer })
            guard fsync(self.descriptor) == 0 else { throw ConfigurationCopy.failure() }
        }

        private func write(_ data: Data) throws(StoreError) {
            var rest = data[...]
            while !rest.isEmpty {
                let written = rest.withUnsafeBytes { Glibc.write(self.descriptor, $0.baseAddress, $0.count) }
                if written < 0 {
                    guard errno == EINTR else { throw ConfigurationCopy.failure() }
                } else {
                    rest = rest.dropFirst(written)
                }
            }
        }
    }
}
