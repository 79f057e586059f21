import Networking
import Telephony

/// One question to Redis by a program that is no node: connects, asks, and leaves.
package enum RedisQuestion {
    package enum Failure: Error, Sendable, Equatable, CustomStringConvertible {
        case absent(RedisAbsence)
        case refused(String)
        case late

        package var description: String {
            switch self {
            case .absent(let absence): "Redis is away: \(absence.rawValue); \(absence.repair)"
            case .refused(let code): "Redis answered \(code)"
            case .late: "Redis did not answer in time"
            }
        }
    }

    /// - Parameter instance: who says it, where it is said to the nodes.
    package static func ask(
        _ configuration: RedisNodes.Configuration, instance: String, within: Duration = .seconds(2),
        _ command: @escaping @Sendable (NodeScripts) -> RedisCommand
    ) async throws(Failure) -> RedisValue {
        let loop = EventLoop(name: "redis")
        loop.start()
        let scripts = NodeScripts(keys: NodeKeys(prefix: configuration.prefix), instance: instance)
        let result: Result<RedisValue, Failure> = await withCheckedContinuation { continuation in
            loop.execute {
                let link = RedisLink(
                    configuration.endpoint, configuration.session(probe: RedisCommand("PING")), seed: 0, on: loop)
                var isDone = false
                func finish(_ result: Result<RedisValue, Failure>) {
                    guard !isDone else { return }
                    isDone = true
                    continuation.resume(returning: result)
                    link.stop()
                }
                link.onAway = { finish(.failure(.absent($0))) }
                link.onReady = {
                    link.ask(command(scripts), within: within) { outcome in
                        switch outcome {
                        case .value(let value): finish(.success(value))
                        case .refused(let code): finish(.failure(.refused(code)))
                        case .late: finish(.failure(.late))
                        case .away: finish(.failure(.absent(.closed)))
                        }
                    }
                }
                link.start()
            }
        }
        await Task.detached { loop.stop() }.value
        return try result.get()
    }
}
