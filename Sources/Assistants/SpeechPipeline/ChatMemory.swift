import Telephony

/// What a writer is told of the call: what the caller said, what the caller *heard* of the answers, tools and notes.
///
/// The one record from which every request is made. Text-model services have no memory of their own, so what the caller
/// did not hear is simply not in it.
package struct ChatMemory: Sendable {
    /// A tool that the model called, with its result when there is one.
    package struct ToolUse: Sendable, Equatable {
        package var id: String
        package var name: String
        package var arguments: String
        package var result: String?
    }
    package enum Entry: Sendable, Equatable {
        case caller(String)
        /// `item`: while its words may still be corrected.
        case agent(String, item: AgentItem?, tools: [ToolUse])
        /// Something that the model should know and not answer.
        case note(String)
    }

    /// Of a long call the newest entries are told, within the smallest context windows in use.
    private static let entryLimit = 100
    private static let characterLimit = 24_000
    /// Kept at all.
    private static let keptLimit = 400

    package private(set) var entries: [Entry] = []

    package init(history: [ConversationEntry] = []) {
        for entry in history {
            switch entry.role {
            case .caller: self.entries.append(.caller(entry.text.value))
            case .agent: self.entries.append(.agent(entry.text.value, item: nil, tools: []))
            case .tool: self.entries.append(.note(entry.text.value))
            }
        }
    }

    package mutating func caller(_ text: String) { self.append(.caller(text)) }
    package mutating func note(_ text: String) { self.append(.note(text)) }

    /// What is said of `item` so far, and the tools that were called with it. The entry is made at the first word.
    package mutating func agent(_ item: AgentItem, text: String, tools: [ToolUse] = []) {
        if let index = self.index(of: item), case .agent(_, _, let known) = self.entries[index] {
            self.entries[index] = .agent(text, item: item, tools: known + tools)
        } else if !text.isEmpty || !tools.isEmpty {
            self.append(.agent(text, item: item, tools: tools))
        }
    }

    /// Only this much of `item` was heard. Tools that were called with it were called all the same.
    package mutating func truncate(_ item: AgentItem, to text: String) {
        guard let index = self.index(of: item), case .agent(_, _, let tools) = self.entries[index] else { return }
        if text.isEmpty, tools.isEmpty {
            self.entries.remove(at: index)
        } else {
            self.entries[index] = .agent(text.isEmpty ? "" : text + "…", item: item, tools: tools)
        }
    }

    /// False: no tool of that id was called here.
    package mutating func toolAnswered(_ id: String, _ result: String) -> Bool {
        for index in self.entries.indices.reversed() {
            guard case .agent(let text, let item, var tools) = self.entries[index],
                let tool = tools.firstIndex(where: { $0.id == id && $0.result == nil })
            else { continue }
            tools[tool].result = result
            self.entries[index] = .agent(text, item: item, tools: tools)
            return true
        }
        return false
    }

    package func hasTool(_ id: String) -> Bool {
        self.entries.contains { entry in
            if case .agent(_, _, let tools) = entry { tools.contains { $0.id == id } } else { false }
        }
    }

    /// What the next request is made of: the newest entries within the limits.
    package var recent: ArraySlice<Entry> {
        var start = self.entries.endIndex
        var characters = 0
        while start > self.entries.startIndex, self.entries.endIndex - start < Self.entryLimit {
            characters += Self.length(of: self.entries[start - 1])
            if characters > Self.characterLimit, start < self.entries.endIndex { break }
            start -= 1
        }
        return self.entries[start...]
    }

    private static func length(of entry: Entry) -> Int {
        switch entry {
        case .caller(let text), .note(let text): text.utf8.count
        case .agent(let text, _, let tools):
            tools.reduce(text.utf8.count) { $0 + $1.arguments.utf8.count + ($1.result?.utf8.count ?? 0) }
        }
    }

    private func index(of item: AgentItem) -> Int? {
        self.entries.lastIndex { if case .agent(_, item, _) = $0 { true } else { false } }
    }

    private mutating func append(_ entry: Entry) {
        if self.entries.count >= Self.keptLimit { self.entries.removeFirst() }
        self.entries.append(entry)
    }
}
