import Configuration
import Foundation

/// The program: one word chooses the command, the rest is its own.
@main
enum Pronto {
    static let version = "0.1.0"

    static func main() async {
        // OpenSSL and broken pipes would otherwise end the process (engineering-notes.md, traps).
        signal(SIGPIPE, SIG_IGN)
        // A file that reaches the size this process may write is an error of that file (EFBIG), as a full disk is.
        signal(SIGXFSZ, SIG_IGN)
        let arguments = Array(CommandLine.arguments.dropFirst())
        let status = await self.run(arguments.first ?? "help", Array(arguments.dropFirst()))
        exit(status)
    }

    private static func run(_ command: String, _ arguments: [String]) async -> Int32 {
        do {
            switch command {
            case "serve": return try await ServeCommand.run(arguments)
            case "demo": return try await DemoCommand.run(arguments)
            case "call": return await CallCommand.run(arguments: arguments)
            case "esl": return try await EslCommand.run(arguments)
            case "dialplan":
                let outcome = try await DialplanCommand.run(
                    arguments, folder: ".", environment: ProcessInfo.processInfo.environment)
                print(outcome.text, terminator: outcome.text.hasSuffix("\n") ? "" : "\n")
                return outcome.status
            case "doctor":
                let outcome = try await DoctorCommand.run(
                    arguments, folder: ".", environment: ProcessInfo.processInfo.environment)
                print(outcome.text, terminator: outcome.text.hasSuffix("\n") ? "" : "\n")
                return outcome.status
            case "nodes":
                print(try await NodesCommand.run(arguments, environment: ProcessInfo.processInfo.environment))
                return 0
            case "simulate": return try await SimulateCommand.run(arguments)
            case "provider" where arguments.first == "test":
                let outcome = try await ProviderCommand.test(
                    arguments, folder: ".", environment: ProcessInfo.processInfo.environment)
                print(outcome.text)
                return outcome.status
            case let name where StoreCommands.names.contains(name):
                let text = try await StoreCommands.run(
                    name, arguments, folder: ".", environment: ProcessInfo.processInfo.environment)
                print(text, terminator: text.hasSuffix("\n") ? "" : "\n")
                return 0
            case "check-speech-model": return SpeechModelTrial.run(arguments)
            case "version", "--version":
                print("pronto \(self.version)")
                return 0
            case "help", "--help", "-h":
                print(self.help)
                return 0
            default:
                Self.complain("\(command): no such command\n\n\(self.help)")
                return 64
            }
        } catch let error as ConfigurationError {
            Self.complain("\(error)")
            return 78
        } catch let error as ArgumentError {
            Self.complain("pronto \(command): \(error)")
            return 64
        } catch {
            Self.complain("pronto \(command): \(error)")
            return 1
        }
    }

    static func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    static let help = """
        pronto: a voice-AI gateway for FreeSWITCH and FusionPBX

          pronto serve                     answer calls (settings: docs/configuration.md)
          pronto demo                      the whole thing on one screen: no key, no PBX
          pronto call URL                  a software phone: speak to any gateway, in any dialect
          pronto esl [COMMAND…]            FreeSWITCH's Event Socket: one command, or a console
          pronto tenant add|set|list       the customers of this installation, and their switches
          pronto assistant add|list|remove the assistants of a tenant
          pronto destination add|list      where callers can be handed to
          pronto provider set-key          a tenant's own key for a provider (stored encrypted)
          pronto provider test NAME        a real session with the configured key: times, or what is wrong
          pronto provider voices NAME      its voices, languages and models; `preview` speaks one into a WAV file
          pronto route --did N --at TIME   whether the AI would answer, step by step
          pronto trunk add|list|remove     which calls are the AI's, when, and who else rings
          pronto agent add|list|remove     the agents that trunks name
          pronto calendar import FILE      holidays and exceptions from an iCalendar file
          pronto activity [list]           what routing decided
          pronto calls list|show ID        what happened on calls
          pronto costs                     what a tenant's calls cost at their providers, by day
          pronto migrate up|down|status    the database's schema
          pronto token issue|jwt           a signed token for a stream, or for the API
          pronto api-token create|list|revoke   tokens of the HTTP API
          pronto signing-key add|list|remove    keys that a tenant signs its own tokens with
          pronto secrets rotate|new-key    the key that secrets are kept with: another one, or a first
          pronto forget --caller NUMBER    erases what one caller left behind
          pronto nodes                     the nodes of this installation that live (REDIS_HOST)
          pronto doctor [--call NUMBER]    what is wrong with FreeSWITCH, FusionPBX and this, and the repair
          pronto dialplan print|diff|install   what FreeSWITCH or FusionPBX needs, with difference and rollback
          pronto config [--markdown]       every setting, with its value and where it comes from
          pronto simulate NAME             openai, elevenlabs, gemini, deepgram or chat on loopback, for tests
        """
}
