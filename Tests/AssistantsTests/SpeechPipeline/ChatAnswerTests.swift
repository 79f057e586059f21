import Telephony
import Testing

@testable import Assistants

/// Real shapes of streams, and how servers differ (providers.md §5).
@Suite struct ChatAnswerTests {
    private func read(
        _ service: WriterConfiguration.Service, _ text: String, status: Int = 200,
        type: String = "text/event-stream", end: ChannelEnd = .finished, piece: Int = 7
    ) -> [ChatAnswer.Event] {
        var answer = ChatAnswer(service)
        answer.head(status: status, headers: [("Content-Type", type)])
        var events: [ChatAnswer.Event] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: piece) {
            bytes[start..<min(start + piece, bytes.count)].withUnsafeBytes { events += answer.bytes($0) }
        }
        return events + answer.ended(end)
    }

    private func chunk(_ delta: String, finish: String = "null") -> String {
        "data: {\"choices\":[{\"index\":0,\"delta\":\(delta),\"finish_reason\":\(finish)}]}\n\n"
    }

    @Test("Words, reasoning that is not spoken, usage and the end")
    func plain() {
        let text =
            self.chunk(#"{"role":"assistant","content":""}"#) + self.chunk(#"{"reasoning":"hm","content":null}"#)
            + self.chunk(#"{"content":"Hel"}"#) + self.chunk(#"{"content":"lo."}"#)
            + self.chunk("{}", finish: "\"stop\"")
            + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n"
        var usage = AssistantUsage()
        usage.inputTextTokens = 9
        usage.outputTextTokens = 2
        #expect(
            self.read(.openAI, text) == [
                .text("Hel"), .text("lo."), .usage(usage), .finished(tools: [], incomplete: nil),
            ])
    }

    @Test("Tool calls in fragments, whole, without id, with the name in every fragment, as an object")
    func tools() {
        let whole = #"{"tool_calls":[{"id":"a","function":{"name":"x","arguments":"{\"q\":1}"}}]}"#
        let first = #"{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{\"q\""}}]}"#
        let rest = #"{"tool_calls":[{"index":0,"id":"","function":{"name":"x","arguments":":1}"}}]}"#
        let object = #"{"tool_calls":[{"function":{"name":"x","arguments":{"q":1}}}]}"#
        for (text, id) in [
            (self.chunk(whole), "a"), (self.chunk(first) + self.chunk(rest), "a"), (self.chunk(object), ""),
        ] {
            let events = self.read(.compatible, text + self.chunk("{}", finish: "\"tool_calls\""))
            #expect(
                events == [
                    .finished(
                        tools: [ChatMemory.ToolUse(id: id, name: "x", arguments: #"{"q":1}"#)], incomplete: nil)
                ])
        }
        let two =
            #"{"tool_calls":[{"function":{"name":"x","arguments":"{}"}},{"function":{"name":"y","arguments":"{}"}}]}"#
        let events = self.read(.compatible, self.chunk(two) + self.chunk("{}", finish: "\"stop\""))
        guard case .finished(let tools, _)? = events.last else {
            Issue.record("no end")
            return
        }
        #expect(tools.map(\.name) == ["x", "y"])
    }

    @Test("Anthropic's blocks: text, a tool, unknown ones passed over")
    func anthropic() {
        let text = """
            event: message_start
            data: {"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}

            event: content_block_start
            data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Ciao."}}

            event: content_block_start
            data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t1","name":"x","input":{}}}

            event: message_delta
            data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}

            event: message_stop
            data: {"type":"message_stop"}


            """
        var usage = AssistantUsage()
        usage.inputTextTokens = 5
        usage.outputTextTokens = 7
        #expect(
            self.read(.anthropic, text) == [
                .text("Ciao."), .usage(usage),
                .finished(tools: [ChatMemory.ToolUse(id: "t1", name: "x", arguments: "{}")], incomplete: nil),
            ])
    }

    @Test(
        "Each way of failing has its name and its verdict",
        arguments: [
            (
                401, #"{"error":{"code":"invalid_api_key"}}"#, "writer-invalid-api-key",
                AssistantFailure.Verdict.failOver
            ),
            (404, "{}", "writer-not-found", .failOver), (429, "", "writer-rate-limited", .retry),
            (429, #"{"error":{"code":"insufficient_quota"}}"#, "writer-insufficient-quota", .failOver),
            (529, #"{"error":{"type":"overloaded_error"}}"#, "writer-overloaded-error", .retry),
            (500, "<html>", "writer-refused-500", .retry), (400, "{}", "writer-refused", .failOver),
        ])
    func refusals(_ status: Int, _ body: String, _ slug: String, _ verdict: AssistantFailure.Verdict) {
        guard case .failed(let failure)? = self.read(.groq, body, status: status, type: "application/json").last else {
            Issue.record("no failure")
            return
        }
        #expect(failure.slug == slug)
        #expect(failure.verdict == verdict)
    }

    @Test("A stream that breaks off, garbage, and an error within")
    func broken() {
        let cut = self.read(.groq, self.chunk(#"{"content":"Half"}"#))
        #expect(cut == [.text("Half"), .failed(AssistantFailure("writer-cut-off", .retry))])
        #expect(self.read(.groq, "data: {no\n\n") == [.failed(AssistantFailure("writer-garbled", .retry))])
        let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n"
        #expect(
            self.read(.anthropic, error) == [.failed(AssistantFailure("writer-overloaded-error", .retry))])
        #expect(
            self.read(.groq, "", end: .failed(slug: "connect")) == [.failed(AssistantFailure("writer-connect", .retry))]
        )
    }

    /// A tenant names its own model's server: a trap would end everybody's calls.
    @Test(
        "Counts that a server made up lie between nothing and a billion",
        arguments: [
            (#"{"input_tokens":9223372036854775807,"cache_read_input_tokens":1}"#, 1_000_000_001, 1, 0),
            (#"{"prompt_tokens":9223372036854775807,"completion_tokens":1e18}"#, 1_000_000_000, 0, 1_000_000_000),
            (#"{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":-9223372036854775808}}"#, 1, 0, 0),
            (#"{"prompt_tokens":-9223372036854775808,"completion_tokens":-1,"total_tokens":1}"#, 0, 0, 0),
            (
                #"{"input_tokens":9223372036854775807,"cache_read_input_tokens":9223372036854775807}"#, 2_000_000_000,
                1_000_000_000, 0
            ),
        ])
    func hostileCounts(usage: String, input: Int, cached: Int, output: Int) {
        let chat =
            self.chunk("{}", finish: "\"stop\"") + "data: {\"choices\":[],\"usage\":\(usage)}\n\ndata: [DONE]\n\n"
        let messages =
            "data: {\"type\":\"message_start\",\"message\":{\"usage\":\(usage)}}\n\n"
            + "data: {\"type\":\"message_stop\"}\n\n"
        let whole = "{\"choices\":[{\"message\":{\"content\":\"Yes.\"}}],\"usage\":\(usage)}"
        for events in [
            self.read(.compatible, chat), self.read(.anthropic, messages),
            self.read(.compatible, whole, type: "application/json"),
        ] {
            let told = events.compactMap { if case .usage(let usage) = $0 { usage } else { nil } }.first
            let usage = told ?? AssistantUsage()
            #expect(usage.inputTextTokens == input)
            #expect(usage.cachedTextTokens == cached)
            #expect(usage.outputTextTokens == output)
            #expect(UsageMeter.allCases.allSatisfy { usage.quantity($0) >= 0 })
        }
    }

    @Test("A server that does not stream is understood")
    func whole() {
        let text = #"{"choices":[{"message":{"content":"Yes."},"finish_reason":"stop"}]}"#
        #expect(
            self.read(.compatible, text, type: "application/json") == [
                .text("Yes."), .finished(tools: [], incomplete: nil),
            ])
    }
}
