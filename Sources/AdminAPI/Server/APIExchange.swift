import Networking
import Telephony

/// The reader of a streamed answer is gone.
struct ReaderGone: Error {}

/// One request under way: who answers it, and until when. Confined to its loop; its handler reaches it from outside by a
/// `LoopBound`.
final class APIExchange {
    private var responder: HTTPResponder?
    private let loop: EventLoop
    private let stall: Duration
    private var task: Task<Void, Never>?
    private var timer: TimerID?

    /// Bytes that may wait for a slow reader before the handler does.
    private static let ahead = 256 * 1024

    init(_ responder: HTTPResponder, stall: Duration) {
        self.responder = responder
        self.loop = responder.loop
        self.stall = stall
    }

    func begin(_ task: Task<Void, Never>, deadline: Duration, late: @escaping () -> Void) {
        self.task = task
        self.responder?.onCancel = { [weak self] in
            self?.task?.cancel()
            self?.close()
        }
        self.timer = self.loop.schedule(after: deadline) { [weak self] in
            guard let self, self.responder != nil else { return }
            late()
            self.timer = nil
            self.task?.cancel()
            self.finish(APIProblem.unavailable("The answer took too long. Ask again later.").response)
        }
    }

    /// Answers, whole. Nothing happens when it has been answered.
    func finish(_ response: HTTPResponse) {
        self.responder?.respond(response)
        self.close()
    }

    private func close() {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.responder = nil
        self.task = nil
    }

    /// Sends what the handler made; a stream is produced here, off the loop.
    static func respond(_ response: APIResponse, _ box: LoopBound<APIExchange>) async {
        let loop = box.loop
        switch response.body {
        case .none: loop.execute { box.value.finish(HTTPResponse(status: response.status, headers: response.headers)) }
        case .json(let value):
            var headers = response.headers
            headers.add("Content-Type", "application/json")
            if headers["Cache-Control"] == nil { headers.add("Cache-Control", "no-store") }
            let whole = HTTPResponse(status: response.status, headers: headers, body: Array((value.json + "\n").utf8))
            loop.execute { box.value.finish(whole) }
        case .stream(let type, let length, let produce):
            var headers = response.headers
            headers.add("Content-Type", type)
            headers.add("Cache-Control", "no-store")
            let head = headers
            loop.execute { box.value.beginStreaming(response.status, head, length) }
            do {
                try await produce(ExchangePieces(box: box))
                loop.execute { box.value.endStreaming() }
            } catch {
                // Half an answer must not look whole: dropping the responder breaks the connection.
                loop.execute { box.value.close() }
            }
        }
    }

    private func beginStreaming(_ status: Int, _ headers: HTTPHeaders, _ length: Int?) {
        // Its beginning is in time; from here on the reader's pace counts.
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        self.responder?.beginStreaming(status: status, headers: headers, length: length)
    }

    private func endStreaming() {
        self.responder?.end()
        self.close()
    }

    enum Progress { case written, full, gone }

    fileprivate func write(_ bytes: [UInt8]) -> Progress {
        guard let responder = self.responder, responder.isPending else { return .gone }
        guard responder.bufferedBytes <= Self.ahead else { return .full }
        return bytes.withUnsafeBytes { responder.write($0) } ? .written : .gone
    }

    fileprivate var patience: Duration { self.stall }
}

/// The handler's end of a streamed answer.
private struct ExchangePieces: APIPieces {
    let box: LoopBound<APIExchange>

    func write(_ bytes: [UInt8]) async throws {
        let pause = Duration.milliseconds(20)
        var waited = Duration.zero
        while true {
            try Task.checkCancellation()
            let (progress, patience) = await self.attempt(bytes)
            switch progress {
            case .written: return
            case .gone: throw ReaderGone()
            case .full:
                guard waited < patience else { throw ReaderGone() }
                waited += pause
                try await Task.sleep(for: pause)
            }
        }
    }

    private func attempt(_ bytes: [UInt8]) async -> (APIExchange.Progress, Duration) {
        await withCheckedContinuation { continuation in
            self.box.loop.execute {
                continuation.resume(returning: (self.box.value.write(bytes), self.box.value.patience))
            }
        }
    }
}
