import MediaDialects
import Telephony
import Testing

private let tenant = "11111111-2222-3333-4444-555555555555"
private let call = "a4e5cb5c-b075-4f7a-b14e-f65719f9fdcb"

@Suite struct StreamRequestTests {
    @Test("The path of requirements 5, with and without a caller")
    func stream() throws {
        var request = try StreamRequest(target: "/stream/\(tenant)/\(call)")
        #expect(request.route == .stream(first: tenant))
        #expect(request.metadata.call == CallID(call))
        #expect(request.metadata.caller == nil)
        request = try StreamRequest(target: "/stream/\(tenant.uppercased())/\(call)/%2B39000000001?a=b")
        #expect(request.route == .stream(first: tenant))
        #expect(request.metadata.caller == Redacted("+39000000001"))
        #expect(try StreamRequest(target: "/stream/\(tenant)/\(call)/").metadata.caller == nil)
    }

    @Test("Document 1's address, with its empty storeId and a number that begins with +")
    func gateway() throws {
        let request = try StreamRequest(
            target: "/api/voip/ai-gateway/route?callId=\(call)&tenantId=\(tenant)&storeId=&did=+39000000002"
                + "&caller=390000000003&aiAgentRef=customer-care-voice")
        #expect(request.route == .gateway)
        #expect(request.metadata.call == CallID(call))
        #expect(request.metadata.tenant == TenantID(tenant))
        #expect(request.metadata.assistantName == "customer-care-voice")
        #expect(request.metadata.dialed == Redacted("+39000000002"))
        #expect(request.metadata.caller == Redacted("390000000003"))
        #expect(request.store == nil)
    }

    @Test("Document 2's address names the tenant, or has its id")
    func realtime() throws {
        var request = try StreamRequest(target: "/rt/tenantA")
        #expect(request.route == .realtime(tenant: "tenantA"))
        #expect(request.metadata.tenant == nil)
        request = try StreamRequest(target: "/rt/\(tenant)?callId=\(call)")
        #expect(request.metadata.tenant == TenantID(tenant))
        #expect(request.metadata.call == CallID(call))
    }

    @Test("The format, the dialect and the token are stated by keys")
    func stated() throws {
        let request = try StreamRequest(
            target: "/stream/\(tenant)/\(call)?rate=16k&encoding=L16&channels=stereo&dialect=community&token=a.b-c_d")
        #expect(request.rate == .wideband)
        #expect(request.encoding == .l16)
        #expect(request.channels == 2)
        #expect(request.dialect == .modAudioStream)
        #expect(request.metadata.token == Redacted("a.b-c_d"))
        #expect("\(request)".contains("a.b-c_d") == false)
    }

    @Test(
        "What is wrong is said by its name",
        arguments: [
            ("", .malformed(.path)), ("stream", .malformed(.path)), ("/", .unknownPath), ("/health/x", .unknownPath),
            ("/stream", .missing("domain_uuid or secretary_uuid")), ("/stream/\(tenant)", .missing("call_uuid")),
            ("/stream/x/\(call)", .invalid("domain_uuid or secretary_uuid")),
            ("/stream/\(tenant)/a%20b", .invalid("call_uuid")), ("/stream/\(tenant)//", .invalid("call_uuid")),
            ("/stream/\(tenant)/\(call)/1/2", .unknownPath), ("/STREAM/\(tenant)/\(call)", .unknownPath),
            ("/stream/\(tenant)/\(call)%", .malformed(.path)), ("/stream/\(tenant)/\(call)%g0", .malformed(.path)),
            ("/stream/\(tenant)/\(call)/%00", .malformed(.path)),
            ("/stream/\(tenant)/\(call)/%C3%28", .malformed(.path)),
            ("/stream/\(tenant)/%2E%2E/x", .malformed(.path)), ("/stream/\(tenant)/a%2Fb", .malformed(.path)),
            ("/stream/\(tenant)/\(call)#x", .malformed(.path)), ("/stream/\(tenant)/\(call) x", .malformed(.path)),
            ("/stream/\(tenant)/\(call)é", .malformed(.path)),
            ("/stream/\(tenant)/\(call)?rate=44100", .invalid("rate")),
            ("/stream/\(tenant)/\(call)?rate=-8k", .invalid("rate")),
            ("/stream/\(tenant)/\(call)?rate=99999999999999999999", .invalid("rate")),
            ("/stream/\(tenant)/\(call)?encoding=opus", .invalid("encoding")),
            ("/stream/\(tenant)/\(call)?channels=3", .invalid("channels")),
            ("/stream/\(tenant)/\(call)?dialect=twilio", .invalid("dialect")),
            ("/stream/\(tenant)/\(call)?rate=8k&rate=16k", .duplicateKey),
            ("/stream/\(tenant)/\(call)?x=1&%78=2", .duplicateKey),
            ("/stream/\(tenant)/\(call)?x=%zz", .malformed(.query)),
            ("/stream/\(tenant)/\(call)?x=%0A", .malformed(.query)),
            ("/stream/\(tenant)/\(call)?callId=other", .contradiction("callId")),
            ("/stream/\(tenant)/\(call)/1?caller=2", .contradiction("caller")),
            ("/rt/\(tenant)?tenantId=\(call)", .contradiction("tenantId")), ("/rt", .missing("tenant")),
            ("/rt/a%20b", .invalid("tenant")), ("/api/voip/ai-gateway/route", .missing("callId")),
            ("/api/voip/ai-gateway/route?callId=\(call)", .missing("tenantId")),
            ("/api/voip/ai-gateway/route?callId=\(call)&tenantId=42", .invalid("tenantId")),
            ("/api/voip/ai-gateway", .unknownPath),
            ("/stream/\(tenant)/\(call)?" + (0..<33).map { "k\($0)=1" }.joined(separator: "&"), .tooManyKeys),
            ("/stream/\(tenant)/\(call)?x=" + String(repeating: "a", count: 300), .tooLong),
            ("/" + String(repeating: "a", count: 4096), .tooLong),
            ("/stream/\(tenant)/\(call)/" + String(repeating: "1", count: 65), .invalid("caller")),
        ] as [(String, StreamRequestError)])
    func refused(target: String, error: StreamRequestError) {
        #expect(throws: error) { try StreamRequest(target: target) }
        #expect(!error.sentence.isEmpty && (400..<500).contains(error.status))
    }

    @Test("10 000 mutations of addresses are read or refused")
    func mutations() {
        let targets: [[UInt8]] = [
            "/stream/\(tenant)/\(call)/1001?rate=16k&encoding=l16&token=abc%20d",
            "/api/voip/ai-gateway/route?callId=\(call)&tenantId=\(tenant)&did=+39000000002&aiAgentRef=x",
            "/rt/tenantA?dialect=fork",
        ].map { Array($0.utf8) }
        var random = SeededGenerator(seed: 9)
        for round in 0..<10_000 {
            var bytes: [UInt8] = targets[round % targets.count]
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Int.random(in: 0..<3, using: &random) == 0 {
                bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random))
            }
            _ = try? StreamRequest(target: String(decoding: bytes, as: UTF8.self))
        }
    }
}

@Suite struct DialectSelectionTests {
    private func choose(
        _ subprotocols: [String], _ query: String, _ defaults: DialectSelection.Defaults = .init()
    ) throws -> DialectSelection.Choice {
        let request = try StreamRequest(target: "/stream/\(tenant)/\(call)?\(query)")
        return try DialectSelection(defaults: defaults).choose(subprotocols: subprotocols, request: request)
    }

    @Test(
        "The address, then the subprotocol, then the configuration decide",
        arguments: [
            ([], "dialect=fork", nil, .modAudioStreamFork, nil), ([], "", .binaryDown, .binaryDown, nil),
            ([], "dialect=community", .binaryDown, .modAudioStream, nil),
            (["audio.drachtio.org"], "", .binaryDown, .drachtioFork, "audio.drachtio.org"),
            (["audio.jambonz.org"], "", nil, .jambonzFork, "audio.jambonz.org"),
            // jambonz's module names drachtio's subprotocol unless it is told otherwise.
            (["audio.drachtio.org"], "dialect=jambonz", nil, .jambonzFork, "audio.drachtio.org"),
            (["x", "audio.jambonz.org"], "", nil, .jambonzFork, "audio.jambonz.org"),
            (["x"], "dialect=binary", nil, .binaryDown, nil),
        ] as [([String], String, DialectName?, DialectName, String?)])
    func decided(
        subprotocols: [String], query: String, fallback: DialectName?, name: DialectName, subprotocol: String?
    ) throws {
        let choice = try self.choose(subprotocols, query, .init(dialect: fallback))
        #expect(choice.name == name)
        #expect(choice.subprotocol == subprotocol)
        if name != .jambonzFork { #expect(choice.dialect.name == name.rawValue) }
    }

    @Test(
        "What cannot be is refused with a sentence",
        arguments: [
            ([], "", .notStated), (["chat"], "", .unknownSubprotocol),
            (["Audio.drachtio.org"], "", .unknownSubprotocol),
            (
                ["audio.jambonz.org"], "dialect=fork",
                .contradicted(stated: .modAudioStreamFork, subprotocol: .jambonzFork)
            ),
            ([], "dialect=community&encoding=pcmu", .formatUnsupported(.modAudioStream, .pcmu)),
            (
                [], "dialect=fork&encoding=pcmu&rate=16k",
                .formatUnsupported(.modAudioStreamFork, AudioFormat(.pcmu, .wideband))
            ),
        ] as [([String], String, DialectError)])
    func refused(subprotocols: [String], query: String, error: DialectError) {
        #expect(throws: error) { try self.choose(subprotocols, query) }
        #expect(!error.sentence.isEmpty)
    }

    @Test("The format is the address's, each missing part the configuration's")
    func formats() throws {
        var defaults = DialectSelection.Defaults(dialect: .modAudioStreamFork, format: .l16(.wideband))
        defaults.warmUp = .milliseconds(100)
        #expect(try self.choose([], "", defaults).dialect.uplink == .l16(.wideband))
        #expect(try self.choose([], "rate=24k", defaults).dialect.uplink == .l16(.realtime))
        #expect(try self.choose([], "encoding=pcmu", defaults).dialect.uplink == .pcmu)
        #expect(try self.choose([], "encoding=pcma", defaults).dialect.traits.warmUp == .milliseconds(100))
        #expect(try self.choose([], "dialect=community&channels=2", defaults).dialect.uplink == .l16(.wideband))
        defaults.downlinkRate = .narrowband
        defaults.flushText = "x"
        let binary = try self.choose([], "dialect=binary", defaults).dialect
        #expect(binary.downlink == .l16(.narrowband))
        #expect(binary.traits.canFlush)
    }
}
