import PhoneServer
import Telephony
import Testing

@Suite struct ProviderBreakerTests {
    private let configuration = ProviderBreaker.Configuration(failures: 3, pause: .seconds(30))
    private let key = ProviderBreaker.Key(
        provider: "openai", tenant: TenantID("11111111-2222-3333-4444-555555555555")!)
    private let other = ProviderBreaker.Key(
        provider: "openai", tenant: TenantID("99999999-2222-3333-4444-555555555555")!)

    private func opened() -> ProviderBreaker {
        var breaker = ProviderBreaker(self.configuration)
        for _ in 0..<3 { breaker.failed(self.key, at: .seconds(100)) }
        return breaker
    }

    @Test("So many failures in a row open the circuit, for that tenant only")
    func opens() {
        var breaker = ProviderBreaker(self.configuration)
        breaker.failed(self.key, at: .zero)
        breaker.failed(self.key, at: .zero)
        let may1 = breaker.permits(self.key, at: .zero)
        #expect(may1)
        breaker.succeeded(self.key)
        breaker.failed(self.key, at: .zero)
        breaker.failed(self.key, at: .zero)
        let may2 = breaker.permits(self.key, at: .zero)
        #expect(may2)
        breaker.failed(self.key, at: .zero)
        let may3 = breaker.permits(self.key, at: .seconds(29))
        #expect(!may3)
        let may4 = breaker.permits(self.other, at: .seconds(29))
        #expect(may4)
        #expect(breaker.openCount(of: "openai") == 1)
        #expect(breaker.openCount(of: "gemini") == 0)
    }

    @Test("After the pause one call probes; its audio closes the circuit")
    func probe() {
        var breaker = self.opened()
        let may5 = breaker.permits(self.key, at: .seconds(130))
        #expect(may5)
        let may6 = breaker.permits(self.key, at: .seconds(131))
        #expect(!may6)
        breaker.succeeded(self.key)
        let may7 = breaker.permits(self.key, at: .seconds(131))
        #expect(may7)
        #expect(breaker.openCount(of: "openai") == 0)
    }

    @Test("A probe that fails opens it for twice as long, up to the longest pause")
    func doubling() {
        var breaker = self.opened()
        var now: Duration = .seconds(100)
        for pause in [30, 60, 120, 240, 300, 300] {
            let may8 = breaker.permits(self.key, at: now + .seconds(pause) - .milliseconds(1))
            #expect(!may8)
            now += .seconds(pause)
            let may9 = breaker.permits(self.key, at: now)
            #expect(may9)
            breaker.failed(self.key, at: now)
        }
    }

    @Test("A probe that never tells does not keep the circuit open for ever")
    func lostProbe() {
        var breaker = self.opened()
        let may10 = breaker.permits(self.key, at: .seconds(130))
        #expect(may10)
        let may11 = breaker.permits(self.key, at: .seconds(149))
        #expect(!may11)
        let may12 = breaker.permits(self.key, at: .seconds(150))
        #expect(may12)
    }
}
