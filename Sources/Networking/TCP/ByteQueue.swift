/// Bytes waiting for a socket. Owns no memory while empty: an idle connection costs nothing.
struct ByteQueue: ~Copyable {
    private var storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var head = 0
    private var tail = 0

    init() {}

    deinit { self.storage.deallocate() }

    var count: Int { self.tail - self.head }
    var isEmpty: Bool { self.tail == self.head }

    /// What waits, oldest first. Valid until the next mutation.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self.storage[self.head..<self.tail]) }

    var mutableBytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self.storage[self.head..<self.tail])
    }

    /// Makes `count` more bytes part of the queue; the caller fills them at once.
    mutating func grow(by count: Int) -> UnsafeMutableRawBufferPointer {
        if self.storage.count - self.tail < count {
            let kept = self.count
            if self.storage.count - kept >= count, self.head >= kept {
                self.storage.baseAddress!.copyMemory(
                    from: self.storage.baseAddress! + self.head, byteCount: kept)
            } else {
                let larger = UnsafeMutableRawBufferPointer.allocate(
                    byteCount: max(1024, (kept + count) * 2), alignment: 16)
                if kept > 0 { larger.copyMemory(from: self.bytes) }
                self.storage.deallocate()
                self.storage = larger
            }
            self.head = 0
            self.tail = kept
        }
        defer { self.tail += count }
        return UnsafeMutableRawBufferPointer(rebasing: self.storage[self.tail..<self.tail + count])
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        self.grow(by: bytes.count).copyMemory(from: bytes)
    }

    /// Forgets the oldest `count` bytes, and the memory with the last of them.
    mutating func consume(_ count: Int) {
        self.head += min(count, self.count)
        if self.isEmpty { self.removeAll() }
    }

    mutating func removeAll() {
        self.storage.deallocate()
        self.storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        self.head = 0
        self.tail = 0
    }
}
