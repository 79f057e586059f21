import Networking
import Testing

@testable import PhoneServer

@Suite("Which addresses back ends may be at")
struct ProviderReachTests {
    @Test("A tenant's host is at a public address; the installation's own may be anywhere, on their own port")
    func reach() throws {
        let (inside, outside) = (
            try #require(SocketAddress("10.0.0.7", port: 443)), try #require(SocketAddress("1.1.1.1", port: 443))
        )
        let reach = ProviderReach.internet(and: ["https://llm.internal:8443/v1", "https://api.openai.com/v1"])
        for url in ["https://evil.example/v1", "wss://llm.internal/v1", "https://llm.internal:22", "nonsense"] {
            let accepts = try #require(reach.accepts(url), "\(url)")
            #expect(!accepts(inside) && accepts(outside), "\(url)")
        }
        for url in ["https://LLM.internal:8443/other", "wss://api.openai.com/v1/realtime?model=m"] {
            #expect(reach.accepts(url) == nil, "\(url)")
        }
        #expect(ProviderReach.everywhere.accepts("https://127.0.0.1") == nil)
    }
}
