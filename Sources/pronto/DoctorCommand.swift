import Configuration
import Foundation

/// `pronto doctor`: looks at everything that has gone wrong in installations, and says the repair of each. Changes
/// nothing; `--call` places one call.
enum DoctorCommand {
    static let usage = """
        pronto doctor [--json] [--strict] [--context NAME]… [--scripts FOLDER] [--profile internal] [--sip-port N] [--providers]
        pronto doctor --call EXTENSION [--context NAME] [--seconds 20]

        Asks FreeSWITCH by its Event Socket (ESL_HOST, ESL_PORT, ESL_PASSWORD), reads scripts, ports, and FusionPBX's
        database and cache where they are; looks at Pronto's database (reachable, schema, rights, secrets), at what its
        assistants need, and at Redis. --providers tries each back end's key with a greeting, which costs one. --call places a call to EXTENSION through the dialplan and listens.
        Status 0: nothing failed (with --strict: nor is anything a warning). 1: something did.
        """

    static func run(_ words: [String], folder: String, environment: [String: String]) async throws
        -> DialplanCommand.Outcome
    {
        let arguments = try Arguments(
            words,
            options: [
                "--config", "--context", "--scripts", "--profile", "--sip-port", "--call", "--seconds",
                "--fusionpbx-config",
            ], flags: ["--json", "--strict", "--help", "--providers"])
        if let word = arguments.words.first { throw ArgumentError.tooMany(word) }
        guard !arguments.has("--help") else { return DialplanCommand.Outcome(text: Self.usage) }
        let settings = try Settings.load(
            folder: folder, file: try arguments.optional("--config"), environment: environment,
            arguments: arguments.settings)
        let contexts = arguments.all("--context")
        for context in contexts where !DialplanParameters.isWord(context) {
            throw ArgumentError.notAllowed(option: "--context", allowed: "1 to 128 letters, digits, -, _ and .")
        }
        func word(_ option: String) throws -> String? {
            try arguments.optional(option, allowed: "letters, digits, -, _ and .") {
                DialplanParameters.isWord($0) ? $0 : nil
            }
        }
        let checks: [DoctorFinding]
        if let number = try arguments.optional(
            "--call", allowed: "an extension", { DialplanParameters.isNumber($0) ? $0 : nil })
        {
            let seconds = try arguments.optional("--seconds", allowed: "5 to 120") { text in
                Int(text).flatMap { (5...120).contains($0) ? $0 : nil }
            }
            checks = await DoctorCall.place(
                number, context: contexts.first ?? "default", listening: .seconds(seconds ?? 20), settings)
        } else {
            var order = DoctorGathering.Order(contexts: contexts.isEmpty ? ["default", "public"] : contexts)
            order.triesProviders = arguments.has("--providers")
            order.profile = try word("--profile") ?? "internal"
            order.scripts = try arguments.optional("--scripts")
            order.sipPort = try arguments.optional("--sip-port", allowed: "1 to 65535") { text in
                Int(text).flatMap { (1...65535).contains($0) ? $0 : nil }
            }
            order.fusionFile = try arguments.optional("--fusionpbx-config") ?? FusionPBXHost.defaultFile
            let facts = await DoctorGathering.gather(order, settings, environment: environment)
            checks = DoctorChecks.findings(facts)
        }
        let report = DoctorReport(checks)
        return DialplanCommand.Outcome(
            text: arguments.has("--json") ? report.json : report.text,
            status: report.status(strict: arguments.has("--strict")))
    }
}
