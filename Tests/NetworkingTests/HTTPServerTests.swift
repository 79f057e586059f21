import Glibc
import Networking
import Telephony
import Testing

/// Answers `/echo` with the body, `/later` in a later turn, `/stream` in pieces, `/path` with what it understood.
private func server(on loop: EventLoop, limits: HTTPServerLimits = HTTPServerLimits()) throws -> HTTPServer {
    try HTTPServer(on: [loop], address: loopback(), limits: limits) { loop in
        { request, responder in
            switch request.path {
            case "/echo": responder.respond(HTTPResponse(status: 200, body: request.body))
            case "/later":
                loop.schedule(after: .milliseconds(5)) { responder.respond(HTTPResponse(status: 200, text: "late")) }
            case "/stream":
                responder.beginStreaming(headers: ["Content-Type": "text/event-stream"])
                responder.write("one")
                loop.schedule(after: .milliseconds(1)) {
                    responder.write("two")
                    responder.end()
                }
            case "/forgotten": break
            default:
                let parts = request.pathComponents?.joined(separator: "|") ?? "bad"
                responder.respond(HTTPResponse(status: 200, text: "\(parts);\(request.queryValue("q") ?? "-")"))
            }
        }
    }
}

private func exchange(_ text: String, limits: HTTPServerLimits = HTTPServerLimits()) async throws -> String {
    let loop = runningLoop()
    defer { loop.stop() }
    let server = try server(on: loop, limits: limits)
    return try await onThread {
        let client = try RawClient(server.address)
        client.send(text)
        client.finishSending()
        return String(decoding: client.receiveAll(), as: UTF8.self)
    }
}

private func status(of answer: String) -> Int? {
    answer.split(separator: " ").dropFirst().first.flatMap { Int($0) }
}

@Suite struct HTTPServerTests {
    @Test(
        "Requests that implementations understand differently are refused, and the connection is closed",
        arguments: [
            ("both lengths", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
            ("two lengths", "Content-Length: 3\r\nContent-Length: 3\r\n", 400),
            ("two different lengths", "Content-Length: 3\r\nContent-Length: 4\r\n", 400),
            ("a list of lengths", "Content-Length: 3, 3\r\n", 400),
            ("a signed length", "Content-Length: +3\r\n", 400),
            ("a negative length", "Content-Length: -1\r\n", 400),
            ("a hexadecimal length", "Content-Length: 0x3\r\n", 400),
            ("an endless length", "Content-Length: 99999999999999999999\r\n", 400),
            ("a folded field", "X-A: b\r\n c\r\n", 400),
            ("a space before the colon", "Content-Length : 3\r\n", 400),
            ("a space in a name", "X A: b\r\n", 400),
            ("no name", ": b\r\n", 400),
            ("no colon", "nonsense\r\n", 400),
            ("a bare line feed", "X-A: b\nTransfer-Encoding: chunked\r\n", 400),
            ("a bare carriage return", "X-A: b\rX-B: c\r\n", 400),
            ("a NUL", "X-A: b\u{0}c\r\n", 400),
            ("a vertical tab before chunked", "Transfer-Encoding: \u{B}chunked\r\n", 400),
            ("a coding that is not chunked", "Transfer-Encoding: gzip\r\n", 400),
            ("an unknown coding", "Transfer-Encoding: gzip, chunked\r\n", 501),
            ("a coding twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
            ("chunked not last", "Transfer-Encoding: chunked, identity\r\n", 400),
            ("a second host", "Host: b\r\n", 400),
            ("an unknown expectation", "Expect: miracles\r\n", 417),
        ])
    func smuggling(name: String, fields: String, expected: Int) async throws {
        let answer = try await exchange(
            "POST /echo HTTP/1.1\r\nHost: a\r\n\(fields)\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
        #expect(status(of: answer) == expected, "\(name)")
        #expect(answer.split(separator: "HTTP/1.1 ").count == 1, "only the refusal: \(name)")
        #expect(answer.contains("Connection: close\r\n"))
    }

    @Test(
        "Request lines are read strictly",
        arguments: [
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505), ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
            ("GET / HTTX/1.1\r\nHost: a\r\n\r\n", 400), ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400), ("GET /\u{7F} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("FROBNICATE / HTTP/1.1\r\nHost: a\r\n\r\n", 501), ("GET / HTTP/1.1\r\n\r\n", 400),
            ("\u{16}\u{3}\u{1}", 400), ("GET / HTTP/1.1\r\nHost:a\r\nConnection:close\r\n\r\n", 200),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200), ("GET / HTTP/1.0\r\n\r\n", 200),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ])
    func requestLine(request: String, expected: Int) async throws {
        #expect(status(of: try await exchange(request)) == expected)
    }

    @Test(
        "What is too large is refused by its kind",
        arguments: [
            ("GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
            ("GET /\(String(repeating: "a", count: 20000))", 414),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 17000))\r\n\r\n", 431),
            ("GET / HTTP/1.1\r\nHost: a\r\n\(String(repeating: "X: a\r\n", count: 101))\r\n", 431),
            ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", 413),
            ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n", 413),
            ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 413),
        ])
    func tooLarge(request: String, expected: Int) async throws {
        #expect(status(of: try await exchange(request)) == expected)
    }

    @Test(
        "Chunks are read strictly",
        arguments: [
            ("3\r\nabc\r\n0\r\n\r\n", "200 abc"), ("3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n", "200 abcde"),
            ("A\r\n0123456789\r\n0\r\n\r\n", "200 0123456789"), ("3\nabc\r\n0\r\n\r\n", "400 "),
            ("3\rXabc\r\n0\r\n\r\n", "400 "), ("3\r\nabcX\n0\r\n\r\n", "400 "), ("x\r\n", "400 "),
            ("3 \r\nabc\r\n0\r\n\r\n", "400 "), ("\r\n", "400 "),
        ])
    func chunks(body: String, expected: String) async throws {
        let answer = try await exchange(
            "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        let content = answer.contains("\r\n\r\n") ? answer.suffix(from: answer.range(of: "\r\n\r\n")!.upperBound) : ""
        #expect("\(status(of: answer) ?? 0) \(content)" == expected)
    }

    @Test("Pipelined requests are answered in order, a body or a later answer in between", arguments: [false, true])
    func pipelining(byteByByte: Bool) async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let server = try server(on: loop)
        let requests =
            "GET /later HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
            + "HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /a%20b/c?q=x%2By HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        let answer = try await onThread {
            let client = try RawClient(server.address)
            if byteByByte {
                for byte in requests.utf8 { client.send([byte]) }
            } else {
                client.send(requests)
            }
            return String(decoding: client.receiveAll(), as: UTF8.self)
        }
        let bodies = answer.split(separator: "HTTP/1.1 200 OK\r\n").map { part in
            String(part.suffix(from: part.range(of: "\r\n\r\n")!.upperBound))
        }
        #expect(bodies == ["late", "body", "", "a b|c;x+y"])
    }

    @Test("A streamed answer is chunked, and the connection serves on")
    func streaming() async throws {
        let answer = try await exchange(
            "GET /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /z HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(answer.contains("Transfer-Encoding: chunked\r\n"))
        #expect(answer.contains("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"))
    }

    @Test("A client that expects 100-continue is told to go on")
    func continuation() async throws {
        let answer = try await exchange(
            "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
        )
        #expect(answer.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"))
        #expect(answer.hasSuffix("ok"))
    }

    @Test("A request that its handler forgot is answered with 500")
    func forgotten() async throws {
        #expect(status(of: try await exchange("GET /forgotten HTTP/1.1\r\nHost: a\r\n\r\n")) == 500)
    }

    @Test(
        "A head or a body that trickles is refused at its deadline",
        arguments: ["GET / HT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"])
    func slowloris(beginning: String) async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        var limits = HTTPServerLimits()
        limits.headTime = .milliseconds(50)
        limits.bodyTime = .milliseconds(50)
        let server = try server(on: loop, limits: limits)
        let answer = try await onThread {
            let client = try RawClient(server.address)
            client.send(beginning)
            return String(decoding: client.receiveAll(), as: UTF8.self)
        }
        #expect(status(of: answer) == 408)
        #expect(server.connectionCount == 0)
    }

    @Test("An idle connection is closed without a word")
    func idle() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        var limits = HTTPServerLimits()
        limits.idleTime = .milliseconds(30)
        let server = try server(on: loop, limits: limits)
        let answer = try await onThread { try RawClient(server.address).receiveAll() }
        #expect(answer.isEmpty)
    }

    @Test("A port in use is an error that names it, although loops share ports")
    func portInUse() async throws {
        let loops = [runningLoop(), runningLoop()]
        defer { for loop in loops { loop.stop() } }
        let first = try HTTPServer(on: loops, address: loopback()) { _ in
            { _, responder in responder.respond(HTTPResponse(status: 204)) }
        }
        #expect(throws: ListenError.addressInUse(first.address)) {
            _ = try HTTPServer(on: loops, address: first.address) { _ in { _, _ in } }
        }
        #expect("\(ListenError.addressInUse(first.address))".contains(":\(first.address.port) "))
    }

    @Test("Connections beyond the limit are closed at once")
    func tooManyConnections() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        var limits = HTTPServerLimits()
        limits.connections = 1
        let server = try server(on: loop, limits: limits)
        try await onThread {
            let first = try RawClient(server.address)
            first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(first.receive()?.isEmpty == false)
            #expect(try RawClient(server.address).receiveAll().isEmpty)
        }
    }

    @Test("A client that leaves cancels its request")
    func cancellation() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let cancelled = Promise<Bool>()
        let server = try HTTPServer(on: [loop], address: loopback()) { _ in
            { _, responder in
                responder.beginStreaming()
                responder.onCancel = { [unowned responder] in cancelled.fulfil(!responder.isPending) }
                writeOn(responder)
            }
        }
        try await onThread {
            let client = try RawClient(server.address)
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = client.receive()
        }
        #expect(try await cancelled.value())
    }
}

/// A stream without end, as the console's events are: it finds out by writing that the client has gone.
private func writeOn(_ responder: HTTPResponder) {
    guard responder.write("piece") else { return }
    responder.loop.schedule(after: .milliseconds(1)) { writeOn(responder) }
}

extension StringProtocol {
    /// The first occurrence, without Foundation.
    func range(of part: String) -> Range<String.Index>? {
        self.ranges(of: part).first
    }
}
