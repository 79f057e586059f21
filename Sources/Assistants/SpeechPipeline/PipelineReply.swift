import Telephony

/// One reply of the pipeline on its way: written, cut into clauses, spoken.
struct PipelineReply: Sendable {
    enum Source: Sendable, Equatable {
        /// The model answers; `task` is told it besides the conversation.
        case model(task: String?)
        /// These words as they are.
        case words(String)
    }
    let item: AgentItem
    let source: Source
    var cutter: SentenceCutter
    var answer: ChatAnswer
    var channel: ChannelID?
    var heard = HeardText()
    /// All of its text is there.
    var isWritten = false
    /// The voice has been told that no more comes.
    var isClosed = false
    var isRetry = false
    /// What the writer used for it is known, or known to be unknown.
    var isCounted = false
    var incomplete: String?

    init(item: AgentItem, source: Source, cutter: SentenceCutter, writer: WriterConfiguration.Service) {
        self.item = item
        self.source = source
        self.cutter = cutter
        self.answer = ChatAnswer(writer)
    }
}

/// What the caller says until it is answered.
struct PipelineTurn: Sendable {
    var item: CallerItem
    /// Words that are certain.
    var words: [String] = []
    var interim = ""
    /// What the conversation was told before the turn is final.
    var told = ""
    /// The service has said that nothing more comes of what was heard.
    var isSettled = false
    /// Found by the service's words or detector, not by ours: the service also says when it is over.
    var isByService = false
    var isTranscribing = false

    var text: String {
        (self.words + [self.interim]).filter { !$0.isEmpty }.joined(separator: " ")
    }
}
