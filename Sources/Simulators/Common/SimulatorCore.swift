import Telephony

/// What a simulated server wants done, in order. Reused.
package struct SimulatorOutput: Sendable {
    package enum Effect: Sendable, Equatable {
        /// Send `bytes[range]`.
        case sendText(Range<Int>)
        case sendBinary(Range<Int>)
        case close(code: UInt16, reason: String)
        /// Cut the TCP connection.
        case reset
        /// Call `wake` then. Replaces the earlier request.
        case wake(at: Duration?)
    }
    package var effects: [Effect] = []
    package var bytes: [UInt8] = []
    package init() {}
    package mutating func removeAll() {
        self.effects.removeAll(keepingCapacity: true)
        self.bytes.removeAll(keepingCapacity: true)
    }
}

/// The server side of one connection as a value: client messages and the time go in, server messages come out.
package protocol SimulatorCore: Sendable {
    associatedtype Record: Sendable
    /// What a test asks afterwards.
    var record: Record { get }
    /// The WebSocket is open.
    mutating func opened(at now: Duration, _ output: inout SimulatorOutput)
    /// A whole message of the client. Borrowed.
    mutating func received(_ bytes: UnsafeRawBufferPointer, at now: Duration, _ output: inout SimulatorOutput)
    /// The time last asked for has come.
    mutating func wake(at now: Duration, _ output: inout SimulatorOutput)
}

/// What a simulated assistant answers, how fast, and what goes wrong. One script serves every provider's wire: each
/// simulator says how it shows a fault that its provider has no such message for.
package typealias AssistantScript = OpenAIRealtimeScript

/// Why a simulator could not start: the address cannot be listened on, or is none.
package typealias SimulatorFailure = OpenAIRealtimeSimulator.Failure

/// What a client message may look like (see there).
typealias WireShape = OpenAIRealtimeShape

/// The faults of a script that have not happened yet.
struct RemainingMishaps: Sendable {
    private var mishaps: [AssistantScript.Mishap]
    init(_ script: AssistantScript) { self.mishaps = script.mishaps }

    mutating func take(at moment: AssistantScript.Moment) -> AssistantScript.Fault? {
        let index = self.mishaps.firstIndex { $0.moment == moment }
        return index.map { self.mishaps.remove(at: $0).fault }
    }

    /// One that is about the making of the nth answer rather than about the connection.
    mutating func takeOfMaking(_ number: Int) -> AssistantScript.Fault? {
        let index = self.mishaps.firstIndex { mishap in
            guard mishap.moment == .response(number) else { return false }
            switch mishap.fault {
            case .slow, .flood, .failedResponse: return true
            default: return false
            }
        }
        return index.map { self.mishaps.remove(at: $0).fault }
    }

    /// One whose time since the opening has come.
    mutating func takeDue(after age: Duration) -> AssistantScript.Fault? {
        let index = self.mishaps.firstIndex { mishap in
            if case .after(let delay) = mishap.moment { return delay <= age }
            return false
        }
        return index.map { self.mishaps.remove(at: $0).fault }
    }

    /// The next of those; nil: none.
    var nextAge: Duration? {
        self.mishaps.compactMap { mishap in
            if case .after(let delay) = mishap.moment { return delay }
            return nil
        }.min()
    }
}

/// An answer while it is being made, piece by piece.
struct SimulatedAnswer: Sendable {
    /// From 1, in order of all answers: mishaps name it.
    let number: Int
    let answer: AssistantScript.Answer
    let sound: OpenAIRealtimeSound
    let format: AudioFormat
    /// When the first piece is due.
    let beginsAt: Duration
    /// From piece to piece; zero: all at once.
    let interval: Duration
    let pieceBytes: Int
    /// It is refused instead of made.
    let failure: String?
    var sentBytes = 0
    private var sentPieces = 0
    private var sentCharacters = 0

    init(
        number: Int, answer: AssistantScript.Answer, script: AssistantScript, format: AudioFormat, at now: Duration,
        fault: AssistantScript.Fault?
    ) {
        var slow: Duration = .zero
        var flood: Duration?
        var failure: String?
        switch fault {
        case .slow(let delay)?: slow = delay
        case .flood(let duration)?: flood = duration
        case .failedResponse(let code, _)?: failure = code
        default: break
        }
        self.number = number
        self.answer = answer
        self.sound = OpenAIRealtimeSound(answer, script: script, format: format, flood: flood)
        self.format = format
        self.beginsAt = now + answer.delay + slow
        let pace = flood == nil ? script.pace : nil
        self.interval = pace.map { script.piece / $0 } ?? .zero
        self.pieceBytes = max(format.bytesPerSample, format.bytes(in: script.piece))
        self.failure = failure
    }

    var isAllSent: Bool { self.answer.text.isEmpty || self.sentBytes >= self.sound.count }
    var nextDue: Duration { self.beginsAt + self.interval * self.sentPieces }
    var sentDuration: Duration { self.format.duration(ofBytes: self.sentBytes) }
    var isHalfSent: Bool { self.sentBytes * 2 >= self.sound.count }
    /// The text told so far.
    var saidText: String { String(self.answer.text.prefix(self.sentCharacters)) }

    /// The next piece's place in the sound.
    mutating func nextPiece() -> Range<Int> {
        let range = self.sentBytes..<min(self.sound.count, self.sentBytes + self.pieceBytes)
        self.sentBytes = range.upperBound
        self.sentPieces += 1
        return range
    }

    /// What of the text goes with the audio so far, beyond what has been told.
    mutating func nextText() -> String {
        let text = self.answer.text
        let share =
            self.sound.count == 0
            ? text.count : Int(Double(text.count) * Double(self.sentBytes) / Double(self.sound.count))
        let end = min(text.count, self.isAllSent ? text.count : share)
        guard end > self.sentCharacters else { return "" }
        let piece = text.dropFirst(self.sentCharacters).prefix(end - self.sentCharacters)
        self.sentCharacters = end
        return String(piece)
    }
}

extension AssistantScript {
    /// The answer to the nth turn; the last is repeated.
    func answer(to index: Int) -> Answer {
        guard let last = self.answers.last else { return self.greeting }
        return index < self.answers.count ? self.answers[index] : last
    }
}
