import Assistants
import Telephony

// What the client asks for, audio apart.
extension OpenAIRealtimeSimulatorCore {
    mutating func clientEvent(_ event: JSONValue, at now: Duration, _ output: inout Output) {
        let type = event["type"]?.text ?? ""
        let eventID = event["event_id"]?.text
        self.change { $0.events.append(type) }
        guard let shape = OpenAIRealtimeShapes.event(type, self.dialect) else {
            return self.refuse(.value("type"), eventID, &output)
        }
        do throws(OpenAIRealtimeShape.Refusal) {
            try shape.check(event, at: "")
            switch type {
            case "session.update": try self.updateSession(event["session"] ?? .null, at: now, &output)
            case "input_audio_buffer.commit": try self.commitByClient(at: now, &output)
            case "input_audio_buffer.clear":
                _ = self.listening.takeUncommitted()
                self.change { $0.clears += 1 }
                self.send(self.wire("input_audio_buffer.cleared", .object([])), &output)
            case "conversation.item.create": try self.createItem(event, &output)
            case "conversation.item.retrieve":
                let item = self.items[try self.itemIndex(event)].value
                self.send(self.wire("conversation.item.retrieved", ["item": item]), &output)
            case "conversation.item.delete":
                let item = self.items.remove(at: try self.itemIndex(event))
                self.send(self.wire("conversation.item.deleted", ["item_id": .string(item.id)]), &output)
            case "conversation.item.truncate": try self.truncate(event, &output)
            case "response.create": try self.createResponse(event["response"] ?? .null, at: now, &output)
            case "response.cancel":
                self.change { $0.cancels += 1 }
                let named = event["response_id"]?.text
                guard let making = self.making, named ?? making.id == making.id else {
                    throw .init(
                        code: "response_cancel_not_active", message: "Cancellation failed: no active response found.",
                        parameter: "")
                }
                self.stopResponse(reason: "client_cancelled", at: now, &output)
            default: break
            }
        } catch {
            self.refuse(error, eventID, &output)
        }
    }

    private mutating func updateSession(
        _ update: JSONValue, at now: Duration, _ output: inout Output
    ) throws(OpenAIRealtimeShape.Refusal) {
        if let model = update["model"]?.text, model != self.model {
            throw .init(
                code: "invalid_value", message: "The model of a session cannot be changed.", parameter: "session.model")
        }
        let voicePath = OpenAIRealtimeWire.voicePath(self.dialect)
        if self.hasSpoken, let voice = update[voicePath], voice != self.session[voicePath] {
            throw .init(
                code: "cannot_update_voice", message: "The voice cannot be changed once audio was produced.",
                parameter: "session." + voicePath.joined(separator: "."))
        }
        if update["output_modalities"]?.elements?.count ?? 1 != 1 {
            throw .value("session.output_modalities")
        }
        OpenAIRealtimeWire.merge(update, into: &self.session)
        if let format = OpenAIRealtimeWire.format(self.session[OpenAIRealtimeWire.inputFormatPath(self.dialect)]) {
            self.listening.change(to: format)
        }
        if let padding = self.turnDetection?["prefix_padding_ms"]?.whole {
            self.listening.prefixPadding = .milliseconds(padding)
        }
        if let silence = self.turnDetection?["silence_duration_ms"]?.whole {
            self.listening.silence = .milliseconds(silence)
        }
        let instructions = self.session["instructions"]?.text ?? ""
        self.change { $0.instructions = instructions }
        if self.mishap(at: .configured, now, &output) { return }
        self.send(self.wire("session.updated", ["session": self.session]), &output)
    }

    // MARK: Items

    private func itemIndex(_ event: JSONValue) throws(OpenAIRealtimeShape.Refusal) -> Int {
        let id = event["item_id"]?.text ?? ""
        guard let index = self.items.firstIndex(where: { $0.id == id }) else {
            throw .init(code: "item_not_found", message: "There is no such item.", parameter: "item_id")
        }
        return index
    }

    private mutating func createItem(
        _ event: JSONValue, _ output: inout Output
    ) throws(OpenAIRealtimeShape.Refusal) {
        var item = event["item"] ?? .null
        let id = item["id"]?.text ?? self.nextID("item")
        guard !self.items.contains(where: { $0.id == id }) else {
            throw .init(code: "item_already_exists", message: "There is an item of that id.", parameter: "item.id")
        }
        let parts = item["content"]?.elements ?? []
        let role = item["role"]?.text ?? ""
        let spoken: Set<String> = self.dialect == .ga ? ["output_text"] : ["text"]
        for part in parts {
            let kind = part["type"]?.text ?? ""
            let isAllowed = role == "assistant" ? spoken.contains(kind) : kind.hasPrefix("input_")
            // Assistant audio cannot be created by a client.
            guard isAllowed else { throw .value("item.content[0].type") }
        }
        if item["type"] == "function_call_output" {
            let call = item["call_id"]?.text ?? ""
            guard self.openCalls.remove(call) != nil else {
                throw .init(
                    code: "invalid_tool_call_id", message: "There is no open tool call of that id.",
                    parameter: "item.call_id")
            }
            let outcome = item["output"]?.text ?? ""
            self.change { $0.toolOutputs.append(.init(callID: call, output: outcome)) }
        } else {
            let text = parts.compactMap { $0["text"]?.text }.joined(separator: "\n")
            self.change { $0.items.append((role, text)) }
        }
        item.set(.string(id), at: ["id"])
        item.set("realtime.item", at: ["object"])
        item.set("completed", at: ["status"])
        var previous = self.items.last?.id
        var place = self.items.count
        if let wanted = event["previous_item_id"]?.text {
            if wanted == "root" {
                place = 0
                previous = nil
            } else {
                guard let index = self.items.firstIndex(where: { $0.id == wanted }) else {
                    throw .init(
                        code: "item_not_found", message: "There is no such item.", parameter: "previous_item_id")
                }
                place = index + 1
                previous = wanted
            }
        }
        self.items.insert(Item(id: id, value: item), at: place)
        self.tellItem(item, previous: previous, isDone: true, &output)
    }

    /// `added`, and `done` for an item that comes complete. The beta shape has `created` alone.
    mutating func tellItem(_ item: JSONValue, previous: String?, isDone: Bool, _ output: inout Output) {
        let members: JSONValue = ["previous_item_id": previous.map { .string($0) } ?? .null, "item": item]
        self.send(self.wire("conversation.item.added", members), &output)
        if isDone, self.dialect == .ga { self.send(self.wire("conversation.item.done", members), &output) }
    }

    private mutating func truncate(
        _ event: JSONValue, _ output: inout Output
    ) throws(OpenAIRealtimeShape.Refusal) {
        let index = try self.itemIndex(event)
        let end = event["audio_end_ms"]?.whole ?? 0
        guard let duration = self.items[index].audioMilliseconds else {
            throw .init(
                code: "invalid_value", message: "Only assistant audio can be truncated.", parameter: "item_id")
        }
        guard event["content_index"]?.whole == 0 else { throw .value("content_index") }
        guard end <= duration else {
            throw .init(
                code: "invalid_value", message: "Audio content of \(duration)ms is already shorter than \(end)ms",
                parameter: "audio_end_ms")
        }
        let id = self.items[index].id
        self.change { $0.truncations.append(.init(itemID: id, milliseconds: end, duration: duration)) }
        self.items[index].audioMilliseconds = end
        let members: JSONValue = ["item_id": .string(id), "content_index": 0, "audio_end_ms": .integer(end)]
        self.send(self.wire("conversation.item.truncated", members), &output)
    }

    // MARK: The caller's turn

    private mutating func commitByClient(
        at now: Duration, _ output: inout Output
    ) throws(OpenAIRealtimeShape.Refusal) {
        let held = self.listening.format.duration(ofBytes: self.listening.uncommittedBytes)
        guard held >= .milliseconds(100) else {
            throw .init(
                code: "input_audio_buffer_commit_empty",
                message: "Error committing input audio buffer: expected at least 100ms of audio.", parameter: "")
        }
        // A commit by the client does not create a response.
        self.commit(itemID: self.openTurn ?? self.nextID("item"), at: now, &output)
    }

    mutating func callerEvent(
        _ event: OpenAIRealtimeListening.Event, at now: Duration, _ output: inout Output
    ) {
        switch event {
        case .started(let position):
            let id = self.nextID("item")
            self.openTurn = id
            let members: JSONValue = ["audio_start_ms": .integer(position), "item_id": .string(id)]
            self.send(self.wire("input_audio_buffer.speech_started", members), &output)
            if self.making != nil, self.turnDetection?["interrupt_response"]?.flag ?? true {
                self.stopResponse(reason: "turn_detected", at: now, &output)
            }
        case .stopped(let position):
            let id = self.openTurn ?? self.nextID("item")
            let members: JSONValue = ["audio_end_ms": .integer(position), "item_id": .string(id)]
            self.send(self.wire("input_audio_buffer.speech_stopped", members), &output)
            self.commit(itemID: id, at: now, &output)
            if self.turnDetection?["create_response"]?.flag ?? true, self.making == nil {
                self.beginResponse(.null, kind: .reply, at: now, &output)
            }
        }
    }

    private mutating func commit(itemID id: String, at now: Duration, _ output: inout Output) {
        _ = self.listening.takeUncommitted()
        self.openTurn = nil
        self.change { $0.commits += 1 }
        let previous = self.items.last?.id
        let previousValue: JSONValue = previous.map { .string($0) } ?? .null
        self.send(
            self.wire(
                "input_audio_buffer.committed", ["previous_item_id": previousValue, "item_id": .string(id)]), &output)
        let content: JSONValue = ["type": "input_audio", "transcript": nil]
        let item: JSONValue = [
            "id": .string(id), "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
            "content": .array([content]),
        ]
        self.items.append(Item(id: id, value: item))
        self.tellItem(item, previous: previous, isDone: true, &output)
        if self.hasTranscription {
            let text = self.answer(self.answerCount).callerTranscript
            self.dueTranscripts.append((now + self.script.transcriptDelay, id, text))
        }
    }

    mutating func tellTranscript(_ itemID: String, _ text: String, _ output: inout Output) {
        let half = text.prefix(text.count / 2)
        for piece in [half, text.dropFirst(half.count)] where !piece.isEmpty {
            let members: JSONValue = [
                "item_id": .string(itemID), "content_index": 0, "delta": .string(String(piece)),
            ]
            self.send(self.wire("conversation.item.input_audio_transcription.delta", members), &output)
        }
        let usage: JSONValue = ["type": "duration", "seconds": 1]
        let members: JSONValue = [
            "item_id": .string(itemID), "content_index": 0, "transcript": .string(text), "usage": usage,
        ]
        self.send(self.wire("conversation.item.input_audio_transcription.completed", members), &output)
    }

    /// The answer to the nth reply.
    func answer(_ index: Int) -> OpenAIRealtimeScript.Answer {
        guard let last = self.script.answers.last else { return self.script.greeting }
        return index < self.script.answers.count ? self.script.answers[index] : last
    }
}
