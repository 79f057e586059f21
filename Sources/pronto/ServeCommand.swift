import Configuration
import Dispatch
import Foundation
import Observability

/// `pronto serve`: answers calls until it is told to stop.
enum ServeCommand {
    static func run(_ arguments: [String]) async throws -> Int32 {
        let parsed = try Arguments(arguments, options: ["--config"])
        if let word = parsed.words.first { throw ArgumentError.tooMany(word) }
        let settings = try Settings.load(
            folder: ".", file: try parsed.optional("--config"), environment: ProcessInfo.processInfo.environment,
            arguments: parsed.settings)
        let process = try await GatewayProcess(settings: settings, logger: Self.logger(settings))
        process.start()
        for await signal in Signals.stream([SIGTERM, SIGINT, SIGHUP]) {
            if signal == SIGHUP {
                await process.reload()
            } else {
                break
            }
        }
        await process.stop(patience: settings.drain)
        return 0
    }

    static func logger(_ settings: Settings) -> Logger {
        let level = Observability.LogLevel(rawValue: settings.logLevel.rawValue) ?? .info
        return Logger(level: level, form: settings.logFormat == .json ? .json : .text)
    }
}

/// Dispatch's sources are safe to cancel from anywhere; the module only does not say so.
private final class SignalSources: @unchecked Sendable {
    private let sources: [any DispatchSourceSignal]
    init(_ sources: [any DispatchSourceSignal]) { self.sources = sources }
    func cancel() { for source in self.sources { source.cancel() } }
}

/// Signals as a stream, so that they are handled where tasks live.
enum Signals {
    static func stream(_ numbers: [Int32]) -> AsyncStream<Int32> {
        AsyncStream { continuation in
            var sources: [any DispatchSourceSignal] = []
            for number in numbers {
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler { continuation.yield(number) }
                source.activate()
                sources.append(source)
            }
            let held = SignalSources(sources)
            continuation.onTermination = { _ in held.cancel() }
        }
    }
}
