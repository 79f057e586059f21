import Networking
import SIPSignalling
import Telephony
import Testing

@Suite struct MessageTests {
    @Test(
        "Reason headers become causes",
        arguments: [
            (["Q.850;cause=16;text=\"NORMAL_CLEARING\""], HangupCause.normalClearing as HangupCause?),
            (["q.850 ; cause=17"], .userBusy), (["SIP;cause=200;text=\"Call completed elsewhere\""], .loseRace),
            (["SIP;cause=486", "Q.850;cause=19"], .noAnswer), (["FreeSWITCH;cause=604"], .mediaTimeout),
            (["SIP;cause=600;text=\"Busy\""], nil), (["Q.850"], nil), (["Q.850;cause=0"], nil),
            (["Q.850;cause=999"], nil),
            (["Q.850;cause=99999999999999999999"], nil), ([""], nil), ([], nil), (["Q.850;cause=-16"], nil),
            (["Q.850;cause=55"], HangupCause(q850: 55, name: "CAUSE_55")),
        ])
    func reasons(values: [String], expected: HangupCause?) { #expect(ReasonHeader.cause(in: values) == expected) }

    @Test("Our own Reason is read as what it was")
    func reasonLine() {
        for cause in [HangupCause.normalClearing, .mediaTimeout, .originatorCancel, .congestion] {
            let line = ReasonHeader.line(cause)
            #expect(line.hasSuffix("\r\n") && line.hasPrefix("Reason: "))
            #expect(ReasonHeader.cause(in: [String(line.dropFirst(8).dropLast(1))]) == cause)
        }
        // A name that is no token of ours does not become part of a line.
        #expect(ReasonHeader.line(HangupCause(q850: 16, name: "X\"\r\nEvil: y")) == "Reason: Q.850;cause=16\r\n")
    }

    @Test(
        "INFO digits",
        arguments: [
            (
                "dtmf-relay", "Signal=1\r\nDuration=160\r\n",
                InfoDigit(digit: "1", duration: .milliseconds(160)) as InfoDigit?
            ),
            ("dtmf-relay", "Signal= *\r\nDuration= 100", InfoDigit(digit: "*", duration: .milliseconds(100))),
            ("dtmf-relay", "signal=d", InfoDigit(digit: "D")), ("DTMF", "#\r\n", InfoDigit(digit: "#")),
            ("dtmf", "11", InfoDigit(digit: "#")), ("dtmf", "", nil), ("dtmf", "5\r\n6", nil), ("dtmf", "16", nil),
            ("dtmf-relay", "Duration=160", nil), ("dtmf-relay", "Signal=1\r\nDuration=-1", nil),
            ("dtmf-relay", "Signal=1\r\nDuration=99999999999999999999", nil), ("dtmf-relay", "Signal=E", nil),
            ("media_control+xml", "<x/>", nil),
        ])
    func info(subtype: String, body: String, expected: InfoDigit?) {
        #expect((try? InfoDigit(subtype: subtype, body: body)) == expected)
    }

    @Test("A header that stands twice is nobody's; control characters and long values are left out")
    func headers() {
        let headers = SIPHeaders([
            ("X-Pronto-Call", "one"), ("x-pronto-call", "two"), ("X-Pronto-Tenant", "t"), ("X-Bad", "a\r\nb"),
            ("X-Long", String(repeating: "a", count: 2000)),
        ])
        #expect(headers.value("X-Pronto-Call") == .ambiguous)
        #expect(headers.value("X-PRONTO-TENANT") == .one(Redacted("t")))
        for name in ["X-Bad", "X-Long", "X-None"] { #expect(headers.value(name) == .absent) }
        #expect(SIPHeaders((0..<500).map { ("X-\($0)", "v") }).names.count == SIPHeaders.most)
        #expect(!"\(headers)".contains("two"))
    }

    @Test(
        "A transfer target is made of what may stand in a header",
        arguments: [
            ("2000", "127.0.0.1", true), ("+390612345678", "pbx.example.net", true), ("*98", "[::1]", true),
            ("20 00", "127.0.0.1", false), ("2000>\r\nX: y", "127.0.0.1", false), ("2000", "a b", false),
            ("", "127.0.0.1", false), ("2000", "", false), (String(repeating: "1", count: 200), "h", false),
            ("2000@evil", "h", false), ("2000", "h>;x", false), ("é", "h", false), ("%0d", "h", false),
        ])
    func targets(number: String, host: String, isGood: Bool) {
        #expect((SIPTransferTarget(number: number, host: host) != nil) == isGood)
    }

    @Test(
        "Networks",
        arguments: [
            ("10.1.0.0/16", "10.1.255.3", true), ("10.1.0.0/16", "10.2.0.1", false), ("192.0.2.1", "192.0.2.1", true),
            ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false), ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false), ("10.1.0.0/16", "::ffff:10.1.0.9", true),
        ])
    func networks(network: String, address: String, isInside: Bool) throws {
        let network = try #require(PeerNetwork(network))
        let address = try #require(SocketAddress(address, port: 1))
        #expect(network.contains(address) == isInside)
        // The kernel's program says the same.
        #expect(FilterMachine.accepts(PeerFilter(allowing: [network]), from: address) == isInside)
        let others = ["198.51.100.0/24", "2001:db8:ffff::/48"].compactMap { PeerNetwork($0) }
        let list = PeerFilter(allowing: others + [network] + others)
        #expect(FilterMachine.accepts(list, from: address) == isInside)
        #expect(!FilterMachine.accepts(PeerFilter(allowing: []), from: address))
    }

    @Test(
        "What is no network",
        arguments: ["", "10.1.0.1/16", "10.1.0.0/33", "host", "10.1.0.0/", "10.1.0.0/+8", "::/129"])
    func noNetworks(text: String) { #expect(PeerNetwork(text) == nil) }

    @Test("The rate limit gives its burst, then its rate")
    func rate() {
        var limit = RateLimit(perSecond: 10, burst: 3)
        #expect((0..<5).map { _ in limit.take(at: .seconds(1)) } == [true, true, true, false, false])
        #expect(limit.take(at: .milliseconds(1100)) == true)
        #expect(limit.take(at: .milliseconds(1150)) == false)
        // A clock that stands still or goes back gives nothing.
        #expect(limit.take(at: .milliseconds(500)) == false)
        #expect((0..<4).map { _ in limit.take(at: .seconds(100)) } == [true, true, true, false])
    }
}

/// Enough of the kernel's machine to run the filter in a test (linux/filter.h): what is not in it traps.
enum FilterMachine {
    static func accepts(_ filter: PeerFilter, from address: SocketAddress) -> Bool {
        let bytes = address.bytes
        let isIPv6 = address.isIPv6
        var accumulator: UInt32 = 0
        var index = 0
        let program = filter.instructions.map { $0.fields }
        for _ in 0..<10_000 {
            let (code, whenTrue, whenFalse, value) = program[index]
            index += 1
            switch code {
            case 0x28: accumulator = isIPv6 ? 0x86DD : 0x0800
            case 0x20:
                let offset = Int(Int32(bitPattern: value)) + 0x100000 - (isIPv6 ? 8 : 12)
                accumulator = bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
            case 0x54: accumulator &= value
            case 0x15: index += Int(accumulator == value ? whenTrue : whenFalse)
            case 0x05: index += Int(value)
            case 0x06: return value != 0
            default: preconditionFailure("no such instruction: \(code)")
            }
        }
        preconditionFailure("The filter has no end")
    }
}
