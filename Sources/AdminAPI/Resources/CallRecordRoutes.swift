import Networking
import Records
import Routing
import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The call detail records (document 2, "CDR/Analytics"): lists with filters, one call, its recording.
extension APIBackEnd {
    static let callParameter = APIParameter(.path, "call", .text(.call), "The call's id.")

    private static let filterParameters = [
        APIParameter(.query, "from", .moment, "Started at this time or later."),
        APIParameter(.query, "to", .moment, "Started before this time."),
        APIParameter(.query, "caller", .text(.number), "The caller's number, as it is recorded."),
        APIParameter(.query, "did", .text(.number), "The dialed number, as it is recorded."),
        APIParameter(.query, "assistant", .uuid, "The assistant that answered."),
        APIParameter(
            .query, "direction", .word(CallRecord.Direction.allCases.map(\.rawValue)), "Whose call it was."),
        APIParameter(.query, "cause", .text(.slug), "The hang-up cause's name, as NORMAL_CLEARING."),
        APIParameter(.query, "fault", .word(Fault.allCases.map(\.rawValue)), "Whose doing the end was."),
        APIParameter(.query, "reason", .text(.slug), "The end's slug, as caller-hung-up."),
        APIParameter(.query, "min_duration_ms", .whole(0...86_400_000), "Lasted at least so long."),
        APIParameter(.query, "max_duration_ms", .whole(0...86_400_000), "Lasted at most so long."),
    ]

    var callRecordRoutes: [APIRoute] {
        [
            APIRoute(
                .get, "/api/cdr", .tenant(.viewer), name: "listCallRecords", "Finished calls, newest first.",
                parameters: Self.filterParameters + [
                    .limit, .cursor,
                    APIParameter(
                        .query, "format", .word(["json", "csv"]),
                        "csv: all rows (or `limit`) as text/csv, as `Accept: text/csv` also asks for."),
                ],
                answers: [
                    APIAnswer(200, Self.page("CallRecordPage", CallRecord.schema), "One page of calls."),
                    APIAnswer(200, nil, type: "text/csv", "All calls, as CSV (RFC 4180)."),
                ]
            ) { asked throws(APIProblem) in try await self.listCalls(asked) },
            APIRoute(
                .get, "/api/cdr/{call}", .tenant(.viewer), name: "getCallRecord", "One finished call.",
                parameters: [Self.callParameter], answers: [APIAnswer(200, CallRecord.schema, "The call.")]
            ) { asked throws(APIProblem) in .json(try await self.call(asked).json) },
            APIRoute(
                .get, "/api/cdr/{call}/recording", .tenant(.viewer), name: "getRecording",
                "The call's recording; a part of it by Range (RFC 9110 §14).", parameters: [Self.callParameter],
                answers: [
                    APIAnswer(200, nil, type: "audio/wav", "The recording."),
                    APIAnswer(206, nil, type: "audio/wav", "The part that was asked for."),
                    APIAnswer(416, OpenAPI.problem, type: "application/problem+json", "It has no such part."),
                ]
            ) { asked throws(APIProblem) in try await self.recording(asked) },
        ]
    }

    static func page(_ name: String, _ item: APISchema) -> APISchema {
        .named(
            name,
            .object([
                APIField("items", .list(item, atMost: 1000)),
                APIField(
                    "next", .nullable(.text(Cursor.rule)), "The `cursor` of the next page; null: this is the last."),
            ]))
    }

    /// Where the page begins. A cursor that is none of ours leads to no page.
    func position(_ asked: APIRequest) throws(APIProblem) -> ListPosition? {
        guard let text = asked.text("cursor") else { return nil }
        guard let position = Cursor.position(text) else {
            throw .notFound("query.cursor: there is no such page. Begin again without it.")
        }
        return position
    }

    private func call(_ asked: APIRequest) async throws(APIProblem) -> CallRecord {
        let (tenant, id) = (try asked.tenant(), try asked.path("call") { CallID($0) })
        guard let call = try await self.ask({ store throws(StoreError) in try await store.call(id, of: tenant) })
        else { throw .notFound("The tenant has no finished call of this id.") }
        return call
    }

    private func listCalls(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let (tenant, filter, position) = (try asked.tenant(), CallFilter(asked), try self.position(asked))
        let wantsCSV =
            asked.text("format").map { $0 == "csv" } ?? asked.headers.hasToken("text/csv", in: "Accept")
        guard !wantsCSV else { return try await self.callsAsCSV(asked, tenant, filter, position) }
        let rows = try await self.ask { store throws(StoreError) in
            try await store.calls(of: tenant, matching: filter, after: position, limit: asked.limit + 1)
        }
        let page = rows.prefix(asked.limit)
        let next = rows.count > page.count ? page.last.map { Cursor.text($0.position) } : nil
        return .json(["items": .array(page.map(\.json)), "next": .of(next)])
    }

    /// Page by page, so that a year of calls is never in memory. What is written while it is read neither repeats nor
    /// hides a row.
    private func callsAsCSV(
        _ asked: APIRequest, _ tenant: TenantID, _ filter: CallFilter, _ position: ListPosition?
    ) async throws(APIProblem) -> APIResponse {
        let most = asked.query["limit"]?.whole ?? Int.max
        let size = 500
        // The first page is asked for before the answer begins: what fails then is still a problem in words.
        let first = try await self.ask { store throws(StoreError) in
            try await store.calls(of: tenant, matching: filter, after: position, limit: min(size, most))
        }
        let store = self.store
        return APIResponse(
            headers: ["Content-Disposition": #"attachment; filename="calls.csv""#],
            body: .stream(type: "text/csv; charset=utf-8; header=present", length: nil) { pieces in
                try await pieces.write(CSV.line(CallRecord.columns))
                var (page, sent) = (first, 0)
                while !page.isEmpty {
                    try await pieces.write(page.flatMap { CSV.line($0.cells) })
                    sent += page.count
                    guard page.count == min(size, most - (sent - page.count)), sent < most, let last = page.last else {
                        return
                    }
                    page = try await store.calls(
                        of: tenant, matching: filter, after: last.position, limit: min(size, most - sent))
                }
            })
    }

    // MARK: Recordings

    private func recording(_ asked: APIRequest) async throws(APIProblem) -> APIResponse {
        let tenant = try asked.tenant()
        let call = try await self.call(asked)
        let file: (any RecordingReading)?
        do throws(StoreError) {
            file = try call.recording.flatMap { path throws(StoreError) in
                try self.recordings.open(path, of: tenant)
            }
        } catch {
            throw APIProblem(error)
        }
        guard let file else { throw .notFound("The call has no recording, or it was deleted.") }
        let length = file.length
        var headers: HTTPHeaders = [
            "Accept-Ranges": "bytes",
            "Content-Disposition": #"attachment; filename="\#(call.id.text).wav""#,
        ]
        var (part, status) = (0..<length, 200)
        switch ByteRange.read(asked.headers["Range"], length: length) {
        case .whole: break
        case .part(let range):
            part = range
            status = 206
            headers.add("Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(length)")
        case .unsatisfiable:
            throw APIProblem(
                416, "range", "The recording has no such part", detail: "It has \(length) bytes.")
        }
        let bytes = part
        return APIResponse(
            status: status, headers: headers,
            body: .stream(type: "audio/wav", length: bytes.count) { pieces in
                var offset = bytes.lowerBound
                while offset < bytes.upperBound {
                    let piece = try file.read(from: offset, count: min(64 * 1024, bytes.upperBound - offset))
                    // A file that was cut meanwhile: the connection breaks, since the length was told.
                    guard !piece.isEmpty else { throw ReaderGone() }
                    try await pieces.write(piece)
                    offset += piece.count
                }
            })
    }
}

extension CallFilter {
    init(_ asked: APIRequest) {
        self.init()
        self.from = asked.text("from").flatMap(Moment.date)
        self.until = asked.text("to").flatMap(Moment.date)
        self.caller = asked.text("caller").map { Redacted($0) }
        self.dialed = asked.text("did").map { Redacted($0) }
        self.assistant = asked.text("assistant").flatMap { AssistantID($0) }
        self.direction = asked.text("direction").flatMap { CallRecord.Direction(rawValue: $0) }
        self.cause = asked.text("cause")
        self.fault = asked.text("fault").flatMap { Fault(rawValue: $0) }
        self.reason = asked.text("reason")
        self.minimumDuration = asked.query["min_duration_ms"]?.whole.map { .milliseconds($0) }
        self.maximumDuration = asked.query["max_duration_ms"]?.whole.map { .milliseconds($0) }
    }
}

extension CallRecord {
    var position: ListPosition { ListPosition(startedAt: self.startedAt, id: self.id.text) }

    private static let counts = APISchema.whole(0...Int.max)
    private static let mediaSchema = APISchema.object([
        APIField("received", counts, "RTP packets that came"), APIField("lost", counts), APIField("late", counts),
        APIField("jitter_ms", .number(0...1e9), "Interarrival jitter (RFC 3550 §6.4.1)"),
        APIField("round_trip_ms", .nullable(.number(0...1e9))),
        APIField("mos", .number(0...5), "Estimated mean opinion score (ITU-T G.107)"),
    ])

    static let schema = APISchema.named(
        "CallRecord",
        .object([
            APIField("call", .text(.call)), APIField("start", .moment), APIField("answer", .nullable(.moment)),
            APIField("end", .moment), APIField("duration_ms", counts), APIField("assistant", .nullable(.uuid)),
            APIField("direction", .word(Direction.allCases.map(\.rawValue))),
            APIField("caller", .nullable(.prose(0...1024)), "null: withheld, or erased"),
            APIField("did", .nullable(.prose(0...1024))),
            APIField("dialect", .nullable(.prose(0...256)), "What the phone leg spoke"),
            APIField("providers", .list(.plain(1...64), atMost: 1000), "Back ends that spoke, in order"),
            APIField("cause", .prose(1...256), "Hang-up cause"), APIField("cause_q850", .whole(0...100_000)),
            APIField("fault", .word(Fault.allCases.map(\.rawValue))), APIField("reason", .prose(0...256)),
            APIField(
                "transfer",
                .nullable(
                    .object([
                        APIField("name", .prose(0...1024)), APIField("number", .prose(0...1024)),
                        APIField("context", .prose(0...1024)),
                    ])), "Where the caller was handed to"),
            APIField("has_recording", .flag),
            APIField(
                "quality",
                .object([
                    APIField("underruns", counts), APIField("barge_ins", counts),
                    APIField("false_interruptions", counts), APIField("latency_p50_ms", .nullable(counts)),
                    APIField("latency_p95_ms", .nullable(counts)), APIField("uplink_bytes", counts),
                    APIField("downlink_bytes", counts), APIField("media", .nullable(mediaSchema)),
                ])),
            APIField(
                "usage",
                .object([
                    APIField("input_text_tokens", counts), APIField("input_audio_tokens", counts),
                    APIField("cached_tokens", counts), APIField("output_text_tokens", counts),
                    APIField("output_audio_tokens", counts),
                ])),
            APIField("node", .nullable(.prose(0...256))),
        ]))

    var json: JSONValue {
        func milliseconds(_ duration: Duration) -> JSONValue { .number(Double(duration.nanoseconds) / 1e6) }
        let media: JSONValue =
            self.quality.media.map { media in
                [
                    "received": .integer(media.received), "lost": .integer(media.lost), "late": .integer(media.late),
                    "jitter_ms": milliseconds(media.jitter),
                    "round_trip_ms": media.roundTrip.map(milliseconds) ?? .null, "mos": .number(media.score),
                ]
            } ?? .null
        let transfer: JSONValue =
            self.transferredTo.map { destination in
                [
                    "name": .string(destination.name), "number": .string(destination.number.value),
                    "context": .string(destination.context),
                ]
            } ?? .null
        return [
            "call": .string(self.id.text), "start": .of(self.startedAt), "answer": .of(self.answeredAt),
            "end": .of(self.endedAt), "duration_ms": .milliseconds(self.duration),
            "assistant": .of(self.assistant?.text), "direction": .string(self.direction.rawValue),
            "caller": .of(self.caller?.value), "did": .of(self.dialed?.value), "dialect": .of(self.dialect),
            "providers": .array(self.providers.map { .string($0.text) }),
            "cause": .string(self.termination.cause.name), "cause_q850": .integer(self.termination.cause.q850),
            "fault": .string(self.termination.fault.rawValue), "reason": .string(self.termination.reason),
            "transfer": transfer, "has_recording": .bool(self.recording != nil),
            "quality": [
                "underruns": .integer(self.quality.underruns), "barge_ins": .integer(self.quality.bargeIns),
                "false_interruptions": .integer(self.quality.falseInterruptions),
                "latency_p50_ms": .milliseconds(self.quality.latencyMedian),
                "latency_p95_ms": .milliseconds(self.quality.latencyP95),
                "uplink_bytes": .integer(self.quality.uplinkBytes),
                "downlink_bytes": .integer(self.quality.downlinkBytes), "media": media,
            ],
            "usage": [
                "input_text_tokens": .integer(self.usage.inputTextTokens),
                "input_audio_tokens": .integer(self.usage.inputAudioTokens),
                "cached_tokens": .integer(self.usage.cachedTokens),
                "output_text_tokens": .integer(self.usage.outputTextTokens),
                "output_audio_tokens": .integer(self.usage.outputAudioTokens),
            ],
            "node": .of(self.node),
        ]
    }

    static let columns = [
        "call", "start", "answer", "end", "duration_ms", "assistant", "direction", "caller", "did", "dialect",
        "providers", "cause", "cause_q850", "fault", "reason", "transfer", "has_recording", "latency_p50_ms",
        "latency_p95_ms", "underruns", "barge_ins", "mos", "node",
    ]

    var cells: [String] {
        [
            self.id.text, Moment.text(self.startedAt), self.answeredAt.map(Moment.text) ?? "",
            Moment.text(self.endedAt), String(self.duration.milliseconds), self.assistant?.text ?? "",
            self.direction.rawValue, self.caller?.value ?? "", self.dialed?.value ?? "", self.dialect ?? "",
            self.providers.map(\.text).joined(separator: " "), self.termination.cause.name,
            String(self.termination.cause.q850), self.termination.fault.rawValue, self.termination.reason,
            self.transferredTo?.name ?? "", self.recording == nil ? "false" : "true",
            self.quality.latencyMedian.map { String($0.milliseconds) } ?? "",
            self.quality.latencyP95.map { String($0.milliseconds) } ?? "", String(self.quality.underruns),
            String(self.quality.bargeIns), self.quality.media.map { String($0.score) } ?? "", self.node ?? "",
        ]
    }
}
