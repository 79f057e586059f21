import Foundation

/// Turns the bytes of an Event Socket into messages: `append` what the socket gave, then `next` until it has no more.
package struct EventSocketDecoder: Sendable {
    private var framer: EventSocketFramer
    private var failure: EventSocketDecodingError?

    package init(limits: EventSocketFramer.Limits = EventSocketFramer.Limits()) {
        self.framer = EventSocketFramer(limits: limits)
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) { self.framer.append(bytes) }

    /// The next whole message, or nil when more bytes are needed. An error is final: close the connection.
    package mutating func next() throws(EventSocketDecodingError) -> EventSocketMessage? {
        if let failure = self.failure { throw failure }
        guard let frame = try self.framer.next() else { return nil }
        do {
            try Self.checkLines(of: frame.head)
        } catch {
            self.failure = error
            throw error
        }
        var end = 0
        let head = EventSocketHeaders(frame.head, isPercentEncoded: false, end: &end)
        let contentType = head["Content-Type"] ?? ""
        switch contentType {
        case "auth/request": return .authRequest
        case "command/reply":
            // Only the answer to `connect` has an Event-Name, and only there the values are URL-encoded (measured).
            if head["Event-Name"] != nil {
                let data = EventSocketHeaders(frame.head, isPercentEncoded: true, end: &end)
                return .channelData(SwitchEvent(headers: data, body: []))
            }
            return .reply(EventSocketReply(text: Self.trimmed(head["Reply-Text"] ?? ""), job: head["Job-UUID"]))
        case "api/response" where frame.omitted > 0:
            return .reply(EventSocketReply(text: "", omitted: frame.omitted))
        case _ where frame.omitted > 0: return .unreadable(contentType: contentType)
        case "api/response":
            return .reply(EventSocketReply(text: Self.trimmed(String(decoding: frame.body, as: UTF8.self))))
        case "text/event-plain": return .event(Self.plainEvent(frame.body))
        case "text/event-json":
            guard let event = Self.jsonEvent(frame.body) else { return .unreadable(contentType: contentType) }
            return .event(event)
        case "text/disconnect-notice":
            let lingers = head["Content-Disposition"].map { $0.lowercased() == "linger" } ?? false
            return .disconnectNotice(
                DisconnectNotice(lingers: lingers, lingerTime: head.number("Linger-Time").map { .seconds($0) }))
        case "text/rude-rejection": return .rejected
        default: return .unreadable(contentType: contentType)
        }
    }

    private static func checkLines(of head: [UInt8]) throws(EventSocketDecodingError) {
        var lines = HeaderLines(head, in: 0..<head.count)
        var number = 0
        while let line = lines.next() {
            number += 1
            if line.colon == nil { throw .malformedHeader(lineNumber: number) }
        }
    }

    /// An event in the plain form: URL-encoded headers, and a body of its own behind an inner `Content-Length`.
    private static func plainEvent(_ body: [UInt8]) -> SwitchEvent {
        var end = 0
        var headers = EventSocketHeaders(body, isPercentEncoded: true, end: &end)
        guard headers["Content-Length"] != nil else { return SwitchEvent(headers: headers, body: []) }
        let rest = headers.rest(from: end)
        guard let length = headers.number("Content-Length"), length <= rest.count else {
            headers.noteOddity()
            return SwitchEvent(headers: headers, body: Array(rest))
        }
        return SwitchEvent(headers: headers, body: Array(rest.prefix(length)))
    }

    /// An event in the JSON form: one object of strings, its body under `_body`. Nil when it is not that.
    private static func jsonEvent(_ body: [UInt8]) -> SwitchEvent? {
        // A caller's name in some other encoding makes invalid UTF-8, which must not cost the event: repair it first.
        let repaired = Data(String(decoding: body, as: UTF8.self).utf8)
        guard let value = try? JSONSerialization.jsonObject(with: repaired), let object = value as? [String: Any] else {
            return nil
        }
        var pairs: [(name: String, value: String)] = []
        var ownBody: [UInt8] = []
        for (name, value) in object {
            switch value {
            case let text as String where name == "_body": ownBody = Array(text.utf8)
            case let text as String: pairs.append((name, text))
            // The switch's arrays are written in the plain form as `ARRAY::a|:b` (source).
            case let texts as [String]: pairs.append((name, "ARRAY::" + texts.joined(separator: "|:")))
            default: continue
            }
        }
        return SwitchEvent(headers: EventSocketHeaders(plain: pairs), body: ownBody)
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while let last = text.unicodeScalars.last, last == "\n" || last == "\r" || last == " " {
            text.unicodeScalars.removeLast()
        }
        return String(text)
    }
}
