import Networking
import Telephony
import Testing

@Suite struct ConnectionTests {
    @Test("A plain server serves on all its loops, and what waits is sent before the end")
    func server() async throws {
        let loops = [runningLoop(), runningLoop()]
        defer { for loop in loops { loop.stop() } }
        let server = try TCPServer(on: loops, address: loopback()) { loop in
            { connection in
                connection.highWaterMark = 4 * 1024 * 1024
                connection.onBytes = { [unowned connection] _ in
                    // More than the socket takes at once.
                    let block = [UInt8](repeating: 1, count: 3 * 1024 * 1024)
                    block.withUnsafeBytes { _ = connection.write($0) }
                    connection.finish()
                }
                connection.begin()
            }
        }
        for _ in 0..<4 {
            let received = try await onThread {
                let client = try RawClient(server.address)
                client.send("x")
                return client.receiveAll().count
            }
            #expect(received == 3 * 1024 * 1024)
        }
    }

    @Test("A peer that finished can still be answered where that is allowed", arguments: [true, false])
    func halfClose(isAllowed: Bool) async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let end = Promise<ConnectionEnd>()
        let server = try TCPServer(on: [loop], address: loopback()) { _ in
            { connection in
                connection.allowsHalfClose = isAllowed
                connection.onPeerFinished = { [unowned connection] in
                    connection.write("answer")
                    connection.finish()
                    end.fulfil(.local)
                }
                connection.onEnd = { end.fulfil($0) }
                connection.begin()
            }
        }
        let answer = try await onThread {
            let client = try RawClient(server.address)
            client.finishSending()
            return String(decoding: client.receiveAll(), as: UTF8.self)
        }
        #expect(answer == (isAllowed ? "answer" : ""))
        #expect(try await end.value() == (isAllowed ? .local : .peerClosed))
    }

    @Test("A peer that never finishes is cut off at the deadline of `finish`")
    func finishDeadline() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let server = try TCPServer(on: [loop], address: loopback()) { _ in
            { connection in
                connection.onBytes = { [unowned connection] _ in connection.finish(deadline: .milliseconds(30)) }
                connection.begin()
            }
        }
        let wasReset = try await onThread {
            let client = try RawClient(server.address)
            client.send("x")
            #expect(client.receiveAll().isEmpty)
            // The descriptor is closed by now or soon: writing on into it ends in a reset.
            for _ in 0..<100_000 where !client.trySend([1]) { return true }
            return false
        }
        #expect(wasReset)
    }

    @Test("Reading can be held back and taken up again without loss")
    func pausing() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let counted = Promise<Int>()
        let server = try TCPServer(on: [loop], address: loopback()) { loop in
            { connection in
                var count = 0
                connection.onBytes = { [unowned connection] bytes in
                    count += bytes.count
                    connection.pauseReading()
                    loop.schedule(after: .microseconds(100)) { connection.resumeReading() }
                }
                connection.onEnd = { _ in counted.fulfil(count) }
                connection.begin()
            }
        }
        try await onThread {
            let client = try RawClient(server.address)
            client.send([UInt8](repeating: 1, count: 1_000_000))
            client.finishSending()
            _ = client.receiveAll()
        }
        #expect(try await counted.value() == 1_000_000)
    }

    @Test("A connection moves to another loop, with what waits for its peer")
    func moving() async throws {
        let (first, second) = (runningLoop(), runningLoop())
        defer {
            first.stop()
            second.stop()
        }
        let server = try TCPServer(on: [first], address: loopback()) { _ in
            { connection in
                connection.highWaterMark = 4 * 1024 * 1024
                connection.onBytes = { [unowned connection] _ in
                    let block = [UInt8](repeating: 1, count: 3 * 1024 * 1024)
                    block.withUnsafeBytes { _ = connection.write($0) }
                    connection.move(to: second) { connection in
                        connection?.write(second.isInLoop ? "end" : "off")
                        connection?.finish()
                    }
                }
                connection.begin()
            }
        }
        let received = try await onThread {
            let client = try RawClient(server.address)
            client.send("x")
            return client.receiveAll()
        }
        #expect(received.count == 3 * 1024 * 1024 + 3)
        #expect(received.suffix(3).elementsEqual("end".utf8))
    }
}
