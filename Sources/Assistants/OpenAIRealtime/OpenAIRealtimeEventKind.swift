/// What a server event is, whatever the dialect calls it: one table of names instead of two parsers (providers.md §1.4,
/// §1.9).
enum OpenAIRealtimeEventKind: Sendable, Equatable {
    case sessionCreated, sessionUpdated
    case speechStarted, speechStopped, committed
    case callerTranscriptDelta, callerTranscript, callerTranscriptFailed
    case responseCreated, responseDone
    case outputItemAdded, outputItemDone
    case audioDelta, audioDone
    /// Spoken words' text, or written text where the output is text.
    case agentTranscriptDelta, agentTranscript
    case argumentsDone
    case error
    case toolServerFailed
    /// Known, and nothing follows from it: acknowledgements of what we did, progress that a `.done` repeats, and
    /// what concerns WebRTC and SIP only.
    case uninteresting

    /// Nil: a name that this program has never heard of.
    init?(name: String) {
        guard let kind = OpenAIRealtimeEventKind.table[name] else { return nil }
        self = kind
    }

    static let table: [String: OpenAIRealtimeEventKind] = [
        "session.created": .sessionCreated,
        "session.updated": .sessionUpdated,
        "input_audio_buffer.speech_started": .speechStarted,
        "input_audio_buffer.speech_stopped": .speechStopped,
        "input_audio_buffer.committed": .committed,
        "conversation.item.input_audio_transcription.delta": .callerTranscriptDelta,
        "conversation.item.input_audio_transcription.completed": .callerTranscript,
        "conversation.item.input_audio_transcription.failed": .callerTranscriptFailed,
        "response.created": .responseCreated,
        "response.done": .responseDone,
        "response.output_item.added": .outputItemAdded,
        "response.output_item.done": .outputItemDone,
        "response.output_audio.delta": .audioDelta,
        "response.output_audio.done": .audioDone,
        "response.output_audio_transcript.delta": .agentTranscriptDelta,
        "response.output_audio_transcript.done": .agentTranscript,
        "response.output_text.delta": .agentTranscriptDelta,
        "response.output_text.done": .agentTranscript,
        "response.function_call_arguments.done": .argumentsDone,
        "error": .error,
        "mcp_list_tools.failed": .toolServerFailed,
        // Beta names.
        "response.audio.delta": .audioDelta,
        "response.audio.done": .audioDone,
        "response.audio_transcript.delta": .agentTranscriptDelta,
        "response.audio_transcript.done": .agentTranscript,
        "response.text.delta": .agentTranscriptDelta,
        "response.text.done": .agentTranscript,
        // The rest of the union.
        "conversation.created": .uninteresting,
        "conversation.item.created": .uninteresting,
        "conversation.item.added": .uninteresting,
        "conversation.item.done": .uninteresting,
        "conversation.item.retrieved": .uninteresting,
        "conversation.item.deleted": .uninteresting,
        "conversation.item.truncated": .uninteresting,
        // Diarised pieces: the caller is one person, and `completed` has the words.
        "conversation.item.input_audio_transcription.segment": .uninteresting,
        "input_audio_buffer.cleared": .uninteresting,
        // We never set `idle_timeout_ms`: the conversation has its own no-input clock.
        "input_audio_buffer.timeout_triggered": .uninteresting,
        "input_audio_buffer.dtmf_event_received": .uninteresting,
        "output_audio_buffer.started": .uninteresting,
        "output_audio_buffer.stopped": .uninteresting,
        "output_audio_buffer.cleared": .uninteresting,
        "response.content_part.added": .uninteresting,
        "response.content_part.done": .uninteresting,
        "response.function_call_arguments.delta": .uninteresting,
        "response.mcp_call_arguments.delta": .uninteresting,
        "response.mcp_call_arguments.done": .uninteresting,
        "response.mcp_call.in_progress": .uninteresting,
        "response.mcp_call.completed": .uninteresting,
        "response.mcp_call.failed": .uninteresting,
        "mcp_list_tools.in_progress": .uninteresting,
        "mcp_list_tools.completed": .uninteresting,
        // A budget for the account, not for this call; its place among the events must not be relied on.
        "rate_limits.updated": .uninteresting,
        "transcription_session.updated": .uninteresting,
    ]
}
