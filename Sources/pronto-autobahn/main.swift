// The program under test of scripts/autobahn: an echo server, or a client that runs all cases of a fuzzing server.
//
//     pronto-autobahn server <port>
//     pronto-autobahn client <ws://host:port> <agent>
import Glibc
import Networking
import Synchronization
import Telephony

// Cases 9 send 16 MB; 12 and 13 negotiate compression.
var options = WebSocketOptions()
options.maximumMessageSize = 64 * 1024 * 1024
options.highWaterMark = 128 * 1024 * 1024
options.deflate = DeflateOptions()

/// Sends each message back as it came.
func echo(on socket: WebSocket) {
    socket.onMessage = { [unowned socket] kind, bytes in
        switch kind {
        case .text: socket.send(text: bytes)
        case .binary: socket.send(binary: bytes)
        }
    }
}

/// One line to a descriptor. (Swift 6 refuses stdio's global streams.)
func say(_ text: String, to descriptor: Int32 = 1) {
    let bytes = Array((text + "\n").utf8)
    _ = write(descriptor, bytes, bytes.count)
}

func fail(_ message: String) -> Never {
    say("pronto-autobahn: \(message)", to: 2)
    exit(1)
}

/// Runs the fuzzing server's cases one after another.
///
/// Confined to `loop`.
final class CaseRunner {
    private let base: String
    private let agent: String
    private let options: WebSocketOptions
    private let loop: EventLoop
    private var count = 0

    init(_ base: String, _ agent: String, _ options: WebSocketOptions, on loop: EventLoop) {
        self.base = base
        self.agent = agent
        self.options = options
        self.loop = loop
    }

    func begin() {
        self.connect("/getCaseCount") { socket in
            socket.onMessage = { _, bytes in self.count = Int(String(decoding: bytes, as: UTF8.self)) ?? 0 }
            socket.onClose = { _ in
                guard self.count > 0 else { fail("the fuzzing server told no number of cases") }
                self.run(1)
            }
        }
    }

    private func run(_ number: Int) {
        guard number <= self.count else {
            return self.connect("/updateReports?agent=\(self.agent)") { socket in
                socket.onClose = { _ in
                    say("ran \(self.count) cases")
                    exit(0)
                }
            }
        }
        self.connect("/runCase?case=\(number)&agent=\(self.agent)") { socket in
            echo(on: socket)
            socket.onClose = { _ in self.run(number + 1) }
        }
    }

    private func connect(_ path: String, _ connected: @escaping (WebSocket) -> Void) {
        WebSocketClient.connect(url: self.base + path, options: self.options, on: self.loop) { result in
            switch result {
            case .success(let socket): connected(socket)
            case .failure(let error): fail("\(path): \(error)")
            }
        }
    }
}

let arguments = CommandLine.arguments
let loop = EventLoop(name: "autobahn")
loop.start()
let settings = options
switch arguments.dropFirst().first {
case "server" where arguments.count == 3:
    guard let port = Int(arguments[2]), let address = SocketAddress("127.0.0.1", port: port) else {
        fail("not a port: \(arguments[2])")
    }
    do throws(ListenError) {
        let server = try HTTPServer(on: [loop], address: address) { _ in
            { request, responder in
                guard request.isWebSocketUpgrade else {
                    return responder.respond(HTTPResponse(status: 200, text: "echo\n"))
                }
                if let socket = responder.upgradeToWebSocket(options: settings) { echo(on: socket) }
            }
        }
        say("listening on \(server.address)")
        while true { pause() }
    } catch {
        fail("\(error)")
    }
case "client" where arguments.count == 4:
    let (base, agent) = (arguments[2], arguments[3])
    loop.execute { CaseRunner(base, agent, settings, on: loop).begin() }
    while true { pause() }
default:
    fail("usage: pronto-autobahn server <port> | client <url> <agent>")
}
