import Audio
import Telephony

/// Walks through a caller's script, 20 ms at a time.
struct PhoneScriptRunner: Sendable {
    /// What the caller has heard so far.
    struct Hearing {
        /// End of the agent's last sound.
        var lastSound: Duration?
        /// Length of all of the agent's sound.
        var agentHeard: Duration
    }

    /// What the caller does. After `began`, `digit`, `text` and `timedOut` ask again for the same 20 ms.
    enum Move: Equatable {
        /// These 20 ms go up; what was appended is the beginning of them, the rest is silence.
        case frame
        /// Nothing goes up.
        case nothing(isHeld: Bool)
        case began(index: Int, name: String)
        case digit(Redacted<Character>)
        case text(String)
        /// The agent was waited for in vain.
        case timedOut
        case hangUp
        case finished
    }

    /// Where the last frame stood in what is being said.
    struct Speech: Equatable {
        /// It was the first voiced frame.
        var began = false
        /// It was the last voiced frame.
        var ended = false
        /// It is spoken over the agent on purpose.
        var interrupts = false
    }

    private(set) var speech = Speech()
    private var steps: [PhoneStep]
    private var index = 0
    /// Steps that are done and forgotten.
    private var forgotten = 0
    private let frameSamples: Int
    /// Whether the current step has been announced; since when it runs, and what had been heard of the agent by then.
    private var hasBegun = false
    private var since: Duration = .zero
    private var heardBefore: Duration = .zero
    /// An interruption has found its moment.
    private var isSpeaking = false
    private var position = 0
    private var voiced: (first: Int, last: Int)?

    init(_ steps: [PhoneStep], rate: SampleRate) {
        self.steps = steps
        self.frameSamples = rate.samples(in: .milliseconds(20))
    }

    mutating func append(_ steps: [PhoneStep]) { self.steps.append(contentsOf: steps) }

    var isWaitingForAgent: Bool {
        if self.index < self.steps.count, case .waitForAgent = self.steps[self.index] { return true }
        return false
    }

    mutating func next(at now: Duration, _ hearing: Hearing, into frame: inout [Int16]) -> Move {
        self.speech = Speech()
        while self.index < self.steps.count {
            let step: PhoneStep = self.steps[self.index]
            if !self.hasBegun {
                self.begin(step, at: now, hearing)
                return .began(index: self.forgotten + self.index, name: step.name)
            }
            switch step {
            case .silence(let duration):
                if now - self.since < duration { return .frame }
            case .hold(let duration):
                if now - self.since < duration { return .nothing(isHeld: true) }
            case .pause(let duration):
                if now - self.since < duration { return .nothing(isHeld: false) }
            case .speak(let samples):
                if self.say(samples, interrupts: false, into: &frame) { return .frame }
            case .waitForAgent(let quiet, let timeout):
                if self.hasSpoken(hearing), let last = hearing.lastSound, now - last >= quiet { break }
                if now - self.since < timeout { return .frame }
                self.advance()
                return .timedOut
            case .interrupt(let duration, let samples, let timeout):
                if !self.isSpeaking {
                    let heard: Duration = hearing.agentHeard - self.heardBefore
                    guard heard >= duration || now - self.since >= timeout else { return .frame }
                    self.isSpeaking = true
                }
                if self.say(samples, interrupts: true, into: &frame) { return .frame }
            case .digit(let digit):
                self.advance()
                return .digit(digit)
            case .text(let text):
                self.advance()
                return .text(text)
            case .hangUp:
                self.advance()
                return .hangUp
            }
            self.advance()
        }
        return .finished
    }

    private func hasSpoken(_ hearing: Hearing) -> Bool { hearing.agentHeard > self.heardBefore }

    private mutating func begin(_ step: PhoneStep, at now: Duration, _ hearing: Hearing) {
        self.hasBegun = true
        self.since = now
        self.heardBefore = hearing.agentHeard
        self.isSpeaking = false
        self.position = 0
        switch step {
        case .speak(let samples), .interrupt(_, let samples, _): self.voiced = self.voicedFrames(of: samples)
        case .silence, .waitForAgent, .digit, .text, .hold, .pause, .hangUp: self.voiced = nil
        }
    }

    private mutating func advance() {
        self.index += 1
        self.hasBegun = false
        // A phone that stays on the line is given steps for as long as it lives.
        if self.index == 256 {
            self.steps.removeFirst(self.index)
            self.forgotten += self.index
            self.index = 0
        }
    }

    /// Appends the next 20 ms of `samples`; false when all has been said.
    private mutating func say(_ samples: [Int16], interrupts: Bool, into frame: inout [Int16]) -> Bool {
        let start: Int = self.position * self.frameSamples
        guard start < samples.count else { return false }
        frame.append(contentsOf: samples[start..<min(samples.count, start + self.frameSamples)])
        if let voiced = self.voiced {
            self.speech = Speech(
                began: self.position == voiced.first, ended: self.position == voiced.last, interrupts: interrupts)
        }
        self.position += 1
        return true
    }

    /// The first and the last frame that can be heard; nil when none can.
    private func voicedFrames(of samples: [Int16]) -> (first: Int, last: Int)? {
        var found: (first: Int, last: Int)?
        samples.withUnsafeBufferPointer { samples in
            for (index, start) in stride(from: 0, to: samples.count, by: self.frameSamples).enumerated() {
                let frame = UnsafeBufferPointer(
                    rebasing: samples[start..<min(samples.count, start + self.frameSamples)])
                guard Level(of: frame).rms > PhoneSimulatorCore.voicedLevel else { continue }
                found = (found?.first ?? index, index)
            }
        }
        return found
    }
}
