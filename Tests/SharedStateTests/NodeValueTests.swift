import Records
import SharedState
import Telephony
import Testing

@Suite("What a node holds and says")
struct NodeValueTests {
    private let tenant = TenantID("00000000-0000-4000-8000-00000000000a")!
    private let one = CallID("call-1")!
    private let two = CallID("call-2")!

    @Test("Claims that are answered count; a count of Redis' that differs is noticed")
    func register() {
        var register = NodeRegister()
        let ticket = register.claimSent(self.one, of: self.tenant)
        #expect(register.expectation == nil, "a claim is on its way: nobody knows what Redis counts")
        register.claimAnswered(self.one, ticket, .taken)
        #expect(register.count == 1 && register.expectation == 1)
        #expect(!register.disagrees(1, 1) && register.disagrees(0, 1) && register.disagrees(2, 1))
        #expect(!register.disagrees(9, nil))
        let first = register.release(self.one)
        let second = register.release(self.one)
        #expect(first && !second)
    }

    @Test("A claim whose answer is unknown holds, and has everything stated anew")
    func unknown() {
        var register = NodeRegister()
        let ticket = register.claimSent(self.one, of: self.tenant)
        register.claimAnswered(self.one, ticket, .unknown)
        #expect(register.count == 1 && register.disagrees(1, 1))
        let statement = register.statement()
        #expect(statement == [self.one: self.tenant])
        #expect(!register.disagrees(1, 1), "stated")
    }

    @Test("A call that ends while its claim is on its way is not held afterwards")
    func releasedEarly() {
        var register = NodeRegister()
        let ticket = register.claimSent(self.one, of: self.tenant)
        let isTold = register.release(self.one)
        #expect(isTold, "Redis has to be told: it may have the claim")
        register.claimAnswered(self.one, ticket, .taken)
        #expect(register.count == 0)
    }

    @Test("A statement has the claims on their way as well, and a refused call never")
    func statement() {
        var register = NodeRegister()
        register.hold(self.one, of: self.tenant)
        let ticket = register.claimSent(self.two, of: self.tenant)
        let before = register.statement()
        register.claimAnswered(self.two, ticket, .full(calls: 3))
        let after = register.statement()
        #expect(before.count == 2 && after == [self.one: self.tenant])
    }

    @Test("News are understood as they were said")
    func news() throws {
        let circuit = CircuitName(provider: "openai", tenant: self.tenant)
        for news: NodeNews in [
            .circuit(.opened(circuit, pause: .milliseconds(1500))), .circuit(.closed(circuit)), .configurationChanged,
        ] {
            let heard = try #require(NodeNews.parse(news.text(from: "me")))
            #expect(heard.news == news && heard.from == "me")
        }
    }

    @Test(
        "What has another shape is not believed",
        arguments: [
            "", " ", "configuration", "configuration a b", "open", "open openai x 5 me",
            "open openai 00000000-0000-4000-8000-00000000000a -1 me",
            "open openai 00000000-0000-4000-8000-00000000000a 99999999999999999999 me",
            "open  00000000-0000-4000-8000-00000000000a 5 me", "closed openai me", "shutdown me",
            String(repeating: "configuration ", count: 30),
        ])
    func hostile(text: String) { #expect(NodeNews.parse(text) == nil) }

    @Test("Holds are bounded, and those that end first make room")
    func holds() {
        var holds = AllowanceHolds(capacity: 10)
        for number in 0..<50 { holds.hold("client \(number)", until: .seconds(number + 1)) }
        #expect(holds.count <= 10)
        let last = holds.wait(for: "client 49", at: .zero)
        let first = holds.wait(for: "client 0", at: .zero)
        #expect(last == .seconds(50) && first == nil)
        let over = holds.wait(for: "client 49", at: .seconds(50))
        #expect(over == nil)
    }
}
