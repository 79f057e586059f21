/// One value before it is understood.
package struct RawValue: Sendable, Equatable {
    package var key: String
    package var text: String
    package var origin: Origin
    package init(key: String, text: String, origin: Origin) {
        self.key = key
        self.text = text
        self.origin = origin
    }
}

/// The checked configuration: `settings.mediaPort` is an `Int`, `settings.silence` a `Duration`.
@dynamicMemberLookup
package struct Settings: Sendable, CustomStringConvertible, CustomReflectable {
    private var values: [String: any Sendable] = [:]
    /// What was taken, as it was written.
    private var taken: [String: RawValue] = [:]
    /// Sentences for the log at start: names that are not read, what is unsafe.
    package private(set) var warnings: [String] = []

    /// Nothing but defaults.
    package init() {}

    package subscript<Value>(dynamicMember key: KeyPath<SettingKeys, Setting<Value>>) -> Value {
        let setting = SettingKeys.keys[keyPath: key]
        return self.values[setting.name] as? Value ?? setting.defaultValue
    }

    /// Where the value of a key came from; nil: its default.
    package func origin(of name: String) -> Origin? { self.taken[name]?.origin }
    /// The value of a key as it was written; nil: its default.
    func text(of name: String) -> String? { self.taken[name]?.text }

    /// Takes sources in rising precedence. An empty text is the same as no value. Throws everything that is wrong.
    package init(layers: [[RawValue]]) throws(ConfigurationError) {
        var problems: [ConfigurationProblem] = []
        for layer in layers {
            var seen: Set<String> = []
            for raw in layer { self.take(raw, &seen, &problems) }
        }
        problems += self.conflicts()
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
        if self.isDevelopment {
            self.warnings.append("PRONTO_DEVELOPMENT: media connections are accepted without authentication")
        }
        if self.switchPassword == nil {
            self.warnings.append("ESL_PASSWORD: unset, so hand-over and hang-up are left to the dialplan")
        }
    }

    private mutating func take(_ raw: RawValue, _ seen: inout Set<String>, _ problems: inout [ConfigurationProblem]) {
        func report(_ kind: ConfigurationProblem.Kind) {
            problems.append(ConfigurationProblem(key: raw.key, origin: raw.origin, kind: kind))
        }
        guard let setting = SettingKeys.byName[raw.key] else {
            if let reason = SettingKeys.unreadReasons[raw.key] {
                // The environment is everybody's: what is not ours there is not worth a word.
                if raw.origin != .environment { self.warnings.append("\(raw.key): not read; \(reason)") }
                return
            }
            let suggestion = Suggestion.nearest(to: raw.key, in: SettingKeys.all.map(\.name))
            guard raw.origin != .environment else {
                if raw.key.hasPrefix("PRONTO_") {
                    self.warnings.append("\(raw.key): no such key" + (suggestion.map { "; did you mean \($0)?" } ?? ""))
                }
                return
            }
            return report(.unknown(suggestion: suggestion))
        }
        guard seen.insert(raw.key).inserted else { return report(.repeated) }
        if setting.isSecret, raw.origin == .commandLine { return report(.secretOnCommandLine) }
        guard !raw.text.isEmpty else { return }
        guard let value = setting.value(of: raw.text) else {
            let shown = ConfigurationProblem.shown(raw.text, isSecret: setting.isSecret)
            return report(.notAllowed(value: shown, allowed: setting.allowed))
        }
        self.values[raw.key] = value
        self.taken[raw.key] = raw
    }

    /// What each value allows and their combination does not.
    private func conflicts() -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        func report(_ key: String, _ why: String) {
            problems.append(ConfigurationProblem(key: key, origin: self.taken[key]?.origin, kind: .conflict(why)))
        }
        if (self.certificate == nil) != (self.privateKey == nil) {
            let (given, missing) =
                self.certificate == nil
                ? ("PRONTO_TLS_KEY", "PRONTO_TLS_CERTIFICATE") : ("PRONTO_TLS_CERTIFICATE", "PRONTO_TLS_KEY")
            report(given, "needs \(missing) too")
        }
        if self.secretKey != nil, self.secretKeyFile != nil {
            report("PRONTO_SECRET_KEY_FILE", "is set together with PRONTO_SECRET_KEY: take one")
        }
        if self.proxyPort != nil, self.tokenKeys == nil {
            report("PRONTO_PROXY_PORT", "needs PRONTO_TOKEN_KEYS: that listener takes nobody without a token")
        }
        if self.redisUser != nil, self.redisPassword == nil {
            report("REDIS_USER", "needs REDIS_PASSWORD too")
        }
        if self.voiceDetection == .silero, self.sileroModel == nil {
            report("PRONTO_VAD", "silero needs PRONTO_SILERO_MODEL")
        }
        return problems
    }

    package var description: String { "Settings(‹redacted›)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
