import Telephony

/// Texts that reach us through any module, because a dialplan, a Lua script or a controller wrote them: the metadata
/// argument of `start`, `send_text`, document 1's `session_start`.
///
/// Known forms (field.md §3.1, requirements 1, captures): `{"event":"session_start","callId","caller","did"}`,
/// `{"event":"start","call_uuid","rate":"8k","mix":"mono"}`, `{"type":"metadata","caller_id"}`,
/// `{"type":"dtmf","digit"}`, `{"event":"dtmf","dtmf"}` (jambonz), `{"type":"hangup"}`, and an object with any of the
/// keys below. Any other JSON is legal and means nothing to us; what is no JSON object is a problem.
enum LegText {
    /// Larger texts are not looked at: the longest known one (jambonz's call attributes) is a few kilobytes.
    static let limit = 65_536
    /// Bytes of one value.
    static let valueLimit = 256

    static let tenantKeys: [StaticString] = ["domain_uuid", "tenant_id", "tenantId"]
    static let assistantKeys: [StaticString] = ["secretary_uuid", "assistant_uuid", "aiAgentRef", "assistant"]
    static let callKeys: [StaticString] = ["call_uuid", "callId", "call_id", "callSid", "uuid"]
    static let callerKeys: [StaticString] = ["caller", "caller_id", "caller_id_number", "from"]
    static let dialedKeys: [StaticString] = ["did", "destination_number", "to"]
    static let rateKeys: [StaticString] = ["rate", "sampleRate", "sample_rate"]
    static let mixKeys: [StaticString] = ["mix", "mixType", "mix_type"]

    /// Reads `message`; a dialect with texts of its own asks `other` first, which answers whether it took the text.
    static func received(
        _ message: UnsafeRawBufferPointer, _ input: inout DialectInput,
        other: (JSONScan, inout DialectInput) -> Bool = { _, _ in false }
    ) {
        guard message.count <= self.limit else {
            input.problem = "text-too-long"
            return
        }
        guard let scan = try? JSONScan(message), scan.kind == .object else {
            input.problem = "text-not-json"
            return
        }
        if other(scan, &input) { return }
        let kind: JSONScan? = scan["type"] ?? scan["event"]
        if kind?.isText("dtmf") == true {
            self.digit(scan, &input)
        } else if kind?.isText("hangup") == true {
            input.events.append(.phone(.hungUp(.normalClearing)))
        } else {
            self.metadata(scan, &input)
        }
    }

    private static func digit(_ scan: JSONScan, _ input: inout DialectInput) {
        guard let text = self.value(of: ["digit", "dtmf"], in: scan, &input), text.count == 1,
            let digit = text.uppercased().first, "0123456789*#ABCD".contains(digit)
        else {
            input.problem = "digit-invalid"
            return
        }
        input.events.append(.phone(.digit(Redacted(digit))))
    }

    private static func metadata(_ scan: JSONScan, _ input: inout DialectInput) {
        var metadata = LegMetadata()
        if let text = self.value(of: self.tenantKeys, in: scan, &input) {
            metadata.tenant = TenantID(text)
            if metadata.tenant == nil { input.problem = "metadata-tenant-invalid" }
        }
        if let text = self.value(of: self.assistantKeys, in: scan, &input) {
            metadata.assistant = AssistantID(text)
            if metadata.assistant == nil { metadata.assistantName = text }
        }
        if let text = self.value(of: self.callKeys, in: scan, &input) {
            metadata.call = CallID(text)
            if metadata.call == nil { input.problem = "metadata-call-invalid" }
        }
        metadata.caller = self.value(of: self.callerKeys, in: scan, &input).map { Redacted($0) }
        metadata.dialed = self.value(of: self.dialedKeys, in: scan, &input).map { Redacted($0) }
        metadata.token = self.value(of: ["token"], in: scan, &input, limit: 4096).map { Redacted($0) }
        metadata.format = self.format(scan, &input)
        if metadata != LegMetadata() { input.events.append(.metadata(metadata)) }
    }

    private static func format(_ scan: JSONScan, _ input: inout DialectInput) -> AudioFormat? {
        guard let rate = self.value(of: self.rateKeys, in: scan, &input) else { return nil }
        let encoding: String? = self.value(of: ["encoding"], in: scan, &input)
        let isStereo: Bool = self.value(of: self.mixKeys, in: scan, &input) == "stereo"
        let format: AudioFormat? = StatedFormat.format(
            rate: rate, encoding: encoding ?? "l16", channels: isStereo ? "2" : "1")
        if format == nil { input.problem = "metadata-format-invalid" }
        return format
    }

    /// The text of the first of `keys` that is there: a string, or a number as it is written (a dialplan puts digits
    /// in without quotes). Empty is absent; too long, or with control characters, is a problem.
    private static func value(
        of keys: [StaticString], in scan: JSONScan, _ input: inout DialectInput, limit: Int = LegText.valueLimit
    ) -> String? {
        for key in keys {
            guard let value = scan[key], value.kind == .string || value.kind == .number, !value.bytes.isEmpty else {
                continue
            }
            guard value.bytes.count <= limit,
                let text = value.kind == .number ? String(decoding: value.bytes, as: UTF8.self) : value.string,
                text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else {
                input.problem = "metadata-value-invalid"
                return nil
            }
            return text
        }
        return nil
    }
}
