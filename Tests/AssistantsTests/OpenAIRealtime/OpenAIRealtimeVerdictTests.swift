import Assistants
import Telephony
import Testing

@Suite struct OpenAIRealtimeVerdictTests {
    @Test(
        "The end of the socket leads to the right rung",
        arguments: [
            (ChannelEnd.closed(code: 1000, reason: ""), "closed-1000", AssistantFailure.Verdict.retry),
            (.closed(code: 1001, reason: ""), "closed-1001", .retry),
            (.closed(code: 1002, reason: ""), "closed-1002", .failOver),
            (.closed(code: 1003, reason: ""), "closed-1003", .failOver),
            (.closed(code: 1005, reason: ""), "closed-1005", .retry),
            (.closed(code: 1006, reason: ""), "closed-1006", .retry),
            (.closed(code: 1007, reason: ""), "closed-1007", .failOver),
            (.closed(code: 1008, reason: ""), "closed-1008", .failOver),
            (.closed(code: 1009, reason: ""), "closed-1009", .failOver),
            (.closed(code: 1010, reason: ""), "closed-1010", .failOver),
            (.closed(code: 1011, reason: ""), "closed-1011", .retry),
            (.closed(code: 1012, reason: ""), "closed-1012", .retry),
            (.closed(code: 1013, reason: ""), "closed-1013", .retry),
            (.closed(code: 1014, reason: ""), "closed-1014", .retry),
            (.closed(code: 1015, reason: ""), "closed-1015", .retry),
            (.closed(code: 1011, reason: "insufficient_quota: check your plan"), "insufficient-quota", .failOver),
            (.closed(code: 3000, reason: "invalid_request_error.invalid_api_key"), "invalid-api-key", .failOver),
            (.closed(code: 3008, reason: ""), "closed-3008", .retry),
            (.closed(code: 4001, reason: ""), "closed-4001", .failOver),
            (.closed(code: 4429, reason: ""), "closed-4429", .retry),
            (.closed(code: 4503, reason: ""), "closed-4503", .retry),
            (.refused(status: 301), "refused", .failOver), (.refused(status: 400), "refused", .failOver),
            (.refused(status: 401), "unauthorised", .failOver), (.refused(status: 403), "unauthorised", .failOver),
            (.refused(status: 404), "model-not-found", .failOver), (.refused(status: 408), "refused-408", .retry),
            (.refused(status: 429), "rate-limited", .retry), (.refused(status: 500), "refused-500", .retry),
            (.refused(status: 503), "refused-503", .retry), (.failed(slug: "dns"), "connection-dns", .retry),
            (.failed(slug: "tls"), "connection-tls", .failOver), (.failed(slug: "reset"), "connection-reset", .retry),
            (.failed(slug: "timeout"), "connection-timeout", .retry), (.finished, "closed", .retry),
        ])
    func ends(end: ChannelEnd, slug: String, verdict: AssistantFailure.Verdict) {
        for isReady in [false, true] {
            var trace = isReady ? RealtimeTrace.ready() : RealtimeTrace()
            if !isReady { trace.start() }
            trace.channel(.closed(.main, end))
            guard case .failed(let failure) = trace.takeEvents().last else {
                Issue.record("no failure")
                continue
            }
            #expect(failure.slug == slug)
            #expect(failure.verdict == verdict)
            #expect(trace.closes.isEmpty, "It is closed already")
        }
    }

    @Test(
        "An error inside a session leads to the right rung",
        arguments: [
            (code: "insufficient_quota", type: "invalid_request_error", verdict: AssistantFailure.Verdict.failOver),
            (code: nil, type: "insufficient_quota", verdict: .failOver),
            (code: "credit_balance_exhausted", type: "x", verdict: .failOver),
            (code: "invalid_api_key", type: "x", verdict: .failOver),
            (code: "account_deactivated", type: "x", verdict: .failOver),
            (code: "billing_hard_limit_reached", type: "x", verdict: .failOver),
            (code: "beta_api_shape_disabled", type: "invalid_request_error", verdict: .failOver),
            (code: "response_cancel_not_active", type: "invalid_request_error", verdict: .ignore),
            (code: "input_audio_buffer_commit_empty", type: "invalid_request_error", verdict: .ignore),
            (code: "unknown_parameter", type: "invalid_request_error", verdict: .ignore),
            (code: "rate_limit_exceeded", type: "x", verdict: .ignore),
            (code: nil, type: "server_error", verdict: .ignore), (code: "never_seen", type: "new", verdict: .ignore),
        ] as [(code: String?, type: String, verdict: AssistantFailure.Verdict)])
    func errors(code: String?, type: String, verdict: AssistantFailure.Verdict) {
        var trace = RealtimeTrace.ready()
        trace.server(Wire.error(code: code, type: type))
        guard case .failed(let failure) = trace.takeEvents().first else {
            Issue.record("no failure")
            return
        }
        #expect(failure.verdict == verdict)
        #expect(trace.closes == (verdict == .failOver ? [1000] : []))
        trace.server(Wire.created())
        #expect(trace.takeEvents().isEmpty == (verdict == .failOver))
    }

    @Test(
        "An error before the session is configured means that it will not be",
        arguments: [
            (code: "unknown_parameter", verdict: AssistantFailure.Verdict.failOver),
            (code: "missing_required_parameter", verdict: .failOver), (code: "whatever", verdict: .failOver),
            (code: "server_error", verdict: .retry), (code: "rate_limit_exceeded", verdict: .retry),
        ])
    func configuring(code: String, verdict: AssistantFailure.Verdict) {
        var trace = RealtimeTrace()
        trace.start()
        trace.channel(.opened(.main))
        trace.server(#"{"type":"session.created"}"#)
        trace.server(Wire.error(code: code))
        guard case .failed(let failure) = trace.takeEvents().first else {
            Issue.record("no failure")
            return
        }
        #expect(failure.verdict == verdict)
        #expect(trace.closes == [1000])
    }

    @Test("A garbled message is noted once; a server that sends nothing else is left")
    func garbage() {
        var trace = RealtimeTrace.ready()
        for _ in 0..<15 { trace.server("{\"type\":") }
        #expect(trace.takeEvents() == [.failed(AssistantFailure("garbled-message", .ignore))])
        trace.channel(.binary(.main, UnsafeRawBufferPointer(start: nil, count: 0)))
        #expect(trace.takeEvents() == [.failed(AssistantFailure("garbled", .retry))])
        #expect(trace.closes == [1000])
    }

    @Test("Unknown events are counted and mean nothing")
    func unknown() {
        var trace = RealtimeTrace.ready()
        trace.server(#"{"type":"response.hologram.delta","delta":"x"}"#)
        #expect(trace.takeEvents().isEmpty)
        #expect(trace.machine.counters.unknownEvents == 1)
        #expect(trace.machine.counters.garbledMessages == 0)
    }

    @Test("Texts from outside are cut at a limit")
    func longText() {
        var trace = RealtimeTrace.ready()
        let text = String(repeating: "é", count: 100_000)
        trace.server(
            #"{"type":"conversation.item.input_audio_transcription.completed","item_id":"c","transcript":"\#(text)"}"#)
        guard case .callerTranscript(_, let heard, _) = trace.takeEvents().first else {
            Issue.record("no transcript")
            return
        }
        #expect((60_000...65_536).contains(heard.value.utf8.count))
    }

    @Test("Thousands of items and responses leave a bounded memory of them")
    func bounded() {
        var trace = RealtimeTrace.ready()
        for index in 0..<3000 {
            trace.server(Wire.created("r\(index)"))
            trace.server(Wire.delta([1], response: "r\(index)", item: "i\(index)"))
            trace.server(Wire.toolCall("c\(index)", response: "r\(index)"))
            trace.perform(.cancelResponse)
            trace.server(Wire.done("r\(index)", status: "cancelled"))
            trace.server(#"{"type":"input_audio_buffer.committed","item_id":"u\#(index)"}"#)
        }
        trace.forget()
        trace.server(Wire.created("last"))
        trace.server(Wire.delta([2], response: "last", item: "last"))
        #expect(trace.audio.last?.item == AgentItem(3001))
        trace.forget()
        trace.perform(.truncate(AgentItem(1), heard: .zero))
        #expect(trace.takeSent().isEmpty, "Long forgotten")
    }
}
