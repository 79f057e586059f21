import CLinux
import Glibc

/// Tries a model in a child process, because sherpa-onnx ends the process on one that it does not take.
package enum SpeechModelCheck {
    /// What a path is to be tried as.
    package enum Kind: String, Sendable, CaseIterable { case detector, voice, recogniser }

    /// Tries it in this process, which a bad model may end.
    package static func run(_ kind: Kind, path: String) throws(SpeechEngineError) {
        switch kind {
        case .detector:
            guard SileroDetector.checkModel(path: path) else { throw .rejected("the voice-activity model") }
        case .voice: try SherpaSynthesizer.checkModel(path: path)
        case .recogniser: try SherpaRecognizer.checkModel(folder: path)
        }
    }

    /// Runs `executable arguments` (a hidden subcommand that calls `run` and exits with 0 for success) as a child
    /// process of at most a minute. Throws what the child, or the library in it, complained of. Blocks: for start-up.
    package static func runInChild(
        executable: String, arguments: [String], path: String
    ) throws(SpeechEngineError) {
        let child = try ChildProcess(executable, arguments, input: [], keepsInput: true)
        let deadline: Int64 = pronto_monotonic_ns() &+ 60_000_000_000
        var buffer = [UInt8](repeating: 0, count: 512)
        var isLate = false
        while true {
            let reading: ChildProcess.Reading = buffer.withUnsafeMutableBytes {
                child.read(into: $0, deadline: deadline)
            }
            if case .bytes = reading { continue }
            isLate = reading == .timedOut
            break
        }
        if isLate { child.kill() }
        let complaint: String? = child.lastComplaint()
        guard !child.reap() || isLate else { return }
        var what: String = complaint ?? "the model ended the process that tried it"
        if isLate { what = "nothing came of it within a minute" }
        // Our own complaint names the path already.
        if what.hasPrefix(path + ": ") { what.removeFirst(path.count + 2) }
        throw .badVoice(path: path, what)
    }
}
