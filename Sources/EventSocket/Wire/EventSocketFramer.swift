/// Cuts a byte stream into frames: a head of lines up to a blank one, and as many bytes of body as its
/// `Content-Length` says. Both directions of the Event Socket are framed like this.
///
/// LF and CRLF are accepted (measured: FreeSWITCH accepts both). Blank lines before a head are skipped. Memory is
/// bounded by the limits plus one `append`: a body beyond its limit is thrown away as it comes, and its frame says so,
/// since one huge answer must not cost the connection all calls depend on. After an error the framer stays in it.
package struct EventSocketFramer: Sendable {
    /// The most that one message may hold. Both in bytes.
    package struct Limits: Sendable, Equatable {
        /// The reply to `connect` carries all channel variables in its head: 7 KB measured.
        package var head: Int
        /// `show channels` grows by about 850 bytes a channel.
        package var body: Int
        /// The longest body that is thrown away and waited for; one that announces more is no Event Socket's.
        package var omitted: Int
        package init(head: Int = 256 * 1024, body: Int = 4 * 1024 * 1024, omitted: Int = 256 * 1024 * 1024) {
            self.head = head
            self.body = body
            self.omitted = omitted
        }
    }

    /// One frame. The head is without its final blank line.
    package struct Frame: Sendable, Equatable {
        package var head: [UInt8]
        package var body: [UInt8]
        /// How many bytes of body were thrown away, because they were more than the limit; `body` is then empty.
        package var omitted = 0
    }

    private let limits: Limits
    private var buffer: [UInt8] = []
    /// Where the frame being read begins in `buffer`.
    private var start = 0
    /// How far line ends were searched, and where the line in hand begins: a slow peer costs no second look.
    private var scanned = 0
    private var lineStart = 0
    /// The head that was found, while its body is still coming.
    private var pending: (head: Range<Int>, bodyStart: Int, bodyLength: Int)?
    /// A frame whose body is being thrown away, and how much of it is still to come.
    private var skipping: (frame: Frame, left: Int)?
    private var failure: EventSocketDecodingError?

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// Adds what the socket gave. Call `next` until it returns nil before appending more.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard self.failure == nil else { return }
        self.compact()
        self.buffer.append(contentsOf: bytes)
    }

    /// The next whole frame, or nil when more bytes are needed.
    package mutating func next() throws(EventSocketDecodingError) -> Frame? {
        if let failure = self.failure { throw failure }
        do {
            return try self.cut()
        } catch {
            self.failure = error
            self.buffer = []
            throw error
        }
    }

    private mutating func cut() throws(EventSocketDecodingError) -> Frame? {
        if self.skipping != nil { return self.skip() }
        if self.pending == nil {
            guard let head = try self.findHead() else { return nil }
            let length: Int = try self.contentLength(in: head.lines)
            guard length <= max(self.limits.body, self.limits.omitted) else {
                throw .bodyTooLong(announced: length, limit: self.limits.omitted)
            }
            guard length <= self.limits.body else {
                self.skipping = (Frame(head: Array(self.buffer[head.lines]), body: [], omitted: length), length)
                self.start = head.end
                return self.skip()
            }
            self.pending = (head.lines, head.end, length)
        }
        guard let (head, bodyStart, bodyLength) = self.pending, self.buffer.count - bodyStart >= bodyLength else {
            return nil
        }
        let end = bodyStart + bodyLength
        let frame = Frame(head: Array(self.buffer[head]), body: Array(self.buffer[bodyStart..<end]))
        self.pending = nil
        self.start = end
        self.scanned = end
        self.lineStart = end
        return frame
    }

    /// Throws away what has come of a body that is too long; the frame when its last byte has passed.
    private mutating func skip() -> Frame? {
        guard let (frame, left) = self.skipping else { return nil }
        let passed = min(left, self.buffer.count - self.start)
        self.start += passed
        self.scanned = self.start
        self.lineStart = self.start
        self.skipping = passed == left ? nil : (frame, left - passed)
        return passed == left ? frame : nil
    }

    /// Looks for the blank line that ends a head. `end` is the first byte after it.
    private mutating func findHead() throws(EventSocketDecodingError) -> (lines: Range<Int>, end: Int)? {
        while self.scanned < self.buffer.count {
            guard self.buffer[self.scanned] == Ascii.lineFeed else {
                self.scanned += 1
                continue
            }
            let isBlank: Bool =
                self.scanned == self.lineStart
                || (self.scanned == self.lineStart + 1 && self.buffer[self.lineStart] == Ascii.carriageReturn)
            let end = self.scanned + 1
            let blankStart = self.lineStart
            self.scanned = end
            self.lineStart = end
            guard isBlank else { continue }
            if blankStart == self.start {
                self.start = end  // a blank line where a head should begin
                continue
            }
            guard blankStart - self.start <= self.limits.head else { throw .headTooLong(limit: self.limits.head) }
            return (self.start..<blankStart, end)
        }
        guard self.buffer.count - self.start <= self.limits.head else { throw .headTooLong(limit: self.limits.head) }
        return nil
    }

    private func contentLength(in head: Range<Int>) throws(EventSocketDecodingError) -> Int {
        var length: Int?
        var lines = HeaderLines(self.buffer, in: head)
        while let line = lines.next() {
            guard let colon = line.colon, Ascii.equal(self.buffer[line.start..<colon], "content-length") else {
                continue
            }
            let value = Ascii.trim(self.buffer, colon + 1..<line.end)
            guard let number = Ascii.decimal(self.buffer[value]), length == nil || length == number else {
                throw .malformedLength
            }
            length = number
        }
        return length ?? 0
    }

    /// Drops what was consumed, and gives memory of a rare long body back.
    private mutating func compact() {
        guard self.start > 0 else { return }
        if self.start == self.buffer.count, self.buffer.capacity > 1_048_576 {
            self.buffer = []
        } else {
            self.buffer.removeFirst(self.start)
        }
        self.scanned -= self.start
        self.lineStart -= self.start
        if let (head, bodyStart, bodyLength) = self.pending {
            let moved = head.lowerBound - self.start..<head.upperBound - self.start
            self.pending = (moved, bodyStart - self.start, bodyLength)
        }
        self.start = 0
    }
}
