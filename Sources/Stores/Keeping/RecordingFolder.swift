import Foundation
import Glibc
import Records
import Telephony

/// The folder of recordings, `FOLDER/{tenant}/{call}-….wav`, seen with suspicion: the path of a recording comes from a row
/// of the database, which somebody may have written by hand. Nothing outside the tenant's own folder is ever opened or
/// removed, whatever the row says and wherever links lead.
package struct RecordingFolder: Sendable {
    private let root: String

    package init(_ root: String) { self.root = root }

    /// What became of a file that was to be removed.
    package enum Removal: Sendable, Equatable {
        case removed
        case missing
        /// It is not in the tenant's folder: not ours to remove.
        case foreign
        /// The disk refuses.
        case failed
    }

    /// The real path of a recording of the tenant; nil: there is none within its folder.
    private func path(_ recording: String, of tenant: TenantID) -> String? {
        guard !recording.isEmpty, !recording.utf8.contains(0),
            let folder = Self.realPath("\(self.root)/\(tenant.text)"), let path = Self.realPath(recording),
            path.hasPrefix(folder + "/")
        else { return nil }
        return path
    }

    private static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(validatingCString: real)
    }

    /// Nil: there is no such file of the tenant's.
    package func open(_ recording: String, of tenant: TenantID) throws(StoreError) -> OpenRecording? {
        guard let path = self.path(recording, of: tenant) else { return nil }
        // A link that took the file's place meanwhile is not followed; a pipe does not block.
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ELOOP { return nil }
            throw StoreError(.failed, "the recording cannot be opened")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            return nil
        }
        return OpenRecording(descriptor, length: Int(status.st_size))
    }

    package func remove(_ recording: String, of tenant: TenantID) -> Removal {
        guard let path = self.path(recording, of: tenant) else {
            // Nothing there is as good as removed; something there that is not the tenant's is not touched; and what
            // cannot be looked at is not known to be gone.
            guard access(recording, F_OK) != 0 else { return .foreign }
            return [ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP].contains(errno) ? .missing : .failed
        }
        guard unlink(path) == 0 else { return errno == ENOENT ? .missing : .failed }
        return .removed
    }

    /// Removes the tenant's recordings that were last written before `end`, at most `limit`: also those whose record is on
    /// another node, or gone. How many.
    package func removeFiles(of tenant: TenantID, before end: Date, limit: Int) -> Int {
        guard let folder = Self.realPath("\(self.root)/\(tenant.text)"),
            let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
        else { return 0 }
        var removed = 0
        for name in names where name.hasSuffix(".wav") && removed < limit {
            let path = "\(folder)/\(name)"
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
                Double(status.st_mtim.tv_sec) < end.timeIntervalSince1970, unlink(path) == 0
            else { continue }
            removed += 1
        }
        return removed
    }
}

/// A recording that is open for reading.
package final class OpenRecording: Sendable {
    private let descriptor: Int32
    package let length: Int

    fileprivate init(_ descriptor: Int32, length: Int) {
        self.descriptor = descriptor
        self.length = length
    }

    deinit { close(self.descriptor) }

    /// At most `count` bytes from `offset`; none at the end.
    package func read(from offset: Int, count: Int) throws(StoreError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, size in
            var got = pread(self.descriptor, buffer.baseAddress, count, off_t(offset))
            while got < 0, errno == EINTR { got = pread(self.descriptor, buffer.baseAddress, count, off_t(offset)) }
            failed = got < 0
            size = max(0, got)
        }
        guard !failed else { throw StoreError(.failed, "the recording cannot be read") }
        return bytes
    }
}
