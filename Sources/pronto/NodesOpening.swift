import Configuration
import Foundation
import Networking
import Observability
import SharedState
import Telephony

/// The other nodes as the settings say.
enum NodesOpening {
    /// Nil: this node is alone.
    static func nodes(
        _ settings: Settings, _ logger: Logger, _ registry: MetricsRegistry, _ trust: TLSContext?
    ) throws -> RedisNodes? {
        guard let configuration = try self.configuration(settings, trust) else { return nil }
        return RedisNodes(
            configuration, instance: UUID().uuidString.lowercased(), seed: UInt64.random(in: 0...UInt64.max),
            logger: logger, metrics: NodeMetrics(registry: registry))
    }

    /// Nil: REDIS_HOST is unset.
    static func configuration(_ settings: Settings, _ trust: TLSContext?) throws -> RedisNodes.Configuration? {
        guard let host = settings.redisHost, let port = UInt16(exactly: settings.redisPort) else { return nil }
        var tls: TLSContext?
        do throws(TLSConfigurationError) {
            if settings.redisTLS { tls = if let trust { trust } else { try TLSContext.client() } }
        } catch {
            throw StartError("REDIS_TLS: \(error); install ca-certificates, or set PRONTO_CA_FILE")
        }
        var configuration = RedisNodes.Configuration(
            endpoint: RedisEndpoint(host: host, port: port, tls: tls), name: self.name(settings))
        configuration.user = settings.redisUser
        configuration.password = settings.redisPassword.map { Redacted($0) }
        configuration.database = settings.redisDatabase
        configuration.prefix = settings.redisPrefix
        configuration.deadline = settings.redisDeadline
        return configuration
    }

    /// What this node is called, among others or alone: in the list of nodes, and in its calls' records.
    static func name(_ settings: Settings) -> String { settings.nodeName ?? self.hostName }

    /// The kernel's: to ask the resolver for one's own name can take long.
    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "node" }
        let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.isEmpty ? "node" : String(text.prefix(64))
    }

    // MARK: Changes from the command line

    /// Whether a command of the store changes what nodes have in memory.
    static func isChange(_ command: String, _ words: [String]) -> Bool {
        guard ["tenant", "assistant", "destination", "provider"].contains(command), let word = words.first else {
            return false
        }
        return word != "list"
    }

    /// Takes calls out of what the nodes share, for a command; nil: this node is alone.
    static func forgetting(_ settings: Settings) throws -> (@Sendable ([CallID], TenantID) async -> Int?)? {
        let trust = try settings.caFile.map { try TLSContext.client(authorities: $0, besidesSystem: true) }
        guard let configuration = try self.configuration(settings, trust) else { return nil }
        let instance = "command-\(ProcessInfo.processInfo.processIdentifier)"
        return { calls, tenant in
            do throws(RedisQuestion.Failure) {
                return try await RedisQuestion.ask(configuration, instance: instance, within: .seconds(5)) { scripts in
                    scripts.forget(calls, of: tenant)
                }.number
            } catch {
                Pronto.complain("warning: \(error)")
                return nil
            }
        }
    }

    /// Tells the nodes to read the configuration anew. They find a change by themselves within seconds: a Redis that is
    /// away is a warning, and the command has done its work.
    static func announceChange(_ settings: Settings) async {
        do {
            let trust = try settings.caFile.map { try TLSContext.client(authorities: $0, besidesSystem: true) }
            guard let configuration = try self.configuration(settings, trust) else { return }
            let instance = "command-\(ProcessInfo.processInfo.processIdentifier)"
            _ = try await RedisQuestion.ask(configuration, instance: instance) { scripts in
                RedisCommand("PUBLISH", scripts.keys.news, NodeNews.configurationChanged.text(from: instance))
            }
        } catch {
            Pronto.complain("warning: the nodes were not told, and will find the change by themselves: \(error)")
        }
    }
}

/// `pronto nodes`: who lives, as the nodes themselves see it.
enum NodesCommand {
    static func run(_ arguments: [String], environment: [String: String]) async throws -> String {
        let parsed = try Arguments(arguments, options: ["--config"])
        if let word = parsed.words.first { throw ArgumentError.tooMany(word) }
        let settings = try Settings.load(
            folder: ".", file: try parsed.optional("--config"), environment: environment, arguments: parsed.settings)
        return try await self.list(settings)
    }

    static func list(_ settings: Settings) async throws -> String {
        let trust = try settings.caFile.map { try TLSContext.client(authorities: $0, besidesSystem: true) }
        guard let configuration = try NodesOpening.configuration(settings, trust) else {
            throw CommandFailure("REDIS_HOST is not set: this installation has one node, which has no list")
        }
        let reply: RedisValue
        do throws(RedisQuestion.Failure) {
            reply = try await RedisQuestion.ask(configuration, instance: "command") { $0.nodes }
        } catch {
            throw CommandFailure("\(error)")
        }
        let nodes = (reply.elements ?? []).compactMap(NodeSighting.init).sorted { $0.state.name < $1.state.name }
        return StoreCommands.table(
            ["name", "state", "calls", "address", "heard"],
            nodes.map { node in
                [
                    node.state.name, node.state.isDraining ? "draining" : "serving", String(node.state.calls),
                    node.state.address, "\(node.age.milliseconds) ms ago",
                ]
            })
    }
}
