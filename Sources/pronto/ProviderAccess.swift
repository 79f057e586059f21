import Assistants
import Configuration
import Foundation
import Networking
import PhoneServer
import Records
import Telephony

extension ProviderVoices {
    /// How a service is reached: its address, and the key of the tenant or of the settings.
    struct Access {
        var base: String
        var key: Redacted<String>?
        /// The setting that would hold the key; nil: it needs none.
        var setting: String?
        var headers: [(name: String, value: String)]

        /// For people: without the path, which is of no interest, and never with a key.
        var host: String {
            let rest = self.base.split(separator: "/", omittingEmptySubsequences: true)
            return rest.count > 1 ? String(rest[1]) : self.base
        }
    }

    static func access(
        _ name: String, _ arguments: Arguments, _ store: any RecordsStore, _ settings: Settings
    ) async throws -> Access {
        let (base, key, setting): (String, String?, String?) =
            switch name {
            case "openai": (settings.openAIBaseURL, settings.openAIKey, "OPENAI_API_KEY")
            case "elevenlabs": (settings.elevenLabsBaseURL, settings.elevenLabsKey, "ELEVENLABS_API_KEY")
            case "deepgram": (settings.deepgramBaseURL, settings.deepgramKey, "DEEPGRAM_API_KEY")
            case "gemini": (settings.geminiBaseURL, settings.googleKey, "GOOGLE_API_KEY")
            case "groq": (settings.groqBaseURL, settings.groqKey, "GROQ_API_KEY")
            case "anthropic": (settings.anthropicBaseURL, settings.anthropicKey, "ANTHROPIC_API_KEY")
            default: (settings.pipelineWriterURL, settings.pipelineWriterKey, nil)
            }
        var found = key.map { Redacted($0) }
        // A tenant that is named has the word; the settings' key otherwise.
        if try arguments.optional("--tenant") != nil, let provider = ProviderName(name) {
            let tenant = try await StoreCommands.tenant(of: arguments, store)
            for account in try await store.accounts(of: tenant.id)
            where account.provider == provider && account.isEnabled && account.hasSecret {
                found = try await store.account(provider, kind: account.kind, of: tenant.id)?.secret ?? found
            }
        }
        let isLocal = (try? StageAddress(base))?.isLoopback ?? false
        if found == nil, let setting, !isLocal {
            throw CommandFailure("\(name): no key: set \(setting), or name a tenant that has one with --tenant")
        }
        return Access(base: base, key: found, setting: setting, headers: Self.headers(name, found?.value))
    }

    private static func headers(_ name: String, _ key: String?) -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = name == "anthropic" ? [("anthropic-version", "2026-10-21")] : []
        guard let key else { return headers }
        switch name {
        case "elevenlabs": headers.append(("xi-api-key", key))
        case "deepgram": headers.append(("Authorization", "Token " + key))
        case "gemini": headers.append(("x-goog-api-key", key))
        default: headers.append(("Authorization", "Bearer " + key))
        }
        return headers
    }
}

extension ProviderVoices.Access {
    /// Asks for `path`, which begins with a slash, and reads the JSON of the answer.
    func get(_ path: String, authorities: String?) async throws -> JSONValue {
        let parts = path.split(separator: "?", maxSplits: 1)
        let url: String
        do throws(SpeechPipelineError) { url = try StageAddress(self.base).http(String(parts[0])) } catch {
            throw CommandFailure(error.message)
        }
        let target = HTTPTarget(
            method: "GET", url: parts.count == 2 ? url + "?" + parts[1] : url, headers: self.headers,
            timeout: .seconds(30))
        let body = try await self.perform(target, authorities: authorities)
        guard let value = JSONValue(json: String(decoding: body, as: UTF8.self)) else {
            throw CommandFailure("\(self.host) answered with something that is no JSON")
        }
        return value
    }

    /// Makes one exchange and gives the body of a good answer; throws what is wrong in plain words.
    func perform(_ target: HTTPTarget, authorities: String?) async throws -> [UInt8] {
        let loop = EventLoop(name: "provider")
        loop.start()
        let (stream, continuation) = AsyncStream.makeStream(of: Piece.self)
        let http = ProviderHTTP(authorities: authorities)
        loop.execute {
            _ = http.start(target, as: .main, on: loop) { event in
                switch event {
                case .responseHead(_, let status, _): continuation.yield(.status(status))
                case .bytes(_, let bytes): continuation.yield(.bytes(Array(bytes)))
                case .closed(_, let end):
                    continuation.yield(.end(end))
                    continuation.finish()
                default: break
                }
            }
        }
        var status = 0
        var body: [UInt8] = []
        var end = ChannelEnd.failed(slug: "stopped")
        for await piece in stream {
            switch piece {
            case .status(let code): status = code
            case .bytes(let bytes): body += bytes
            case .end(let how): end = how
            }
        }
        loop.stop()
        if case .failed(let slug) = end {
            throw CommandFailure("\(self.host) was not reached: \(slug)")
        }
        switch status {
        case 200: return body
        case 401, 403:
            throw CommandFailure(
                "\(self.host) refuses the key (HTTP \(status)): check \(self.setting ?? "it"), or the tenant's own")
        case 404: throw CommandFailure("\(self.host) does not know this (HTTP 404): check the name and the base URL")
        case 429: throw CommandFailure("\(self.host) has no capacity or credit left for this key (HTTP 429)")
        default:
            let said = String(decoding: body.prefix(300), as: UTF8.self).split(whereSeparator: \.isNewline).joined(
                separator: " ")
            throw CommandFailure("\(self.host) refuses (HTTP \(status)): \(said)")
        }
    }

    private enum Piece: Sendable {
        case status(Int)
        case bytes([UInt8])
        case end(ChannelEnd)
    }
}
