import Foundation
import FoundationXML

/// A dialplan as FreeSWITCH serves it, read leniently: whoever wrote it, `pronto doctor` looks for what costs calls.
struct ServedExtension: Sendable, Equatable {
    var name = ""
    var continues = false
    var expressions: [String] = []
    var actions: [DialplanAction] = []

    /// Reads every `<extension>` of a text that holds any; nil when it is no XML.
    static func all(in text: String) -> [ServedExtension]? {
        // Rows of FusionPBX are elements side by side, files have an <include>, xml_locate gives a <context>.
        let body = text.replacing(/<\?xml[^>]*\?>/, with: "")
        let parser = XMLParser(data: Data("<pronto>\(body)</pronto>".utf8))
        let reader = Reader()
        parser.delegate = reader
        return parser.parse() && !reader.isBroken ? reader.extensions : nil
    }

    private final class Reader: NSObject, XMLParserDelegate {
        var extensions: [ServedExtension] = []
        /// Some errors are told here only: `parse` then still answers true on Linux (seen).
        var isBroken = false

        func parser(_ parser: XMLParser, parseErrorOccurred error: any Error) { self.isBroken = true }

        func parser(
            _ parser: XMLParser, didStartElement element: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) {
            switch element {
            case "extension":
                self.extensions.append(
                    ServedExtension(name: attributes["name"] ?? "", continues: attributes["continue"] == "true"))
            case "condition" where !self.extensions.isEmpty:
                self.extensions[self.extensions.count - 1].expressions.append(attributes["expression"] ?? "")
            case "action" where !self.extensions.isEmpty, "anti-action" where !self.extensions.isEmpty:
                self.extensions[self.extensions.count - 1].actions.append(
                    DialplanAction(
                        attributes["application"] ?? "", attributes["data"] ?? "",
                        inline: attributes["inline"] == "true", anti: element == "anti-action"))
            default: break
            }
        }
    }

    /// Whether it has to do with a voice gateway at all: others are nobody's business here.
    func concerns(_ ports: DoctorPorts) -> Bool {
        self.actions.contains { action in
            switch action.application {
            case "socket": true
            case "lua":
                ["voice_secretary.lua", "ai_websocket_bridge.lua"].contains { action.data.hasPrefix($0) }
            case "audio_stream": true
            case "bridge": action.data.contains(":\(ports.sip)")
            default: action.data.contains("uuid_audio_stream")
            }
        }
    }
}

/// Where Pronto listens, as the dialplan has to name it.
struct DoctorPorts: Sendable, Equatable {
    var media = 8085
    var socket = 8022
    var sip = 5090
    var admin = 8100
}

/// What is wrong with an extension: a slug, what was found, and the repair.
struct DialplanFault: Sendable, Equatable {
    var slug: String
    var isFatal: Bool
    var found: String
    var repair: String
}

enum DialplanFaults {
    /// The mistakes of documents 1, 3 and 4, and those that were measured to leave callers in silence.
    static func faults(of item: ServedExtension, _ ports: DoctorPorts) -> [DialplanFault] {
        var faults: [DialplanFault] = []
        func report(_ slug: String, fatal: Bool = true, _ found: String, _ repair: String) {
            faults.append(DialplanFault(slug: slug, isFatal: fatal, found: found, repair: repair))
        }
        let plan = item.actions.filter { !$0.isAnti }
        if plan.contains(where: { $0.application == "audio_stream" }) {
            report(
                "audio-stream-application", "application audio_stream: it is an API, no application",
                "<action application=\"lua\" data=\"voice_secretary.lua\"/>; pronto dialplan install realtime")
        }
        for action in plan where action.data.contains("uuid_audio_stream") || action.data.hasPrefix("pronto_ws_mix=") {
            let words = Set(action.data.split(whereSeparator: { $0 == " " || $0 == "=" }).map(String.init))
            for mix in ["both", "mixed", "stereo"] where words.contains(mix) {
                report(
                    "mix-\(mix)",
                    mix == "both"
                        ? "mix type both does not exist" : "mix type \(mix) sends nothing on a silent channel",
                    "use mono")
            }
        }
        if plan.contains(where: { $0.data.hasPrefix("api_on_answer=uuid_audio_stream") }) {
            report(
                "stream-without-script",
                "api_on_answer starts the stream, and nobody looks whether it connects: the caller hears silence when not",
                "voice_secretary.lua; pronto dialplan install realtime")
        }
        if plan.contains(where: { $0.data.contains("/ws/") && $0.data.contains("ws://") }) {
            report("path-ws", "a stream address with /ws/", "the path is /stream/{domain_uuid}/{call_uuid}")
        }
        let listed = { (slug: String, fatal: Bool, found: String, repair: String) in
            report(slug, fatal: fatal, found, repair)
        }
        Self.socket(plan, listed)
        Self.lua(plan, listed)
        Self.bridge(plan, ports, listed)
        if item.continues,
            plan.contains(where: { $0.application == "socket" || $0.application == "lua" && !$0.isInline })
        {
            report(
                "continue", "continue=\"true\": the call falls into what comes next, such as not-found",
                "continue=\"false\"")
        }
        if plan.contains(where: {
            $0.application == "socket" || $0.application == "bridge" && $0.data.contains(":\(ports.sip)")
        }),
            !plan.contains(where: { $0.data == "sip_copy_custom_headers=false" })
        {
            report(
                "custom-headers", fatal: false, "a caller's own X- headers are copied to our leg",
                "set sip_copy_custom_headers=false before it")
        }
        return faults
    }

    private static func socket(
        _ plan: [DialplanAction], _ report: (String, Bool, String, String) -> Void
    ) {
        guard let index = plan.firstIndex(where: { $0.application == "socket" }) else { return }
        let words = plan[index].data.split(separator: " ")
        if !words.contains("async") || !words.contains("full") {
            report("socket-options", true, "socket without async full", "\(words.first ?? "127.0.0.1:8022") async full")
        }
        if index == plan.count - 1 {
            report(
                "nothing-after-socket", true, "nothing follows socket: the caller is hung up when Pronto is down",
                "<action application=\"transfer\" data=\"pronto_after XML …\"/>; pronto dialplan install esl")
        }
        if !plan[..<index].contains(where: { $0.application == "sched_transfer" }) {
            report(
                "no-dead-mans-switch", false,
                "no sched_transfer before socket: a silent Pronto holds the caller for ever",
                "<action application=\"sched_transfer\" data=\"+3 pronto_failover XML …\"/>")
        }
    }

    private static func lua(_ plan: [DialplanAction], _ report: (String, Bool, String, String) -> Void) {
        guard
            let index = plan.firstIndex(where: {
                $0.data.hasPrefix("voice_secretary.lua") || $0.data.hasPrefix("ai_websocket_bridge.lua")
            })
        else { return }
        if index == plan.count - 1 {
            report(
                "nothing-after-lua", false, "nothing follows the script: without it the caller is hung up",
                "<action application=\"transfer\" data=\"pronto_failover XML …\"/> behind it")
        }
        if plan.contains(where: {
            $0.data == "pronto_ws_dialect=mod-audio-stream-fork" || $0.data == "STREAM_PLAYBACK=true"
        }),
            !plan.contains(where: { $0.data.hasPrefix("absolute_codec_string=PCMU") })
        {
            report(
                "codec", true, "the fork writes µ-law whatever the channel's codec: others hear noise",
                "set absolute_codec_string=PCMU before it")
        }
    }

    private static func bridge(
        _ plan: [DialplanAction], _ ports: DoctorPorts, _ report: (String, Bool, String, String) -> Void
    ) {
        guard let index = plan.firstIndex(where: { $0.application == "bridge" && $0.data.contains(":\(ports.sip)") })
        else { return }
        for name in ["originate_timeout", "media_timeout"] where !plan[index].data.contains("\(name)=") {
            report(
                "no-\(name)", true, "bridge without \(name): a dead Pronto holds the caller",
                "{originate_timeout=2,media_timeout=1500} before the address")
        }
        if plan[..<index].contains(where: { $0.data == "hangup_after_bridge=true" }) {
            report(
                "hangup-after-bridge", true, "hangup_after_bridge=true hangs the caller up when Pronto dies",
                "set it to false, and look at last_bridge_hangup_cause behind the bridge")
        }
        if !plan[..<index].contains(where: { $0.data == "continue_on_fail=true" }) {
            report(
                "continue-on-fail", true, "without continue_on_fail a refusal ends the call",
                "set continue_on_fail=true before it")
        }
        if index == plan.count - 1 {
            report("nothing-after-bridge", true, "nothing follows the bridge", "pronto dialplan install rtp")
        }
    }
}

/// The mistakes of document 3 in Lua scripts that are not ours: what starts a stream is put together there.
enum ScriptFaults {
    static func faults(in text: String) -> [DialplanFault] {
        // A comment may say what not to do.
        let code = text.split(whereSeparator: \.isNewline).map { line in
            line.range(of: "--").map { line[..<$0.lowerBound] } ?? line
        }.joined(separator: "\n")
        guard code.contains("audio_stream") || code.contains("ws://") || code.contains("wss://") else { return [] }
        var faults: [DialplanFault] = []
        // As words of an API line, or alone in quotes where the line is put together of them.
        for mix in ["both", "mixed", "stereo"]
        where [" \(mix) ", "\"\(mix)\"", "'\(mix)'", " \(mix)\"", "\"\(mix) "].contains(where: { code.contains($0) }) {
            faults.append(
                DialplanFault(
                    slug: "mix-\(mix)", isFatal: true,
                    found: mix == "both"
                        ? "mix type both does not exist: the stream never starts"
                        : "mix type \(mix) sends nothing on a silent channel",
                    repair: "use mono"))
        }
        if code.contains("/ws/") {
            faults.append(
                DialplanFault(
                    slug: "path-ws", isFatal: true, found: "a stream address with /ws/",
                    repair: "the path is /stream/{domain_uuid}/{call_uuid}"))
        }
        return faults
    }
}
