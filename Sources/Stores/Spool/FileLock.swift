import Glibc
import Records

/// A lock that programs share by a file (flock(2)): it ends with its owner, however that ends.
final class FileLock {
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Whoever waits may go on. Once only.
    func release() {
        // Said, and not left to the end of the descriptor: a child of this process that is just being started has a copy
        // of it until it runs its program.
        _ = flock(self.descriptor, LOCK_UN)
        close(self.descriptor)
    }

    private static func file(_ path: String) throws(StoreError) -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw AppendFile.failure() }
        return descriptor
    }

    /// Waits for whoever has it: for what takes a moment only.
    static func waiting(_ path: String) throws(StoreError) -> FileLock {
        let lock = FileLock(try Self.file(path))
        while flock(lock.descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else {
                lock.release()
                throw AppendFile.failure()
            }
        }
        return lock
    }

    /// Nil: another has it.
    static func trying(_ path: String) throws(StoreError) -> FileLock? {
        let lock = FileLock(try Self.file(path))
        guard flock(lock.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            lock.release()
            errno = number
            guard number == EWOULDBLOCK || number == EINTR else { throw AppendFile.failure() }
            return nil
        }
        return lock
    }
}
