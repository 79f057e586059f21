import Assistants
import Telephony

// The making of replies, in the order that may be relied on (providers.md §1.4).
extension OpenAIRealtimeSimulatorCore {
    /// Bytes made in one go; what is more comes with the next `wake`, which is asked for at once.
    static var burstLimit: Int { 1024 * 1024 }

    /// `response.create`.
    mutating func createResponse(
        _ wanted: JSONValue, at now: Duration, _ output: inout Output
    ) throws(OpenAIRealtimeShape.Refusal) {
        guard self.making == nil else {
            throw .init(
                code: "conversation_already_has_active_response",
                message: "Conversation already has an active response.", parameter: "")
        }
        let kind: OpenAIRealtimeRecord.Response.Kind
        switch (wanted["instructions"]?.text, wanted["input"]?.elements?.isEmpty) {
        case (nil, _): kind = .reply
        case (_?, true?): kind = .say
        case (_?, _): kind = .greeting
        }
        self.beginResponse(wanted, kind: kind, at: now, &output)
    }

    mutating func beginResponse(
        _ wanted: JSONValue, kind: OpenAIRealtimeRecord.Response.Kind, at now: Duration, _ output: inout Output
    ) {
        self.responseCount += 1
        let number = self.responseCount
        let answer: OpenAIRealtimeScript.Answer
        switch kind {
        case .reply:
            answer = self.answer(self.answerCount)
            self.answerCount += 1
        case .greeting: answer = self.script.greeting
        case .say:
            // The words stand after the last empty line of the instructions.
            let instructions = wanted["instructions"]?.text ?? ""
            answer = OpenAIRealtimeScript.Answer(instructions.lastParagraph)
        }
        let id = self.nextID("resp")
        var slow: Duration = .zero
        var flood: Duration?
        var failure: (code: String, message: String)?
        switch self.takeResponseFault(number) {
        case .slow(let delay)?: slow = delay
        case .flood(let duration)?: flood = duration
        case .failedResponse(let code, let message)?: failure = (code, message)
        default: break
        }
        let formatPath = OpenAIRealtimeWire.outputFormatPath(self.dialect)
        let format =
            OpenAIRealtimeWire.format(wanted[formatPath] ?? self.session[formatPath]) ?? .l16(.realtime)
        let modalities =
            (wanted["output_modalities"] ?? wanted["modalities"] ?? self.session["output_modalities"]
            ?? self.session["modalities"])?.elements ?? []
        let pace = flood == nil ? self.script.pace : nil
        self.making = OpenAIRealtimeMaking(
            id: id, number: number, answer: answer,
            sound: OpenAIRealtimeSound(answer, script: self.script, format: format, flood: flood), format: format,
            beginsAt: now + answer.delay + slow, interval: pace.map { self.script.piece / $0 } ?? .zero,
            pieceBytes: max(format.bytesPerSample, format.bytes(in: self.script.piece)),
            isText: !modalities.contains("audio"), isAside: wanted["conversation"] == "none", failure: failure,
            metadata: wanted["metadata"] ?? .null)
        self.change { $0.responses.append(.init(id: id, kind: kind)) }
        self.send(self.wire("response.created", ["response": self.response("in_progress", .null)]), &output)
        self.continueResponse(at: now, &output)
    }

    /// Sends what is due of the response that is being made.
    mutating func continueResponse(at now: Duration, _ output: inout Output) {
        while let making = self.making, making.nextDue <= now, !self.isOver, output.bytes.count < Self.burstLimit {
            if making.itemID == nil, making.output.isEmpty {
                if self.mishap(at: .response(making.number), now, &output) { return }
                if let failure = making.failure {
                    let error: JSONValue = [
                        "type": "server_error", "code": .string(failure.code), "message": .string(failure.message),
                    ]
                    return self.finishResponse("failed", ["type": "failed", "error": error], &output)
                }
                if !making.answer.text.isEmpty { self.beginMessage(&output) }
            }
            guard !making.answer.text.isEmpty else { return self.completeResponse(&output) }
            if making.isText {
                self.sendText(&output)
                return self.completeResponse(&output)
            }
            self.sendPiece(&output)
            guard let sent = self.making else { return }
            if sent.sentBytes * 2 >= sent.sound.count,
                self.mishap(at: .midResponse(sent.number), now, &output)
            {
                return
            }
            if sent.isAllSent { return self.completeResponse(&output) }
        }
    }

    private mutating func beginMessage(_ output: inout Output) {
        let id = self.nextID("item")
        self.making?.itemID = id
        let item = self.message(id, status: "in_progress")
        self.tell("response.output_item.added", ["item": item], &output)
        let previous = self.items.last?.id
        if self.making?.isAside == false {
            self.items.append(Item(id: id, value: item, audioMilliseconds: self.making?.isText == true ? nil : 0))
            self.tellItem(item, previous: previous, isDone: false, &output)
        }
        self.tell("response.content_part.added", ["part": self.part(isFinal: false)], isPart: true, &output)
        self.hasSpoken = self.hasSpoken || self.making?.isText == false
    }

    private mutating func sendPiece(_ output: inout Output) {
        guard let making = self.making, let itemID = making.itemID else { return }
        let range = making.sentBytes..<min(making.sound.count, making.sentBytes + making.pieceBytes)
        if !range.isEmpty {
            let eventID = self.nextID("event")
            let name = OpenAIRealtimeWire.name("response.output_audio.delta", self.dialect)
            // Fifty calls at ten pieces a second: written straight into the buffer.
            self.send(&output) { bytes in
                JSONText.append("{\"type\":", to: &bytes)
                JSONText.appendString(name, to: &bytes)
                JSONText.append(",\"event_id\":", to: &bytes)
                JSONText.appendString(eventID, to: &bytes)
                JSONText.append(",\"response_id\":", to: &bytes)
                JSONText.appendString(making.id, to: &bytes)
                JSONText.append(",\"item_id\":", to: &bytes)
                JSONText.appendString(itemID, to: &bytes)
                JSONText.append(",\"output_index\":0,\"content_index\":0,\"delta\":\"", to: &bytes)
                making.sound.appendBase64(range, to: &bytes)
                JSONText.append("\"}", to: &bytes)
            }
        }
        self.making?.sentBytes = range.upperBound
        self.making?.sentPieces += 1
        if let index = self.items.lastIndex(where: { $0.id == itemID }) {
            self.items[index].audioMilliseconds = self.making?.sentDuration.milliseconds
        }
        if let text = self.making?.nextText(), !text.isEmpty {
            self.tell("response.output_audio_transcript.delta", ["delta": .string(text)], isPart: true, &output)
        }
    }

    private mutating func sendText(_ output: inout Output) {
        guard let count = self.making?.sound.count else { return }
        self.making?.sentBytes = count
        guard let text = self.making?.nextText() else { return }
        self.tell("response.output_text.delta", ["delta": .string(text)], isPart: true, &output)
    }

    private mutating func completeResponse(_ output: inout Output) {
        self.endMessage(status: "completed", &output)
        for tool in self.making?.answer.tools ?? [] { self.useTool(tool, &output) }
        self.finishResponse("completed", ["type": "completed"], &output)
    }

    /// The `.done` family: also at a cancel, with what there is by then.
    private mutating func endMessage(status: String, _ output: inout Output) {
        guard let making = self.making, let itemID = making.itemID else { return }
        if making.isText {
            self.tell("response.output_text.done", ["text": .string(making.saidText)], isPart: true, &output)
        } else {
            self.tell("response.output_audio.done", .object([]), isPart: true, &output)
            self.tell(
                "response.output_audio_transcript.done", ["transcript": .string(making.saidText)], isPart: true,
                &output)
        }
        self.tell("response.content_part.done", ["part": self.part(isFinal: true)], isPart: true, &output)
        let item = self.message(itemID, status: status)
        self.tell("response.output_item.done", ["item": item], &output)
        self.making?.output.append(item)
        self.making?.itemID = nil
        guard !making.isAside, let index = self.items.lastIndex(where: { $0.id == itemID }) else { return }
        self.items[index].value = item
        guard self.dialect == .ga else { return }
        let previous = index > 0 ? self.items[index - 1].id : nil
        let members: JSONValue = ["previous_item_id": previous.map { .string($0) } ?? .null, "item": item]
        self.send(self.wire("conversation.item.done", members), &output)
    }

    private mutating func useTool(_ tool: OpenAIRealtimeScript.ToolUse, _ output: inout Output) {
        let (id, callID) = (self.nextID("item"), self.nextID("call"))
        func item(_ arguments: String, _ status: String) -> JSONValue {
            [
                "id": .string(id), "object": "realtime.item", "type": "function_call", "status": .string(status),
                "call_id": .string(callID), "name": .string(tool.name), "arguments": .string(arguments),
            ]
        }
        let begun = item("", "in_progress")
        let place: JSONValue = ["item_id": .string(id), "call_id": .string(callID)]
        self.tell("response.output_item.added", ["item": begun], &output)
        let previous = self.items.last?.id
        self.items.append(Item(id: id, value: begun))
        self.tellItem(begun, previous: previous, isDone: false, &output)
        for character in [tool.arguments.prefix(1), tool.arguments.dropFirst(1)] where !character.isEmpty {
            var members = place
            members.set(.string(String(character)), at: ["delta"])
            self.tell("response.function_call_arguments.delta", members, &output)
        }
        var done = place
        // The beta shape says the name in the item only.
        if self.dialect == .ga { done.set(.string(tool.name), at: ["name"]) }
        done.set(.string(tool.arguments), at: ["arguments"])
        self.tell("response.function_call_arguments.done", done, &output)
        let finished = item(tool.arguments, "completed")
        self.tell("response.output_item.done", ["item": finished], &output)
        self.items[self.items.count - 1].value = finished
        if self.dialect == .ga {
            let members: JSONValue = ["previous_item_id": previous.map { .string($0) } ?? .null, "item": finished]
            self.send(self.wire("conversation.item.done", members), &output)
        }
        self.making?.output.append(finished)
        self.openCalls.insert(callID)
    }

    /// Cut short, by the client or by the caller's voice.
    mutating func stopResponse(reason: String, at now: Duration, _ output: inout Output) {
        self.endMessage(status: "incomplete", &output)
        self.finishResponse("cancelled", ["type": "cancelled", "reason": .string(reason)], &output)
    }

    private mutating func finishResponse(_ status: String, _ details: JSONValue, _ output: inout Output) {
        guard let making = self.making else { return }
        let response = self.response(status, details)
        self.making = nil
        self.change { record in
            guard let index = record.responses.lastIndex(where: { $0.id == making.id }) else { return }
            record.responses[index].status = status
            record.responses[index].audio = making.isText ? .zero : making.sentDuration
        }
        self.send(self.wire("response.done", ["response": response]), &output)
        let limits: JSONValue = [
            ["name": "requests", "limit": 5000, "remaining": 4999, "reset_seconds": 0.012],
            ["name": "tokens", "limit": 400_000, "remaining": 399_000, "reset_seconds": 0.15],
        ]
        self.send(self.wire("rate_limits.updated", ["rate_limits": limits]), &output)
    }

    // MARK: Shapes

    /// An event about the response's current item.
    private mutating func tell(
        _ type: String, _ members: JSONValue, isPart: Bool = false, _ output: inout Output
    ) {
        guard let making = self.making else { return }
        var all: JSONValue = ["response_id": .string(making.id), "output_index": .integer(making.output.count)]
        if isPart {
            all.set(.string(making.itemID ?? ""), at: ["item_id"])
            all.set(0, at: ["content_index"])
        }
        for member in members.members ?? [] { all.set(member.value, at: [member.name]) }
        self.send(self.wire(type, all), &output)
    }

    private func part(isFinal: Bool) -> JSONValue {
        guard let making = self.making else { return .null }
        let text = JSONValue.string(isFinal ? making.saidText : "")
        return making.isText ? ["type": "text", "text": text] : ["type": "audio", "transcript": text]
    }

    private func message(_ id: String, status: String) -> JSONValue {
        var content: [JSONValue] = []
        if status != "in_progress", let making = self.making {
            let text = JSONValue.string(making.saidText)
            switch (making.isText, self.dialect) {
            case (true, .ga): content = [["type": "output_text", "text": text]]
            case (true, .beta): content = [["type": "text", "text": text]]
            case (false, .ga): content = [["type": "output_audio", "transcript": text]]
            case (false, .beta): content = [["type": "audio", "transcript": text]]
            }
        }
        return [
            "id": .string(id), "object": "realtime.item", "type": "message", "status": .string(status),
            "role": "assistant", "content": .array(content),
        ]
    }

    private func response(_ status: String, _ details: JSONValue) -> JSONValue {
        guard let making = self.making else { return .null }
        var response: JSONValue = [
            "object": "realtime.response", "id": .string(making.id), "status": .string(status),
            "status_details": status == "in_progress" || status == "completed" ? .null : details,
            "output": .array(making.output),
            "conversation_id": making.isAside ? .null : .string("conv_\(self.seed)"), "metadata": making.metadata,
        ]
        let formatPath = OpenAIRealtimeWire.outputFormatPath(self.dialect)
        let format = self.session[formatPath] ?? .null
        let voice = self.session[OpenAIRealtimeWire.voicePath(self.dialect)] ?? .null
        switch self.dialect {
        case .ga:
            response.set(.array([making.isText ? "text" : "audio"]), at: ["output_modalities"])
            response.set(self.session["max_output_tokens"] ?? "inf", at: ["max_output_tokens"])
            response.set(["output": ["format": format, "voice": voice]], at: ["audio"])
        case .beta:
            response.set(making.isText ? ["text"] : ["audio", "text"], at: ["modalities"])
            response.set(self.session["max_response_output_tokens"] ?? "inf", at: ["max_output_tokens"])
            response.set(voice, at: ["voice"])
            response.set(format, at: ["output_audio_format"])
            response.set(self.session["temperature"] ?? 0.8, at: ["temperature"])
        }
        response.set(status == "in_progress" ? .null : self.usage(making), at: ["usage"])
        return response
    }

    /// Plausible numbers: ten tokens a second in, twenty out, four characters a text token.
    private func usage(_ making: OpenAIRealtimeMaking) -> JSONValue {
        let heard = self.record.appended.milliseconds / 100
        let read = 100 + self.record.instructions.utf8.count / 4
        let spoken = making.isText ? 0 : making.sentDuration.milliseconds / 50
        let written = making.sentCharacters / 4
        var input: JSONValue = [
            "text_tokens": .integer(read), "audio_tokens": .integer(heard), "cached_tokens": 64,
        ]
        if self.dialect == .ga {
            input.set(0, at: ["image_tokens"])
            let cached: JSONValue = ["text_tokens": 64, "audio_tokens": 0, "image_tokens": 0]
            input.set(cached, at: ["cached_tokens_details"])
        }
        let output: JSONValue = ["text_tokens": .integer(written), "audio_tokens": .integer(spoken)]
        return [
            "total_tokens": .integer(heard + read + spoken + written), "input_tokens": .integer(heard + read),
            "output_tokens": .integer(spoken + written), "input_token_details": input,
            "output_token_details": output,
        ]
    }
}

extension String {
    /// What stands after the last empty line.
    fileprivate var lastParagraph: String {
        var rest = self[...]
        while let next = rest.firstRange(of: "\n\n") { rest = rest[next.upperBound...] }
        return String(rest)
    }
}
