import Foundation
import Synchronization

/// What a program said and how it ended.
struct ProgramResult: Sendable {
    var status: Int32
    var output: String
    var errors: String
}

/// Runs a program of the system for an operator's command: text in, text out, a deadline, never a shell.
///
/// Secrets go by the environment or standard input: arguments are seen by every user of the machine.
enum ChildProgram {
    static func run(
        _ path: String, _ arguments: [String], environment: [String: String], input: String = "",
        deadline: Duration = .seconds(60)
    ) async throws -> ProgramResult {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = environment
        let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = stderr
        do { try process.run() } catch { throw CommandFailure("\(path) cannot be started: is it installed?") }
        let pid = process.processIdentifier
        let watchdog = Task {
            try await Task.sleep(for: deadline)
            kill(pid, SIGTERM)
        }
        defer { watchdog.cancel() }
        // Three pipes at once: whichever filled up while another is waited for would hold the program.
        async let output = Self.all(of: stdout.fileHandleForReading)
        async let errors = Self.all(of: stderr.fileHandleForReading)
        await Self.write(input, to: stdin.fileHandleForWriting)
        let texts = await (output, errors)
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            DispatchQueue.global().async {
                process.waitUntilExit()
                done.resume()
            }
        }
        return ProgramResult(status: process.terminationStatus, output: texts.0, errors: texts.1)
    }

    /// Where `name` is, in the folders of PATH.
    static func find(_ name: String, environment: [String: String]) -> String? {
        let folders = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":").map(String.init)
        return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    private static func all(of handle: FileHandle) async -> String {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(returning: String(decoding: handle.readDataToEndOfFile(), as: UTF8.self))
            }
        }
    }

    private static func write(_ text: String, to handle: FileHandle) async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            DispatchQueue.global().async {
                // A program that ends early closes its end; its status and its words say why.
                try? handle.write(contentsOf: Data(text.utf8))
                try? handle.close()
                done.resume()
            }
        }
    }
}
