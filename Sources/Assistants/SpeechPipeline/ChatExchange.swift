import Telephony

/// One question to a writer and its whole answer, outside a call: for the HTTP interface and for trying a provider.
package struct ChatExchange: Sendable {
    package struct Answer: Sendable, Equatable {
        package var text = ""
        /// Tools that the model would use, with their arguments' JSON text.
        package var tools: [(name: String, arguments: String)] = []
        package var usage = AssistantUsage()
        package static func == (lhs: Answer, rhs: Answer) -> Bool {
            lhs.text == rhs.text && lhs.usage == rhs.usage && lhs.tools.map(\.name) == rhs.tools.map(\.name)
        }
    }

    package let target: HTTPTarget
    private var reader: ChatAnswer
    private var answer = Answer()

    package init(
        _ configuration: WriterConfiguration, setup: AssistantSetup, message: String, timeout: Duration
    ) throws(SpeechPipelineError) {
        try configuration.check()
        var memory = ChatMemory(history: setup.history)
        memory.caller(message)
        var request = ChatRequest(configuration: configuration, setup: setup, memory: memory)
        request.timeout = timeout
        self.target = try request.target()
        self.reader = ChatAnswer(configuration.service)
    }

    /// Takes what came of the request; the outcome, once it is known.
    package mutating func received(_ event: ChannelEvent) -> Result<Answer, AssistantFailure>? {
        let events: [ChatAnswer.Event]
        switch event {
        case .responseHead(_, let status, let headers):
            self.reader.head(status: status, headers: headers)
            return nil
        case .bytes(_, let bytes): events = self.reader.bytes(bytes)
        case .closed(_, let end): events = self.reader.ended(end)
        default: return nil
        }
        for event in events {
            switch event {
            case .text(let text): self.answer.text += text
            case .usage(let usage): self.answer.usage = usage
            case .finished(let tools, _):
                self.answer.tools = tools.map { ($0.name, $0.arguments) }
                return .success(self.answer)
            case .failed(let failure): return .failure(failure)
            }
        }
        return nil
    }
}
