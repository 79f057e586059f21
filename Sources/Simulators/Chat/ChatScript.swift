import Assistants
import Telephony

/// What a simulated text-model service answers, one request after another, and what goes wrong.
package struct ChatScript: Sendable {
    package struct Tool: Sendable {
        package var name: String
        package var arguments: String
        package init(_ name: String, arguments: String = "{}") {
            self.name = name
            self.arguments = arguments
        }
    }
    package enum Fault: String, Sendable, CaseIterable {
        /// The head comes and no word ever.
        case silent
        /// An error inside the stream, after HTTP 200.
        case errorInStream = "error-in-stream"
        /// The stream ends in the middle.
        case cutOff = "cut-off"
        case garbage
    }
    package struct Answer: Sendable {
        package var text: String
        package var tools: [Tool]
        /// Answer with this status and an error's body instead.
        package var status: Int?
        package var errorCode: String
        package var fault: Fault?
        /// Between one word and the next; zero: all at once.
        package var pace: Duration
        package init(
            _ text: String, tools: [Tool] = [], status: Int? = nil, errorCode: String = "server_error",
            fault: Fault? = nil, pace: Duration = .zero
        ) {
            self.text = text
            self.tools = tools
            self.status = status
            self.errorCode = errorCode
            self.fault = fault
            self.pace = pace
        }
    }
    /// In the order of the requests; the last is repeated.
    package var answers = [Answer("We are open from nine to five. Is there anything else?")]
    /// For a request that asks to greet the caller; nil: the next answer.
    package var greeting: Answer?
    /// What recordings are understood as, in order.
    package var transcripts = ["Hello, who is there?"]
    package var key: String?
    package var soundPerCharacter: Duration = .milliseconds(60)
    /// Texts whose sound has a length of its own.
    package var sounds: [String: Duration] = [:]
    package init() {}

    /// `{"answers":[{"text":"…","tools":[{"name":"…","arguments":"{}"}]}],"transcripts":["…"]}`; nil: not such a text.
    package init?(json: String) {
        guard let value = JSONValue(json: json), value.members != nil else { return nil }
        self.init()
        let answers = (value["answers"]?.elements ?? []).map { answer in
            Answer(
                answer["text"]?.text ?? "",
                tools: (answer["tools"]?.elements ?? []).map {
                    Tool($0["name"]?.text ?? "", arguments: $0["arguments"]?.text ?? "{}")
                }, status: answer["status"]?.whole, fault: answer["fault"]?.text.flatMap { Fault(rawValue: $0) })
        }
        if !answers.isEmpty { self.answers = answers }
        if let texts = value["transcripts"]?.elements?.compactMap(\.text), !texts.isEmpty { self.transcripts = texts }
    }
}

/// One request that the simulated service was sent.
package struct ChatRecord: Sendable {
    package var path: String
    package var body: String
    /// The client went away before the answer was complete.
    package var wasCancelled = false
}
