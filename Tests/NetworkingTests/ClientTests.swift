import Networking
import Telephony
import Testing

/// A server that answers any connection with `answer` and then holds it open or closes it.
private func scripted(_ answer: String, thenCloses: Bool = true, on loop: EventLoop) async throws -> UInt16 {
    let port = Promise<UInt16>()
    let socket = try TCPListener.bind(loopback())
    loop.execute {
        var kept: [Connection] = []
        let listener = try? TCPListener(socket, on: loop) { descriptor, peer in
            let connection = Connection(descriptor, peer: peer, on: loop)
            connection.onBytes = { [unowned connection] _ in
                guard !answer.isEmpty else { return }
                connection.write(answer)
                if thenCloses { connection.finish() }
            }
            kept.append(connection)
            connection.begin()
        }
        port.fulfil(listener?.address.port ?? 0)
    }
    return try await port.value()
}

@Suite struct ClientTests {
    private func connect(_ url: String, timeout: Duration = .seconds(5), on loop: EventLoop) async throws -> String {
        let outcome = Promise<String>()
        loop.execute {
            WebSocketClient.connect(url: url, timeout: timeout, on: loop) { result in
                switch result {
                case .success: outcome.fulfil("open")
                case .failure(let error): outcome.fulfil("\(error)")
                }
            }
        }
        return try await outcome.value()
    }

    @Test(
        "An answer that is not the right one is a typed error",
        arguments: [
            ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "refused(status: 403)"),
            ("HTTP/1.1 200 OK\r\n\r\n", "refused(status: 200)"),
            ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "protocolError"),
            (
                "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
                "protocolError"
            ),
            ("SSH-2.0-OpenSSH\r\n\r\n\r\n", "protocolError"), ("half an ans", "connect"),
            (String(repeating: "x", count: 20_000), "protocolError"),
        ])
    func answers(answer: String, expected: String) async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let port = try await scripted(answer, on: loop)
        let outcome = try await self.connect("ws://127.0.0.1:\(port)/", on: loop)
        #expect(outcome == expected)
    }

    @Test("What cannot be reached says why")
    func unreachable() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        // Bound, but not listening.
        let socket = try TCPListener.bind(loopback())
        let port = socket.address.port
        socket.close()
        var outcome = try await self.connect("ws://127.0.0.1:\(port)/", on: loop)
        #expect(outcome == "connect")
        outcome = try await self.connect("ws://no-such-host.invalid/", on: loop)
        #expect(outcome == "dns")
        outcome = try await self.connect("gopher://h/", on: loop)
        #expect(outcome == "badRequest")
        let silent = try await scripted("", thenCloses: false, on: loop)
        outcome = try await self.connect("ws://127.0.0.1:\(silent)/", timeout: .milliseconds(50), on: loop)
        #expect(outcome == "timeout")
    }

    @Test("Messages glued to the 101 are not lost, and the server's subprotocol is known")
    func glued() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let server = try HTTPServer(on: [loop], address: loopback()) { _ in
            { request, responder in
                let socket = responder.upgradeToWebSocket(
                    subprotocol: request.subprotocols.last, extraHeaders: ["X-A": request.headers["X-B"] ?? ""])
                for number in 0..<50 { socket?.send(text: "message \(number)") }
            }
        }
        let received = Promise<[String]>()
        let subprotocol = Promise<String?>()
        loop.execute {
            WebSocketClient.connect(
                url: "ws://\(server.address)/", headers: [(name: "X-B", value: "c")], subprotocols: ["a", "b"], on: loop
            ) { result in
                guard case .success(let socket) = result else { return }
                subprotocol.fulfil(socket.subprotocol)
                let texts = Box<[String]>([])
                socket.onMessage = { _, bytes in
                    texts.content.append(String(decoding: bytes, as: UTF8.self))
                    if texts.content.count == 50 { received.fulfil(texts.content) }
                }
            }
        }
        #expect(try await subprotocol.value() == "b")
        #expect(try await received.value() == (0..<50).map { "message \($0)" })
    }

    @Test("Compression is agreed and used by both sides")
    func compression() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        var options = WebSocketOptions()
        options.deflate = DeflateOptions()
        let agreed = options
        let server = try echoServer(on: [loop], options: agreed)
        let outcome = Promise<Bool>()
        let text = String(repeating: "pronto ", count: 5000)
        loop.execute {
            WebSocketClient.connect(url: "ws://\(server.address)/", options: agreed, on: loop) { result in
                guard case .success(let socket) = result else { return outcome.fulfil(false) }
                var echoes = 0
                socket.onMessage = { [unowned socket] _, bytes in
                    echoes += 1
                    guard String(decoding: bytes, as: UTF8.self) == text else { return outcome.fulfil(false) }
                    if echoes == 3 { outcome.fulfil(socket.isCompressed) } else { socket.send(text: text) }
                }
                socket.send(text: text)
            }
        }
        #expect(try await outcome.value())
    }

    @Test("A client's handle gives up before the answer")
    func cancelling() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let silent = try await scripted("", thenCloses: false, on: loop)
        let outcome = Promise<String>()
        loop.execute {
            let attempt = WebSocketClient.connect(url: "ws://127.0.0.1:\(silent)/", on: loop) { result in
                if case .failure(let error) = result { outcome.fulfil("\(error)") }
            }
            attempt?.cancel()
            attempt?.cancel()
        }
        #expect(try await outcome.value() == "cancelled")
    }
}

@Suite struct HTTPClientTests {
    private func run(
        _ request: @escaping @Sendable (UInt16) -> HTTPClientRequest,
        handler: @escaping @Sendable (HTTPRequest, HTTPResponder) -> Void
    ) async throws -> (Result<String, HTTPClientError>, Int, [(name: String, value: String)]) {
        let loop = runningLoop()
        defer { loop.stop() }
        let server = try HTTPServer(on: [loop], address: loopback()) { _ in handler }
        let port = server.address.port
        let outcome = Promise<(Result<String, HTTPClientError>, Int, [(name: String, value: String)])>()
        loop.execute {
            HTTPClient(on: loop).fetch(request(port)) { result in
                switch result {
                case .success(let response):
                    let text = String(decoding: response.body, as: UTF8.self)
                    outcome.fulfil((.success(text), response.status, response.headers.fields))
                case .failure(let error): outcome.fulfil((.failure(error), 0, []))
                }
            }
        }
        return try await outcome.value()
    }

    @Test("Method, headers and body arrive, and the answer comes back", arguments: ["POST", "PUT", "PATCH", "DELETE"])
    func exchange(method: String) async throws {
        let body = [UInt8](repeating: 0x61, count: 3_000)
        let (result, status, headers) = try await self.run { port in
            HTTPClientRequest(
                method: method, url: "http://127.0.0.1:\(port)/x?y=z", headers: [(name: "X-Key", value: "k")],
                body: body)
        } handler: { request, responder in
            let text = "\(request.method) \(request.target) \(request.headers["x-key"] ?? "-") \(request.body.count)"
            responder.respond(HTTPResponse(status: 201, headers: ["X-Answer": "a"], body: Array(text.utf8)))
        }
        #expect(result == .success("\(method) /x?y=z k 3000"))
        #expect(status == 201)
        #expect(headers.contains { $0.name == "X-Answer" && $0.value == "a" })
    }

    @Test("A redirect is an answer like another: nothing is sent to where it points")
    func redirect() async throws {
        let (result, status, _) = try await self.run { port in
            HTTPClientRequest(url: "http://127.0.0.1:\(port)/", headers: [(name: "Authorization", value: "secret")])
        } handler: { request, responder in
            let isFirst = request.path == "/"
            responder.respond(
                HTTPResponse(status: isFirst ? 302 : 500, headers: ["Location": "http://127.0.0.1:1/elsewhere"]))
        }
        #expect(result == .success(""))
        #expect(status == 302)
    }

    @Test(
        "What goes wrong is a typed error",
        arguments: [
            ("http://127.0.0.1:PORT/big", HTTPClientError.tooLarge), ("http://127.0.0.1:PORT/slow", .timeout),
            ("http://127.0.0.1:1/", .connect), ("http://no-such-host.invalid/", .dns),
            ("file:///etc/passwd", .badRequest),
            ("ftp://127.0.0.1/", .badRequest), ("nonsense", .badRequest), ("http://127.0.0.1:PORT/ x", .badRequest),
            ("http://127.0.0.1:PORT/cut", .protocolError),
        ])
    func failures(url: String, expected: HTTPClientError) async throws {
        let (result, _, _) = try await self.run { port in
            HTTPClientRequest(
                url: url.replacing("PORT", with: "\(port)"), timeout: .milliseconds(url.contains("slow") ? 50 : 5000),
                maximumBody: 1000)
        } handler: { request, responder in
            switch request.path {
            case "/big": responder.respond(HTTPResponse(status: 200, body: [UInt8](repeating: 0, count: 5000)))
            case "/cut":
                responder.beginStreaming()
                responder.write("part")
            default: responder.loop.schedule(after: .seconds(2)) { responder.respond(HTTPResponse(status: 200)) }
            }
        }
        #expect(result == .failure(expected))
    }

    @Test("A body streams as it comes, and cancelling in the middle ends it without a word")
    func streaming() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let gone = Promise<Bool>()
        let server = try HTTPServer(on: [loop], address: loopback()) { _ in
            { _, responder in
                responder.beginStreaming()
                responder.onCancel = { gone.fulfil(true) }
                stream(responder, 0)
            }
        }
        let pieces = Promise<[String]>()
        let port = server.address.port
        loop.execute {
            let client = HTTPClient(on: loop)
            let seen = Box<[String]>([])
            let transfer = Box<HTTPTransfer?>(nil)
            transfer.content = client.start(
                HTTPClientRequest(url: "http://127.0.0.1:\(port)/"),
                head: { status, _ in seen.content.append("\(status)") },
                bytes: { bytes in
                    seen.content.append(String(decoding: bytes, as: UTF8.self))
                    guard seen.content.count == 4 else { return }
                    transfer.content?.cancel()
                    pieces.fulfil(seen.content)
                }, end: { _ in pieces.fulfil(["ended"]) })
        }
        #expect(try await pieces.value() == ["200", "0", "1", "2"])
        #expect(try await gone.value())
    }

    @Test("Connections are used again")
    func reuse() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let server = try HTTPServer(on: [loop], address: loopback()) { _ in
            { request, responder in responder.respond(HTTPResponse(status: 200, text: "\(request.peer.port)")) }
        }
        let ports = Promise<[String]>()
        let port = server.address.port
        loop.execute {
            let client = HTTPClient(on: loop)
            let request = HTTPClientRequest(url: "http://127.0.0.1:\(port)/")
            client.fetch(request) { first in
                client.fetch(request) { second in
                    let answers = [first, second].map { result in
                        (try? result.get()).map { String(decoding: $0.body, as: UTF8.self) } ?? "failed"
                    }
                    ports.fulfil(answers)
                }
            }
        }
        let answers = try await ports.value()
        #expect(answers[0] == answers[1])
        #expect(answers[0] != "failed")
    }
}

private func stream(_ responder: HTTPResponder, _ number: Int) {
    guard responder.write("\(number)") else { return }
    responder.loop.schedule(after: .milliseconds(2)) { stream(responder, number + 1) }
}

@Suite struct UDPTests {
    @Test("Datagrams keep their borders, and their sender is told")
    func datagrams() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let received = Promise<[String]>()
        loop.execute {
            do throws(ListenError) {
                let server = try UDPSocket(loopback(), on: loop)
                let client = try UDPSocket(loopback(), on: loop)
                server.onDatagram = { [unowned server] bytes, sender, _ in server.send(bytes, to: sender) }
                let seen = Box<[String]>([])
                client.onDatagram = { [client] bytes, sender, _ in
                    seen.content.append("\(bytes.count) \(sender == server.address)")
                    if seen.content.count == 3 {
                        received.fulfil(seen.content)
                        client.close()
                        server.close()
                    }
                }
                for size in [0, 1, 320] {
                    let bytes = [UInt8](repeating: 1, count: size)
                    bytes.withUnsafeBytes { _ = client.send($0, to: server.address) }
                }
            } catch { received.fulfil(["\(error)"]) }
        }
        #expect(try await received.value() == ["0 true", "1 true", "320 true"])
    }

    @Test("A port in use is refused by name")
    func portInUse() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let refused = Promise<Bool>()
        loop.execute {
            do throws(ListenError) {
                let first = try UDPSocket(loopback(), on: loop)
                do throws(ListenError) {
                    _ = try UDPSocket(first.address, on: loop)
                    refused.fulfil(false)
                } catch { refused.fulfil(error == .addressInUse(first.address)) }
                first.close()
            } catch { refused.fulfil(false) }
        }
        #expect(try await refused.value())
    }
}
