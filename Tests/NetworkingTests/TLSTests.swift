import Foundation
import Networking
import Synchronization
import Telephony
import Testing

/// Certificates made once a run by the openssl program: an authority, a server of `localhost` and 127.0.0.1, one of
/// another name, and one of an authority that nobody trusts.
struct Certificates {
    let folder: URL

    static let made: Result<Certificates, any Error> = Result { try Certificates() }

    private init() throws {
        self.folder = FileManager.default.temporaryDirectory.appending(path: "pronto-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: self.folder, withIntermediateDirectories: true)
        try self.authority("ca")
        try self.authority("stranger")
        try self.leaf("server", by: "ca", names: "DNS:localhost,IP:127.0.0.1")
        try self.leaf("renewed", by: "ca", names: "DNS:localhost,IP:127.0.0.1")
        try self.leaf("other", by: "ca", names: "DNS:example.org")
        try self.leaf("rogue", by: "stranger", names: "DNS:localhost,IP:127.0.0.1")
    }

    func path(_ name: String) -> String { self.folder.appending(path: name).path }

    private func authority(_ name: String) throws {
        try self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=\(name)", "-keyout", "\(name).key", "-out", "\(name).pem")
    }

    private func leaf(_ name: String, by authority: String, names: String) throws {
        try self.openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)", "-addext",
            "subjectAltName=\(names)", "-keyout", "\(name).key", "-out", "\(name).csr")
        try self.openssl(
            "x509", "-req", "-in", "\(name).csr", "-CA", "\(authority).pem", "-CAkey", "\(authority).key", "-days", "2",
            "-copy_extensions", "copy", "-out", "\(name).pem")
    }

    private func openssl(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.currentDirectoryURL = self.folder
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }

    func server(_ name: String) throws -> TLSContext {
        try TLSContext.server(certificate: self.path("\(name).pem"), key: self.path("\(name).key"))
    }
}

@Suite struct TLSTests {
    private func outcome(
        server: String, host: String = "localhost", trust: String? = "ca",
        options: WebSocketOptions = WebSocketOptions()
    ) async throws -> String {
        let certificates = try Certificates.made.get()
        let loop = runningLoop()
        defer { loop.stop() }
        let echo = try echoServer(on: [loop], tls: try certificates.server(server))
        let client = try TLSContext.client(authorities: trust.map { certificates.path("\($0).pem") })
        let outcome = Promise<String>()
        let size = 200_000
        loop.execute {
            WebSocketClient.connect(url: "wss://\(host):\(echo.address.port)/", tls: client, on: loop) { result in
                switch result {
                case .failure(let error): outcome.fulfil("\(error)")
                case .success(let socket):
                    socket.onMessage = { _, bytes in
                        outcome.fulfil(bytes.count == size && socket.isSecure ? "echoed" : "wrong")
                        socket.close()
                    }
                    let message = [UInt8](repeating: 5, count: size)
                    message.withUnsafeBytes { _ = socket.send(binary: $0) }
                }
            }
        }
        return try await outcome.value()
    }

    @Test(
        "A client speaks only to whom it expects, certified by whom it trusts",
        arguments: [
            ("server", "localhost", "ca", "echoed"), ("server", "127.0.0.1", "ca", "echoed"),
            ("other", "localhost", "ca", "tls(Networking.TLSFailure.untrusted)"),
            ("other", "127.0.0.1", "ca", "tls(Networking.TLSFailure.untrusted)"),
            ("rogue", "localhost", "ca", "tls(Networking.TLSFailure.untrusted)"),
            ("server", "localhost", nil, "tls(Networking.TLSFailure.untrusted)"),
        ])
    func verification(server: String, host: String, trust: String?, expected: String) async throws {
        #expect(try await self.outcome(server: server, host: host, trust: trust) == expected)
    }

    @Test("Certificates are reloaded for new connections; a bad file leaves the old ones in use")
    func reload() async throws {
        let certificates = try Certificates.made.get()
        let (pem, key) = (certificates.path("live.pem"), certificates.path("live.key"))
        func install(_ name: String) throws {
            for kind in ["pem", "key"] {
                let data = try Data(contentsOf: URL(fileURLWithPath: certificates.path("\(name).\(kind)")))
                try data.write(to: URL(fileURLWithPath: certificates.path("live.\(kind)")))
            }
        }
        try install("rogue")
        let context = try TLSContext.server(certificate: pem, key: key)
        let loop = runningLoop()
        defer { loop.stop() }
        let echo = try echoServer(on: [loop], tls: context)
        let client = try TLSContext.client(authorities: certificates.path("ca.pem"))
        func connects() async throws -> Bool {
            let outcome = Promise<Bool>()
            loop.execute {
                WebSocketClient.connect(url: "wss://localhost:\(echo.address.port)/", tls: client, on: loop) { result in
                    if case .success(let socket) = result {
                        outcome.fulfil(true)
                        socket.close()
                    } else {
                        outcome.fulfil(false)
                    }
                }
            }
            return try await outcome.value()
        }
        var connected = try await connects()
        #expect(!connected)
        try install("server")
        try context.reload()
        connected = try await connects()
        #expect(connected)
        try Data("nonsense".utf8).write(to: URL(fileURLWithPath: pem))
        #expect(throws: TLSConfigurationError.certificate(path: pem)) { try context.reload() }
        connected = try await connects()
        #expect(connected)
        try install("server")
        try Data(contentsOf: URL(fileURLWithPath: certificates.path("other.key"))).write(to: URL(fileURLWithPath: key))
        #expect(throws: TLSConfigurationError.keyDoesNotMatchCertificate(path: key)) { try context.reload() }
    }

    @Test(
        "Plain bytes to a TLS port, and silence, end at once or at the deadline",
        arguments: ["GET / HTTP/1.1\r\n\r\n", ""])
    func notTLS(bytes: String) async throws {
        let certificates = try Certificates.made.get()
        let loop = runningLoop()
        defer { loop.stop() }
        var limits = HTTPServerLimits()
        limits.headTime = .milliseconds(50)
        let server = try HTTPServer(
            on: [loop], address: loopback(), tls: try certificates.server("server"), limits: limits
        ) { _ in { _, responder in responder.respond(HTTPResponse(status: 200)) } }
        let answer = try await onThread {
            let client = try RawClient(server.address)
            client.send(bytes)
            return client.receiveAll()
        }
        #expect(!String(decoding: answer, as: UTF8.self).contains("HTTP"))
    }

    @Test("A TLS socket moves to another loop")
    func moving() async throws {
        let certificates = try Certificates.made.get()
        let (first, second) = (runningLoop(), runningLoop())
        defer {
            first.stop()
            second.stop()
        }
        let server = try HTTPServer(on: [first], address: loopback(), tls: try certificates.server("server")) { _ in
            { _, responder in
                responder.upgradeToWebSocket()?.move(to: second) { socket in
                    socket?.onMessage = { [unowned socket] kind, bytes in
                        guard second.isInLoop, let socket else { return }
                        kind.send(bytes, on: socket)
                    }
                }
            }
        }
        let echoed = Promise<Int>()
        let client = try TLSContext.client(authorities: certificates.path("ca.pem"))
        first.execute {
            WebSocketClient.connect(url: "wss://localhost:\(server.address.port)/", tls: client, on: first) { result in
                guard case .success(let socket) = result else { return echoed.fulfil(-1) }
                socket.onMessage = { _, bytes in echoed.fulfil(bytes.count) }
                let message = [UInt8](repeating: 5, count: 100_000)
                message.withUnsafeBytes { _ = socket.send(binary: $0) }
            }
        }
        #expect(try await echoed.value() == 100_000)
    }

    @Test(
        "An HTTP client verifies as a WebSocket client does",
        arguments: [("server", 200), ("other", -1), ("rogue", -1)])
    func httpClient(server: String, expected: Int) async throws {
        let certificates = try Certificates.made.get()
        let loop = runningLoop()
        defer { loop.stop() }
        let echo = try echoServer(on: [loop], tls: try certificates.server(server))
        let status = Promise<Int>()
        let port = echo.address.port
        let authorities = certificates.path("ca.pem")
        loop.execute {
            let client = HTTPClient(on: loop, authorities: authorities)
            client.fetch(HTTPClientRequest(url: "https://localhost:\(port)/")) { result in
                switch result {
                case .success(let response): status.fulfil(response.status)
                case .failure(.tls(.untrusted)): status.fulfil(-1)
                case .failure: status.fulfil(-2)
                }
            }
        }
        #expect(try await status.value() == expected)
    }
}
