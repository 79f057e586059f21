/// Writes the settings out: docs/configuration.md, and the list of `pronto config`.
package enum ConfigurationPage {
    /// The page. A test keeps the committed one equal to this.
    package static func markdown() -> String {
        var page = """
            # Configuration

            <!-- Written by `pronto config --markdown`. Do not edit: change Sources/Configuration/SettingKeys.swift. -->

            Each source stands above the one before it: the defaults below; `pronto.toml` or `pronto.json` in the working
            folder (or `--config FILE`); `.env` in the working folder; the environment; the command line. An empty value is
            the same as none. A wrong value stops the start and names the key, the value and what is allowed; so does an
            unknown key in a file or on the command line.

            In files a key may be split at its `_` into tables: `[openai]` `realtime_model = "…"` in `pronto.toml`,
            `{"openai": {"realtime_model": "…"}}` in `pronto.json`. On the command line `REALTIME_PORT` is
            `--realtime-port 8085`, and the beginning `pronto-` may be left out. Secrets are not taken from the command line,
            where every user of the machine sees them.

            Assistants, destinations and the tenants' own provider keys are not here: they are in the database
            (`pronto assistant`, `pronto destination`, `pronto provider`).

            """
        for setting in SettingKeys.all {
            if let heading = SettingKeys.headings.first(where: { $0.first == setting.name }) {
                page +=
                    "\n## \(heading.title)\n\n| key | type | unit | allowed | default | |\n|---|---|---|---|---|---|\n"
            }
            let fallback = setting.defaultText.map { "`\($0)`" } ?? "unset"
            let type = setting.isSecret ? "secret" : setting.type
            page += "| `\(setting.name)` | \(type) | \(setting.unit ?? "") | \(setting.allowed) | \(fallback) | "
            page += "\(setting.documentation) |\n"
        }
        page += "\n## Known and not read\n\n"
        page +=
            "Existing installations set these; here they are a warning (in files) or nothing (in the environment).\n\n"
        for entry in SettingKeys.unread {
            page += "- \(entry.names.map { "`\($0)`" }.joined(separator: ", ")): \(entry.why).\n"
        }
        return page
    }

    /// Every key with its value and where it came from, for `pronto config`; secrets as set or unset.
    package static func list(_ settings: Settings) -> String {
        SettingKeys.all.map { setting in
            let origin = settings.origin(of: setting.name)
            let value: String
            if setting.isSecret {
                value = origin == nil ? "unset" : "‹secret›"
            } else {
                value = settings.text(of: setting.name) ?? setting.defaultText ?? "unset"
            }
            return "\(setting.name)=\(value)" + (origin.map { "  # \($0)" } ?? "")
        }.joined(separator: "\n")
    }
}
