import Telephony

/// The agent's items of one session: the provider's name, our number, and what has come of each. Bounded: what is long
/// past is forgotten.
struct OpenAIRealtimeAgentItems: Sendable {
    struct Record: Sendable {
        let id: String
        let number: Int
        /// The response it belongs to; empty where the server names none.
        var responseID: String
        /// Of the content part that holds the audio: `truncate` names it.
        var contentIndex = 0
        var receivedBytes = 0
        /// The first half of a sample whose second half is in the next delta.
        var halfSample: UInt8?
        /// All its audio has come, or none of it will count any more.
        var isAudioFinished = false
        var isTranscriptFinished = false
        /// What we last told the server to forget beyond.
        var truncatedAt: Int?
    }

    static let limit = 64

    private(set) var records: [Record] = []
    private var lastNumber = 0

    /// The place of an item, by the bytes of its name. From the back: it is nearly always the last.
    func index(of id: JSONScan) -> Int? {
        // By index: a closure would be given a copy of each record.
        for index in self.records.indices.reversed() where id.isName(self.records[index].id) { return index }
        return nil
    }

    func index(of item: AgentItem) -> Int? { self.records.lastIndex { $0.number == item.number } }

    mutating func add(id: String, responseID: String) -> Int {
        if self.records.count >= OpenAIRealtimeAgentItems.limit { self.records.removeFirst() }
        self.lastNumber += 1
        self.records.append(Record(id: id, number: self.lastNumber, responseID: responseID))
        return self.records.count - 1
    }

    subscript(index: Int) -> Record {
        get { self.records[index] }
        _modify { yield &self.records[index] }
    }
}

/// The caller's items of one session. Transcripts come before, during or after the reply: they are matched by name.
struct OpenAIRealtimeCallerItems: Sendable {
    static let limit = 64

    private var records: [(id: String, number: Int)] = []
    private var lastNumber = 0

    /// The item of that name; numbered when first heard of.
    mutating func item(named id: JSONScan) -> CallerItem? {
        if let known = self.records.last(where: { id.isName($0.id) }) { return CallerItem(known.number) }
        guard let name = id.string else { return nil }
        if self.records.count >= OpenAIRealtimeCallerItems.limit { self.records.removeFirst() }
        self.lastNumber += 1
        self.records.append((name, self.lastNumber))
        return CallerItem(self.lastNumber)
    }
}
