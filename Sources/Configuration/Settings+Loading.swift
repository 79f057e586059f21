import Foundation

extension Settings {
    /// Reads every source: `file`, or `pronto.toml` or `pronto.json` in `folder`; `.env` in `folder`; the environment;
    /// the command line. A missing file is none, except one that was named.
    package static func load(
        folder: String, file: String? = nil, environment: [String: String], arguments: [RawValue] = []
    ) throws(ConfigurationError) -> Settings {
        var problems: [ConfigurationProblem] = []
        var layers: [[RawValue]] = []
        func add(
            _ path: String, _ name: String, isWanted: Bool, _ parse: (String) throws(ConfigurationError) -> [RawValue]
        ) {
            do throws(ConfigurationError) {
                guard let text = try Self.text(path, name, isWanted: isWanted) else { return }
                layers.append(try parse(text))
            } catch {
                problems += error.problems
            }
        }
        let paths = file.map { [$0] } ?? ["\(folder)/pronto.toml", "\(folder)/pronto.json"]
        for path in paths {
            let name = String(path.split(separator: "/").last ?? Substring(path))
            add(path, name, isWanted: file != nil) { text throws(ConfigurationError) in
                path.hasSuffix(".json")
                    ? try JSONFile.values(in: text, name: name) : try TOML.values(in: text, name: name)
            }
        }
        if layers.count > 1 {
            let origin = Origin.file("pronto.json", line: nil)
            let why = "there is pronto.toml as well: keep one"
            problems.append(ConfigurationProblem(key: "pronto.json", origin: origin, kind: .conflict(why)))
        }
        add("\(folder)/.env", ".env", isWanted: false) { text throws(ConfigurationError) in
            try DotEnv.values(in: text, name: ".env")
        }
        layers.append(environment.map { RawValue(key: $0.key, text: $0.value, origin: .environment) })
        layers.append(arguments)
        var settings = Settings()
        do throws(ConfigurationError) {
            settings = try Settings(layers: layers)
        } catch {
            problems += error.problems
        }
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
        return settings
    }

    /// The file's text; nil where there is none. Larger than a megabyte is no configuration.
    private static func text(_ path: String, _ name: String, isWanted: Bool) throws(ConfigurationError) -> String? {
        func failure(_ why: String) -> ConfigurationError {
            ConfigurationError(problems: [ConfigurationProblem(key: name, origin: nil, kind: .unreadable(why))])
        }
        guard FileManager.default.fileExists(atPath: path) else {
            guard !isWanted else { throw failure("there is no such file") }
            return nil
        }
        guard let data = FileManager.default.contents(atPath: path) else { throw failure("the file cannot be read") }
        guard data.count <= 1_048_576 else { throw failure("the file is larger than 1 MB") }
        guard let text = String(data: data, encoding: .utf8) else { throw failure("the file is no UTF-8") }
        // Editors of another system begin a file with a byte order mark.
        return text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
    }
}
