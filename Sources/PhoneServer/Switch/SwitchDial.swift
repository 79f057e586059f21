import EventSocket
import Records
import Routing
import Telephony

/// What the channel data of an outbound Event Socket says about a call: read once, strictly. Everything in it is the
/// dialplan's word, except what the caller sends (numbers).
package struct SwitchDial: Sendable {
    var channel: CallID
    var hints = AssistantHints()
    /// FusionPBX's domain by name, where the id is missing.
    var domainName: String?
    var caller: Redacted<String>?
    var dialed: Redacted<String>?
    var isAnswered: Bool
    /// The rate that the channel's audio is read at: unicast has it.
    var rate: SampleRate?
    /// Stated by the dialplan; nil: as the tenant's row or AUDIO_MODE says.
    var audio: CallAudio?
    /// For the audio that mod_audio_stream brings.
    var stream: StatedStream
    /// Where the dialplan entered: an unanswered transfer returns there.
    var entry: DialplanTarget?
    /// The row of routing that sent the call: what it says about the call holds here as on any other leg.
    var route: RouteID?
    /// The dead man's switch, as the dialplan asks for it (and has armed it), and whom its target rings.
    var fuse: Fuse?
    var failover: String?

    /// The names that the requirements and existing installations use, the newest first.
    private static let tenantNames = ["VOICE_AI_DOMAIN_UUID", "domain_uuid", "voiceai_domain_uuid"]
    private static let assistantNames = ["VOICE_AI_SECRETARY_UUID", "secretary_uuid", "voiceai_secretary_uuid"]
    private static let routeNames = ["pronto_route", "VOICE_AI_ROUTE"]
    private static let audioNames = ["pronto_mode", "VOICE_AI_AUDIO_MODE", "voiceai_audio_mode"]

    /// Nil: the channel has no usable id.
    init?(_ data: SwitchEvent) {
        guard let channel = data.channel else { return nil }
        self.channel = channel
        self.stream = StatedStream(data)
        self.rate = Self.first(["read_rate"], of: data).flatMap { Int($0) }.flatMap(Self.rate)
        self.isAnswered = data.headers["Answer-State"] == "answered"
        self.hints.tenant = Self.first(Self.tenantNames, of: data).flatMap { TenantID($0) }
        self.hints.channelAssistant = Self.first(Self.assistantNames, of: data).flatMap { AssistantID($0) }
        self.domainName = Self.first(["domain_name"], of: data)
        self.route = Self.first(Self.routeNames, of: data).flatMap { RouteID($0) }
        self.caller = data.headers["Caller-Caller-ID-Number"].map { Redacted($0) }
        self.dialed = data.headers["Caller-Destination-Number"].map { Redacted($0) }
        self.hints.dialed = self.dialed?.value
        self.audio = Self.first(Self.audioNames, of: data).flatMap { CallAudio(rawValue: $0.lowercased()) }
        if let number = self.dialed?.value, let context = data.headers["Caller-Context"], !context.isEmpty {
            self.entry = DialplanTarget(extension: number, context: context)
        }
        self.failover = Self.first(["pronto_failover_ext"], of: data)
        if let text = Self.first(["pronto_fuse"], of: data) {
            self.fuse = Fuse(
                text, context: data.headers["Caller-Context"], task: data.variable("last_sched_id")?.value)
        }
    }

    /// Finds the ids that names and the row of routing stand for. What the dialplan states itself goes before them; a row
    /// of another tenant than the stated one is nobody's.
    mutating func resolve(in directory: AssistantDirectory) {
        if self.hints.tenant == nil, let name = self.domainName { self.hints.tenant = directory.tenant(named: name) }
        guard let route = self.route else { return }
        self.hints.tenant = self.hints.tenant ?? directory.routingTable.owner(of: route)
        if self.hints.channelAssistant == nil {
            self.hints.assistant = directory.assistant(by: route, of: self.hints.tenant)
        }
    }

    /// The call that this channel is, once it is known who answers.
    func identity(for chosen: CallReception.Chosen, in directory: AssistantDirectory) -> CallIdentity {
        var identity = CallIdentity(
            call: self.channel, tenant: chosen.entry.tenant.id, assistant: chosen.assistant.id,
            assistantName: chosen.assistant.name)
        identity.caller = self.caller
        identity.dialed = self.dialed
        identity.channel = self.channel
        identity.entry = self.entry
        identity.fuse = self.fuse
        identity.failover = self.failover
        identity.overrides = self.route.flatMap { directory.overrides(by: $0, of: chosen.entry.tenant.id) }
        return identity
    }

    /// Rates that FreeSWITCH's codecs have; nil for any other number.
    static func rate(_ hertz: Int) -> SampleRate? {
        [8000, 16000, 24000, 32000, 48000].contains(hertz) ? SampleRate(hertz: hertz) : nil
    }

    private static func first(_ names: [String], of data: SwitchEvent) -> String? {
        for name in names {
            if let value = data.variable(name)?.value, !value.isEmpty { return value }
        }
        return nil
    }

    /// `EXTENSION [DIALPLAN [CONTEXT]]`, as `transfer` takes it.
    static func target(_ text: String, context: String?) -> DialplanTarget? {
        let words = text.split(separator: " ").map(String.init)
        guard (1...3).contains(words.count), let context = words.count == 3 ? words[2] : context else { return nil }
        return DialplanTarget(extension: words[0], dialplan: words.count > 1 ? words[1] : "XML", context: context)
    }
}
