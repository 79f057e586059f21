import Glibc
import Networking
import Synchronization
import Telephony
import Testing

/// Opening handshakes as FreeSWITCH's modules send them (captures of 2026-11-20, `ws-*-modes.txt`, `ws-mod_audio_fork.txt`).
enum CapturedHandshake: String, CaseIterable {
    case amigniter, netplay, sptmru, audioFork

    var text: String {
        let path = "/stream/11111111-2222-3333-4444-555555555555/a4e5cb5c-b075-4f7a-b14e-f65719f9fdcb"
        switch self {
        case .amigniter:
            return "GET \(path) HTTP/1.1\r\nHost:127.0.0.1:8085\r\nUpgrade:websocket\r\nConnection:upgrade\r\n"
                + "Sec-WebSocket-Key:JxYFtbou2MfZQuXXKeSNfQ==\r\nSec-WebSocket-Version:13\r\n"
                + "Origin:http://127.0.0.1:8085\r\nX-Lab-Caller:1000\r\n\r\n"
        case .netplay:
            return "GET \(path) HTTP/1.1\r\nHost:127.0.0.1:8085\r\nUpgrade:websocket\r\nConnection:upgrade\r\n"
                + "Sec-WebSocket-Key:ixCJ2oGKapUEM0kEoH65bQ==\r\nSec-WebSocket-Version:13\r\n"
                + "Sec-WebSocket-Extensions:permessage-deflate; client_no_context_takeover; "
                + "server_no_context_takeover; client_max_window_bits=9\r\n"
                + "Origin:http://127.0.0.1:8085\r\nX-Lab-Caller:1000\r\n\r\n"
        case .sptmru:
            return "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:8085\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: QTAzNDRhM2g1ZENGN2RhaA==\r\n"
                + "User-Agent: ixwebsocket/11.4.6 linux ssl/OpenSSL OpenSSL 3.0.22 25 Aug 2026 zlib 1.2.13\r\n"
                + "Origin: ws://127.0.0.1:8085\r\nX-Lab-Caller: 1000\r\n\r\n"
        case .audioFork:
            return "GET /fork HTTP/1.1\r\nPragma: no-cache\r\nCache-Control: no-cache\r\nHost: 127.0.0.1\r\n"
                + "Origin: http://127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Key: bLqNDjT6jzIHAgZDHgRxjA==\r\nSec-WebSocket-Protocol: audio.drachtio.org\r\n"
                + "Sec-WebSocket-Version: 13\r\n\r\n"
        }
    }
}

/// One masked frame of a client.
func clientFrame(_ first: UInt8, _ payload: [UInt8], mask: [UInt8] = [0x11, 0x22, 0x33, 0x44]) -> [UInt8] {
    var frame = [first]
    if payload.count < 126 {
        frame.append(0x80 | UInt8(payload.count))
    } else {
        frame += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    }
    frame += mask
    for (index, byte) in payload.enumerated() { frame.append(byte ^ mask[index % 4]) }
    return frame
}

/// How a client's bytes reach the server.
enum Delivery: String, CaseIterable { case whole, byteByByte, gluedToHandshake }

@Suite struct WebSocketServerTests {
    private func run(
        _ handshake: CapturedHandshake, _ frames: [UInt8], _ delivery: Delivery = .whole,
        options: WebSocketOptions = WebSocketOptions()
    ) async throws -> (answer: [UInt8], end: WebSocketEnd) {
        let loop = runningLoop()
        defer { loop.stop() }
        let ended = Promise<WebSocketEnd>()
        let server = try echoServer(on: [loop], options: options) { ended.fulfil($0) }
        let answer = try await onThread {
            let client = try RawClient(server.address)
            switch delivery {
            case .gluedToHandshake: client.send(Array(handshake.text.utf8) + frames)
            case .whole:
                client.send(handshake.text)
                client.send(frames)
            case .byteByByte: for byte in Array(handshake.text.utf8) + frames { client.send([byte]) }
            }
            return client.receiveAll()
        }
        let end = try await ended.value()
        let text = answer.firstRange(of: Array("\r\n\r\n".utf8))
        let head = try #require(text)
        #expect(answer.starts(with: Array("HTTP/1.1 101 ".utf8)))
        return (Array(answer[head.upperBound...]), end)
    }

    @Test(
        "The handshakes of FreeSWITCH's modules are accepted, and their frames echoed, however they arrive",
        arguments: CapturedHandshake.allCases, Delivery.allCases)
    func quirkyClients(handshake: CapturedHandshake, delivery: Delivery) async throws {
        let audio = (0..<320).map { UInt8(truncatingIfNeeded: $0) }
        let frames =
            clientFrame(0x81, Array("{\"event\":\"start\"}".utf8)) + clientFrame(0x82, audio)
            + clientFrame(0x89, Array("ping".utf8)) + clientFrame(0x88, [0x03, 0xE8] + Array("Normal closure".utf8))
        let (answer, end) = try await self.run(handshake, frames, delivery)
        let text: [UInt8] = [0x81, 17] + Array("{\"event\":\"start\"}".utf8)
        let expected = text + [0x82, 126, 1, 64] + audio + [0x8A, 4] + Array("ping".utf8) + [0x88, 2, 0x03, 0xE8]
        #expect(answer == expected)
        #expect(end == .closed(code: 1000, reason: "Normal closure"))
    }

    @Test(
        "What breaks the protocol is answered with its code, and TCP is closed",
        arguments: [
            ("a reserved bit", clientFrame(0x91, [0x41]), 1002), ("a reserved opcode", clientFrame(0x83, []), 1002),
            ("a reserved control opcode", clientFrame(0x8B, []), 1002), ("no mask", [0x81, 1, 0x41], 1002),
            ("RSV1 without an extension", clientFrame(0xC1, [0x41]), 1002),
            ("a fragmented ping", clientFrame(0x09, []), 1002),
            ("a long ping", clientFrame(0x89, [UInt8](repeating: 1, count: 126)), 1002),
            ("a continuation of nothing", clientFrame(0x80, [0x41]), 1002),
            ("interleaved messages", clientFrame(0x01, [0x41]) + clientFrame(0x81, [0x41]), 1002),
            ("text that is not UTF-8", clientFrame(0x81, [0xC0, 0xAF]), 1007),
            ("text that ends within a character", clientFrame(0x81, [0xE2, 0x82]), 1007),
            ("a surrogate across fragments", clientFrame(0x01, [0xED]) + clientFrame(0x80, [0xA0, 0x80]), 1007),
            ("a close of one byte", clientFrame(0x88, [0x03]), 1002),
            ("a close with 1005", clientFrame(0x88, [0x03, 0xED]), 1002),
            ("a close with 999", clientFrame(0x88, [0x03, 0xE7]), 1002),
            ("a close whose reason is not UTF-8", clientFrame(0x88, [0x03, 0xE8, 0xFF]), 1007),
            ("a length beyond 63 bits", [0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], 1002),
            ("a length beyond the limit", [0x82, 0xFF, 0, 0, 0, 0, 0x7F, 0, 0, 0, 1, 2, 3, 4], 1009),
            (
                "fragments beyond the limit",
                clientFrame(0x02, [UInt8](repeating: 0, count: 600))
                    + clientFrame(0x80, [UInt8](repeating: 0, count: 600)),
                1009
            ),
        ] as [(String, [UInt8], Int)])
    func violations(name: String, frames: [UInt8], code: Int) async throws {
        var options = WebSocketOptions()
        options.maximumMessageSize = 1000
        for delivery in [Delivery.whole, .byteByByte] {
            let (answer, end) = try await self.run(.amigniter, frames, delivery, options: options)
            #expect(answer == [0x88, 2, UInt8(code >> 8), UInt8(code & 0xFF)], "\(name)")
            #expect(end == .violation(WebSocketViolation(rawValue: UInt16(code))!), "\(name)")
        }
    }

    @Test(
        "Requests that are not quite WebSocket handshakes are refused",
        arguments: [
            ("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n", 400),
            ("Sec-WebSocket-Version: 13\r\n", 400),
            ("Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: bLqNDjT6jzIHAgZDHgRxjA==\r\n", 426),
        ])
    func refusals(fields: String, expected: Int) async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let server = try echoServer(on: [loop])
        let answer = try await onThread {
            let client = try RawClient(server.address)
            client.send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\(fields)\r\n")
            client.finishSending()
            return String(decoding: client.receiveAll(), as: UTF8.self)
        }
        #expect(answer.hasPrefix("HTTP/1.1 \(expected) "))
    }

    @Test("TCP ends right after the peer's Close, although the peer leaves its side open")
    func closesTCP() async throws {
        // receiveAll returns at the server's FIN only: the client never finishes sending.
        let (answer, end) = try await self.run(.amigniter, clientFrame(0x88, [0x0F, 0xA1]))
        #expect(answer == [0x88, 2, 0x0F, 0xA1])
        #expect(end == .closed(code: 4001, reason: ""))
    }

    @Test("A peer that never answers our Close is cut off at the deadline")
    func closeDeadline() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let ended = Promise<WebSocketEnd>()
        let server = try HTTPServer(on: [loop], address: loopback()) { _ in
            { _, responder in
                var options = WebSocketOptions()
                options.closeTimeout = .milliseconds(30)
                let socket = responder.upgradeToWebSocket(options: options)
                socket?.onClose = { ended.fulfil($0) }
                socket?.close(code: 1001)
            }
        }
        let answer = try await onThread {
            let client = try RawClient(server.address)
            client.send(CapturedHandshake.amigniter.text)
            return client.receiveAll()
        }
        #expect(answer.suffix(4).elementsEqual([0x88, 2, 0x03, 0xE9]))
        #expect(try await ended.value() == .unresponsive)
    }

    @Test("A half-open peer is found by pings; a peer that answers is not")
    func pings() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let ended = Promise<WebSocketEnd>()
        var options = WebSocketOptions()
        options.pingInterval = .milliseconds(20)
        // Long enough for a busy machine to answer in.
        options.pongTimeout = .milliseconds(250)
        let server = try echoServer(on: [loop], options: options) { ended.fulfil($0) }
        let pings = try await onThread {
            let client = try RawClient(server.address)
            client.send(CapturedHandshake.amigniter.text)
            _ = client.receive(until: "\r\n\r\n")
            var pings = 0
            while let bytes = client.receive(), !bytes.isEmpty {
                pings += 1
                if pings < 4 { client.send(clientFrame(0x8A, [])) }
            }
            return pings
        }
        #expect(pings == 4)
        #expect(try await ended.value() == .unresponsive)
    }

    @Test("A peer that reads too slowly is dropped at the high-water mark")
    func overflow() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let ended = Promise<WebSocketEnd>()
        let refused = Promise<Int>()
        let server = try HTTPServer(on: [loop], address: loopback()) { _ in
            { _, responder in
                var options = WebSocketOptions()
                options.highWaterMark = 256 * 1024
                guard let socket = responder.upgradeToWebSocket(options: options) else { return }
                socket.onClose = { ended.fulfil($0) }
                let frame = [UInt8](repeating: 7, count: 64 * 1024)
                for _ in 0..<1000 where !frame.withUnsafeBytes({ socket.send(binary: $0) }) {
                    return refused.fulfil(socket.bufferedBytes)
                }
            }
        }
        let client = try RawClient(server.address)
        client.send(CapturedHandshake.amigniter.text)
        #expect(try await refused.value() <= 256 * 1024)
        #expect(try await ended.value() == .lost(.overflow))
        withExtendedLifetime(client) {}
    }

    @Test("A reset and an end without Close are told apart from a close", arguments: [true, false])
    func lost(finishes: Bool) async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let ended = Promise<WebSocketEnd>()
        let server = try echoServer(on: [loop]) { ended.fulfil($0) }
        try await onThread {
            let client = try RawClient(server.address)
            client.send(CapturedHandshake.amigniter.text)
            _ = client.receive(until: "\r\n\r\n")
            if finishes { client.finishSending() } else { client.reset() }
            _ = client.receiveAll()
        }
        #expect(try await ended.value() == .lost(finishes ? .peerClosed : .reset))
    }

    @Test("A loop that stops ends its sockets")
    func loopStops() async throws {
        let loop = runningLoop()
        let ended = Promise<WebSocketEnd>()
        let server = try echoServer(on: [loop]) { ended.fulfil($0) }
        try await onThread {
            let client = try RawClient(server.address)
            client.send(CapturedHandshake.amigniter.text)
            _ = client.receive(until: "\r\n\r\n")
            loop.stop()
            _ = client.receiveAll()
        }
        #expect(try await ended.value() == .lost(.loopStopped))
    }

    @Test("A socket moves to another loop with the bytes that came meanwhile", arguments: Delivery.allCases)
    func moving(delivery: Delivery) async throws {
        let (first, second) = (runningLoop(), runningLoop())
        defer {
            first.stop()
            second.stop()
        }
        let home = Promise<Bool>()
        let server = try HTTPServer(on: [first], address: loopback()) { _ in
            { _, responder in
                guard let socket = responder.upgradeToWebSocket() else { return }
                // The first message decides; what follows belongs to the other loop.
                socket.onMessage = { [unowned socket] _, _ in
                    socket.move(to: second) { socket in
                        guard let socket else { return home.fulfil(false) }
                        home.fulfil(second.isInLoop)
                        socket.onMessage = { [unowned socket] kind, bytes in kind.send(bytes, on: socket) }
                    }
                    // The other loop has time enough to take what this one still holds.
                    usleep(20_000)
                }
            }
        }
        let frames =
            clientFrame(0x81, [0x41]) + clientFrame(0x81, [0x42]) + clientFrame(0x82, [UInt8](repeating: 9, count: 300))
            + clientFrame(0x88, [0x03, 0xE8])
        let answer = try await onThread {
            let client = try RawClient(server.address)
            let all = Array(CapturedHandshake.audioFork.text.utf8) + frames
            switch delivery {
            case .gluedToHandshake: client.send(all)
            case .byteByByte: for byte in all { client.send([byte]) }
            case .whole:
                client.send(CapturedHandshake.audioFork.text)
                client.send(frames)
            }
            return client.receiveAll()
        }
        #expect(try await home.value())
        let head = try #require(answer.firstRange(of: Array("\r\n\r\n".utf8)))
        let expected = [0x81, 1, 0x42, 0x82, 126, 1, 44] + [UInt8](repeating: 9, count: 300) + [0x88, 2, 0x03, 0xE8]
        #expect(Array(answer[head.upperBound...]) == expected)
    }
}
