import Networking
import Synchronization
import Telephony
import Testing

@Suite struct WebSocketTests {
    @Test("A message comes back as it went, whatever its size", arguments: [0, 1, 125, 126, 65535, 65536, 300_000])
    func echo(size: Int) async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let server = try echoServer(on: [loop])
        let echoed = Promise<Bool>()
        let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        loop.execute {
            WebSocketClient.connect(url: "ws://\(server.address)/echo", on: loop) { result in
                guard case .success(let socket) = result else { return echoed.fulfil(false) }
                socket.onMessage = { kind, bytes in echoed.fulfil(kind == .binary && bytes.elementsEqual(message)) }
                message.withUnsafeBytes { _ = socket.send(binary: $0) }
            }
        }
        #expect(try await echoed.value())
    }

    @Test("A close is answered with its code, on both sides, once")
    func close() async throws {
        let loop = runningLoop()
        defer { loop.stop() }
        let serverEnd = Promise<WebSocketEnd>()
        let clientEnd = Promise<WebSocketEnd>()
        let server = try echoServer(on: [loop]) { serverEnd.fulfil($0) }
        loop.execute {
            WebSocketClient.connect(url: "ws://\(server.address)/", on: loop) { result in
                guard case .success(let socket) = result else { return }
                socket.onClose = { clientEnd.fulfil($0) }
                socket.close(code: 4001, reason: "bye")
            }
        }
        #expect(try await serverEnd.value() == .closed(code: 4001, reason: "bye"))
        #expect(try await clientEnd.value() == .closed(code: 4001, reason: ""))
    }
}
