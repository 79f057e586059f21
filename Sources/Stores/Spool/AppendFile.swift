import Glibc
import Records

/// Appends whole lines to a file, or nothing, and is sure of it: the line is on the disk when `append` returns.
struct AppendFile {
    let path: String
    /// The most bytes that the file may have.
    let limit: Int

    func append(_ line: [UInt8]) throws(StoreError) {
        // Numbers and transcripts are inside: nobody else reads it.
        let descriptor = open(self.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure() }
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0 else { throw Self.failure() }
        var bytes = line + [UInt8(ascii: "\n")]
        // A line that a crash tore must not take the next one with it.
        if size > 0, try Self.lastByte(descriptor, size) != UInt8(ascii: "\n") {
            bytes.insert(UInt8(ascii: "\n"), at: 0)
        }
        guard Int(size) <= self.limit - min(bytes.count, self.limit) else {
            throw StoreError(.full, "the spool has reached its limit")
        }
        do throws(StoreError) {
            try Self.write(bytes, to: descriptor)
            guard fsync(descriptor) == 0 else { throw Self.failure() }
        } catch {
            // Half a line helps nobody; if even this fails, the next `append` closes the torn line.
            _ = ftruncate(descriptor, size)
            throw error
        }
        if size == 0 { try Self.syncFolder(of: self.path) }
    }

    /// Makes a new or renamed entry last.
    static func syncFolder(of path: String) throws(StoreError) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure() }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Self.failure() }
    }

    static func failure() -> StoreError {
        switch errno {
        case ENOSPC, EDQUOT, EFBIG: StoreError(.full, "the disk is full")
        case EACCES, EPERM, EROFS: StoreError(.readOnly, "the spool cannot be written")
        default: StoreError(.failed, "the spool failed with errno \(errno)")
        }
    }

    private static func lastByte(_ descriptor: Int32, _ size: off_t) throws(StoreError) -> UInt8 {
        var byte: UInt8 = 0
        guard pread(descriptor, &byte, 1, size - 1) == 1 else { throw Self.failure() }
        return byte
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) throws(StoreError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                guard errno == EINTR else { throw Self.failure() }
            } else {
                rest = rest.dropFirst(written)
            }
        }
    }
}
