import Testing

@testable import Networking

@Suite("Addresses of the internet, and everybody's own")
struct PublicHostTests {
    @Test(
        "Own networks, in every notation that the resolver takes",
        arguments: [
            "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.255",
            "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.168.0.1", "198.18.0.1", "224.0.0.1",
            "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd12::1", "::ffff:10.0.0.1", "ff02::1",
            "64:ff9b::a00:1", "2002:a00:1::", "2001:db8::1", "2001::1",
        ])
    func own(text: String) throws {
        #expect(try !#require(SocketAddress(text, port: 0)).isPublic)
    }

    @Test(
        "The internet's",
        arguments: [
            "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1",
            "2606:4700::1111", "64:ff9b::101:101", "2001:4860:4860::8888", "::ffff:1.1.1.1",
        ])
    func outside(text: String) throws {
        #expect(try #require(SocketAddress(text, port: 0)).isPublic)
    }

    @Test("Host and port of an URL")
    func authorities() {
        for (url, authority) in [
            ("https://API.example/v1", "api.example:443"), ("wss://a.example:8443/x?y", "a.example:8443"),
            ("http://[::1]:80/", "::1:80"), ("ws://h", "h:80"), ("https://user@b.example", "b.example:443"),
        ] { #expect(PublicHost.authority(inURL: url) == authority) }
        #expect(PublicHost.authority(inURL: "nowhere") == nil && PublicHost.authority(inURL: "https:///x") == nil)
        #expect(PublicHost.isPrivate(inURL: "https://localhost.") && PublicHost.isPrivate(inURL: "https://x.localhost"))
        #expect(!PublicHost.isPrivate(inURL: "https://api.openai.com/v1"))
    }

    @Test("Who connects looks at the address that a name has, and goes to none that it may not")
    func connecting() async throws {
        let loop = EventLoop(name: "test")
        loop.start()
        defer { loop.stop() }
        let server = try HTTPServer(on: [loop], address: try #require(SocketAddress("127.0.0.1", port: 0))) { _ in
            { _, responder in responder.respond(HTTPResponse(status: 204)) }
        }
        defer { server.close() }
        func fetch(_ accepts: (@Sendable (SocketAddress) -> Bool)?) async -> Result<Int, HTTPClientError> {
            await withCheckedContinuation { continuation in
                loop.execute {
                    var request = HTTPClientRequest(url: "http://localhost:\(server.address.port)/")
                    request.accepts = accepts
                    let client = HTTPClient(on: loop)
                    client.fetch(request) { result in
                        // Kept until it has answered.
                        withExtendedLifetime(client) { continuation.resume(returning: result.map(\.status)) }
                    }
                }
            }
        }
        #expect(await fetch { $0.isPublic } == .failure(.forbidden))
        #expect(await fetch { $0.isLoopback } == .success(204))
        #expect(await fetch(nil) == .success(204))
        let socket: WebSocketConnectError? = await withCheckedContinuation { continuation in
            loop.execute {
                WebSocketClient.connect(
                    url: "ws://localhost:\(server.address.port)/", accepts: { $0.isPublic }, on: loop
                ) { result in
                    if case .failure(let error) = result {
                        continuation.resume(returning: error)
                    } else {
                        continuation.resume(returning: nil)
                    }
                }
            }
        }
        #expect(socket == .forbidden)
    }
}
