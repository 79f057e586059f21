import Foundation
import Networking
import Testing

/// sipp (Debian's sip-tester) with a scenario of ours. The steps are XML as sipp wants it.
enum Sipp {
    /// Runs `calls` calls and returns sipp's status: 0, all calls went as written.
    static func run(
        _ steps: String, to server: SocketAddress, calls: Int = 1, rate: Int = 10, transport: String = "u1",
        more: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let folder = try Program.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let scenario = folder.appendingPathComponent("scenario.xml")
        // sipp refuses a variable that nobody reads.
        let variables = (0..<9).map { "c\($0)" }.filter { steps.contains("assign_to=\"\($0)\"") }
        let reference = variables.isEmpty ? "" : "<Reference variables=\"\(variables.joined(separator: ","))\"/>\n"
        try "<?xml version=\"1.0\"?>\n<scenario name=\"pronto\">\n\(steps)\n\(reference)</scenario>\n".write(
            to: scenario, atomically: true, encoding: .utf8)
        let program = try Program(
            "/usr/bin/sipp",
            [
                server.description, "-sf", scenario.path, "-m", "\(calls)", "-r", "\(rate)", "-l", "\(calls)", "-t",
                transport, "-i", "127.0.0.1", "-nostdin", "-timeout", "30s", "-timeout_error", "-trace_err",
                "-error_file", folder.appendingPathComponent("errors.txt").path, "-s", "2000",
            ] + more, in: folder)
        let status = try await program.finish()
        if status != 0 {
            let errors = try? String(contentsOf: folder.appendingPathComponent("errors.txt"), encoding: .utf8)
            Issue.record(
                "sipp ended with \(status): \(errors ?? "no error file")\n\(program.text.suffix(3000))",
                sourceLocation: sourceLocation)
        }
    }

    // MARK: Steps

    static func send(_ text: String, retransmits: Bool = true) -> String {
        "<send\(retransmits ? " retrans=\"500\"" : "")><![CDATA[\n\(text)\n]]></send>"
    }

    static let head = """
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From: "Ann" <sip:1000@[local_ip]:[local_port]>;tag=[pid]a[call_number]
        Call-ID: [call_id]
        Max-Forwards: 70
        Contact: <sip:1000@[local_ip]:[local_port];transport=[transport]>
        """

    static func offer(_ direction: String = "sendrecv", version: Int = 1, codecs: String = "0 8 101") -> String {
        """
        Content-Type: application/sdp
        Content-Length: [len]

        v=0
        o=- 1 \(version) IN IP4 [local_ip]
        s=-
        c=IN IP4 [local_ip]
        t=0 0
        m=audio 30000 RTP/AVP \(codecs)
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-16
        a=ptime:20
        a=\(direction)
        """
    }

    static func invite(_ headers: [String] = [], sdp: String? = nil) -> String {
        let start = [
            "INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0", self.head,
            "To: <sip:[service]@[remote_ip]:[remote_port]>", "CSeq: 1 INVITE",
        ]
        return self.send((start + headers + [sdp ?? self.offer()]).joined(separator: "\n"))
    }

    static func inside(
        _ method: String, _ sequence: Int, _ rest: String = "Content-Length: 0", retransmits: Bool = true
    )
        -> String
    {
        self.send(
            """
            \(method) [next_url] SIP/2.0
            \(self.head)
            To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
            CSeq: \(sequence) \(method)
            \(rest)
            """, retransmits: retransmits)
    }

    static func ack(_ sequence: Int = 1) -> String { self.inside("ACK", sequence, retransmits: false) }

    static func expect(_ response: Int, optional: Bool = false, checks: [String] = []) -> String {
        let attributes = "response=\"\(response)\"\(optional ? " optional=\"true\"" : "") rrs=\"true\""
        return self.receive(attributes, checks)
    }

    static func expect(request: String, checks: [String] = []) -> String {
        self.receive("request=\"\(request)\"", checks)
    }

    /// `checks`: regular expressions that the message must match.
    private static func receive(_ attributes: String, _ checks: [String]) -> String {
        guard !checks.isEmpty else { return "<recv \(attributes)/>" }
        let actions = checks.enumerated().map { index, check in
            "<ereg regexp=\"\(check)\" search_in=\"msg\" check_it=\"true\" assign_to=\"c\(index)\"/>"
        }
        return "<recv \(attributes)><action>\(actions.joined())</action></recv>"
    }

    static func reply(_ status: String, _ rest: String = "Content-Length: 0") -> String {
        self.send(
            """
            SIP/2.0 \(status)
            [last_Via:]
            [last_From:]
            [last_To:]
            [last_Call-ID:]
            [last_CSeq:]
            Contact: <sip:1000@[local_ip]:[local_port];transport=[transport]>
            \(rest)
            """, retransmits: false)
    }

    static func pause(_ milliseconds: Int) -> String { "<pause milliseconds=\"\(milliseconds)\"/>" }

    static let answered = [invite(), expect(100, optional: true), expect(180, optional: true), expect(200), ack()]
        .joined(separator: "\n")
    static let bye = [inside("BYE", 9), expect(200)].joined(separator: "\n")
}
