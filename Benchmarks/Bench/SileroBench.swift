import Foundation
import SpeechEngines
import Telephony

/// What hearing where the caller speaks costs: on the call's loop, and on the pool's threads.
enum SileroBench {
    /// Where `scripts/install` puts the model; another by PRONTO_SILERO_MODEL.
    private static var model: String {
        ProcessInfo.processInfo.environment["PRONTO_SILERO_MODEL"] ?? ".deps/models/" + SileroDetector.modelName
    }

    static func findings() throws -> [Finding] {
        try self.listener() + self.detector()
    }

    /// The loop's part, which every call with local turns pays: conversion to 16 kHz, level, gate.
    private static func listener() throws -> [Finding] {
        let pool = WorkerPool(name: "bench", threads: 1, limit: 64)
        defer { pool.stop() }
        var listener = try SpeechListener(
            format: .pcmu, engines: ListeningEngines(recognizer: nil, detectors: nil, pool: pool)
        ) { _ in }
        let quiet = [UInt8](repeating: 0xFF, count: 160)
        let finding = measure("listening, 20 ms of a quiet line", operations: 2000, mustNotAllocate: true) {
            quiet.withUnsafeBytes { bytes in for _ in 0..<2000 { listener.hear(bytes) } }
        }
        listener.close()
        return [finding]
    }

    /// Silero itself, on one thread. What is in the window does not change what it costs.
    private static func detector() throws -> [Finding] {
        guard SileroDetector.isBuiltIn else {
            print("Silero: not measured, built without the trait LocalSpeech")
            return []
        }
        guard FileManager.default.isReadableFile(atPath: self.model) else {
            print("Silero: not measured, no \(self.model) here (scripts/install, or PRONTO_SILERO_MODEL)")
            return []
        }
        let trial = try SileroTrial(model: self.model)
        let window: [Int16] = (0..<SileroDetector.window).map { Int16(truncatingIfNeeded: $0 &* 7919 % 9000 - 4500) }
        return [
            measure("Silero, a window of 32 ms", operations: 200) {
                for _ in 0..<200 { keep(trial.hears(window)) }
            }
        ]
    }
}
