/// Takes a stream of server-sent events apart (WHATWG HTML §9.2), piece by piece as the network cuts it.
///
/// `id` and `retry` have no meaning for a request's answer and are passed over. An event that the stream's end leaves
/// without its blank line counts: some compatible servers do not write the last one.
package struct ServerSentEvents: Sendable {
    package struct Event: Sendable, Equatable {
        /// `message` where the stream names none.
        package var name: String
        package var data: [UInt8]
    }
    /// A line or an event beyond what an answer can need: the stream is not what it should be.
    package struct TooLong: Error {}

    /// The largest event that a model sends is a tool call's arguments in one piece.
    private static let limit = 1024 * 1024

    private var line: [UInt8] = []
    private var name = ""
    private var data: [UInt8] = []
    private var hasData = false
    private var endedWithReturn = false
    private var isFirst = true

    package init() {}

    /// Adds bytes; answers the events that they complete, in order.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(TooLong) -> [Event] {
        var events: [Event] = []
        for byte in bytes {
            if self.endedWithReturn {
                self.endedWithReturn = false
                if byte == 0x0A { continue }
            }
            if byte == 0x0A || byte == 0x0D {
                self.endedWithReturn = byte == 0x0D
                self.endLine(&events)
            } else {
                self.line.append(byte)
                guard self.line.count <= Self.limit else { throw TooLong() }
            }
        }
        guard self.data.count <= Self.limit else { throw TooLong() }
        return events
    }

    /// The stream is over: what is left of it.
    package mutating func finish() -> [Event] {
        var events: [Event] = []
        if !self.line.isEmpty { self.endLine(&events) }
        self.dispatch(&events)
        return events
    }

    private mutating func endLine(_ events: inout [Event]) {
        defer { self.line.removeAll(keepingCapacity: true) }
        if self.isFirst {
            self.isFirst = false
            if self.line.starts(with: [0xEF, 0xBB, 0xBF]) { self.line.removeFirst(3) }
        }
        guard !self.line.isEmpty else {
            self.dispatch(&events)
            return
        }
        let colon = self.line.firstIndex(of: UInt8(ascii: ":")) ?? self.line.endIndex
        var value = self.line[min(colon + 1, self.line.endIndex)...]
        if value.first == 0x20 { value = value.dropFirst() }
        let field = self.line[..<colon]
        if field.elementsEqual("data".utf8) {
            if self.hasData { self.data.append(0x0A) }
            self.data.append(contentsOf: value)
            self.hasData = true
        } else if field.elementsEqual("event".utf8) {
            self.name = String(decoding: value, as: UTF8.self)
        }
    }

    private mutating func dispatch(_ events: inout [Event]) {
        if self.hasData { events.append(Event(name: self.name.isEmpty ? "message" : self.name, data: self.data)) }
        self.name = ""
        self.data.removeAll(keepingCapacity: true)
        self.hasData = false
    }
}
