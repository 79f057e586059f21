import Audio
import Foundation
import Networking
import Synchronization
import Telephony

/// The smallest telephone: L16 at 8 kHz, 20 ms a message, a tone or silence, and ears.
final class TestPhone: Sendable {
    struct Heard: Sendable {
        var audio = 0
        var texts: [String] = []
        var end: WebSocketEnd?
        /// Bytes of audio that had come when the last flush came.
        var audioAtFlush: Int?
    }
    private final class Line {
        var socket: WebSocket?
        var isSpeaking = false
        var timer: TimerID?
        var tone = Tone(440, amplitude: 0.5, rate: .narrowband)
    }

    let heard = Observed(Heard())
    private let loop: EventLoop
    private let line: LoopBound<Line>

    private init(loop: EventLoop, line: LoopBound<Line>) {
        self.loop = loop
        self.line = line
    }

    /// Connects; throws `WebSocketConnectError` when the gateway refuses.
    static func dial(
        port: UInt16, path: String, headers: [(name: String, value: String)] = [], on loop: EventLoop
    ) async throws -> TestPhone {
        let url = "ws://127.0.0.1:\(port)\(path)"
        return try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                WebSocketClient.connect(url: url, headers: headers, timeout: .seconds(5), on: loop) { result in
                    switch result {
                    case .failure(let error): continuation.resume(throwing: error)
                    case .success(let socket):
                        let line = Line()
                        line.socket = socket
                        let phone = TestPhone(loop: loop, line: LoopBound(line, on: loop))
                        phone.listen(line, socket)
                        continuation.resume(returning: phone)
                    }
                }
            }
        }
    }

    private func listen(_ line: Line, _ socket: WebSocket) {
        let heard = self.heard
        socket.onMessage = { kind, message in
            let count = message.count
            if kind == .binary {
                heard.change { $0.audio += count }
            } else {
                let text = String(decoding: message, as: UTF8.self)
                heard.change {
                    $0.texts.append(text)
                    if text.contains("stopAudio") { $0.audioAtFlush = $0.audio }
                }
            }
        }
        socket.onClose = { end in
            heard.change { $0.end = end }
            if let timer = line.timer { line.timer = nil; socket.loop.cancel(timer) }
            line.socket = nil
        }
        self.tick(line, at: self.loop.now)
    }

    private func tick(_ line: Line, at time: Duration) {
        line.timer = self.loop.schedule(at: time) { [self] in
            guard let socket = line.socket else { return }
            var bytes = [UInt8](repeating: 0, count: 320)
            if line.isSpeaking {
                var samples: [Int16] = []
                line.tone.append(samples: 160, to: &samples)
                bytes.removeAll(keepingCapacity: true)
                for sample in samples {
                    bytes.append(UInt8(truncatingIfNeeded: sample))
                    bytes.append(UInt8(truncatingIfNeeded: sample >> 8))
                }
            }
            _ = bytes.withUnsafeBytes { socket.send(binary: $0) }
            self.tick(line, at: time + .milliseconds(20))
        }
    }

    func speak(_ isSpeaking: Bool) { self.loop.execute { [line] in line.value.isSpeaking = isSpeaking } }
    func send(_ text: String) { self.loop.execute { [line] in _ = line.value.socket?.send(text: text) } }
    func hangUp() { self.loop.execute { [line] in line.value.socket?.close(code: 1000, reason: "Normal closure") } }
    /// The network breaks: no close frame.
    func cut() {
        self.fallSilent()
        self.loop.execute { [line] in
            line.value.socket?.abort()
            line.value.socket = nil
        }
    }
    /// The phone's clock stands still, the socket stays open.
    func fallSilent() {
        self.loop.execute { [line, loop] in
            if let timer = line.value.timer { loop.cancel(timer) }
            line.value.timer = nil
        }
    }
    func sendBinary(_ count: Int) {
        self.loop.execute { [line] in
            let bytes = [UInt8](repeating: 0, count: count)
            _ = bytes.withUnsafeBytes { line.value.socket?.send(binary: $0) }
        }
    }
}
