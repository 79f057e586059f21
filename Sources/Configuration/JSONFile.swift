import Foundation

/// `pronto.json`: an object whose members are keys, or objects whose names are the keys' beginnings.
///
/// `{"openai": {"realtime_model": "…"}}` and `{"OPENAI_REALTIME_MODEL": "…"}` mean the same.
package enum JSONFile {
    /// A JSON value, as far as configuration needs it.
    private enum Node: Decodable {
        case null
        case bool(Bool)
        case integer(Int)
        case decimal(Double)
        case text(String)
        case list([Node])
        case object([String: Node])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let value = try? container.decode(Bool.self) {
                self = .bool(value)
            } else if let value = try? container.decode(Int.self) {
                self = .integer(value)
            } else if let value = try? container.decode(Double.self) {
                self = .decimal(value)
            } else if let value = try? container.decode(String.self) {
                self = .text(value)
            } else if let value = try? container.decode([Node].self) {
                self = .list(value)
            } else {
                self = .object(try container.decode([String: Node].self))
            }
        }
    }

    package static func values(in text: String, name: String) throws(ConfigurationError) -> [RawValue] {
        let origin = Origin.file(name, line: nil)
        func failure(_ why: String) -> ConfigurationError {
            ConfigurationError(problems: [ConfigurationProblem(key: name, origin: nil, kind: .unreadable(why))])
        }
        guard Self.depth(text) <= 8 else { throw failure("objects are nested more deeply than 8") }
        let node: Node
        do {
            node = try JSONDecoder().decode(Node.self, from: Data(text.utf8))
        } catch DecodingError.dataCorrupted(let context) {
            // Foundation's own sentence has the line and column, and no value.
            let detail = (context.underlyingError as NSError?)?.userInfo["NSDebugDescription"] as? String
            throw failure("the file is no JSON" + (detail.map { ": \($0)" } ?? ""))
        } catch {
            throw failure("the file is no JSON")
        }
        guard case .object(let members) = node else { throw failure("the file is no JSON object") }
        var values: [RawValue] = []
        try Self.add(members, "", origin, &values)
        return values
    }

    private static func add(
        _ members: [String: Node], _ prefix: String, _ origin: Origin, _ values: inout [RawValue]
    ) throws(ConfigurationError) {
        // Sorted: the errors of one file come in one order.
        for (member, node) in members.sorted(by: { $0.key < $1.key }) {
            let key = prefix + member.uppercased()
            switch node {
            case .null: continue
            case .object(let members): try Self.add(members, key + "_", origin, &values)
            case .list(let nodes):
                var parts: [String] = []
                for node in nodes {
                    guard let part = Self.scalar(node) else {
                        let problem = ConfigurationProblem(
                            key: key, origin: origin, kind: .unreadable("a list holds texts, numbers and true or false")
                        )
                        throw ConfigurationError(problems: [problem])
                    }
                    parts.append(part)
                }
                values.append(RawValue(key: key, text: parts.joined(separator: ","), origin: origin))
            default: values.append(RawValue(key: key, text: Self.scalar(node) ?? "", origin: origin))
            }
        }
    }

    private static func scalar(_ node: Node) -> String? {
        switch node {
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .decimal(let value): String(value)
        case .text(let value): value
        case .null, .list, .object: nil
        }
    }

    /// The deepest nesting of brackets: `Node` decodes by recursion.
    private static func depth(_ text: String) -> Int {
        var (depth, deepest, isText, isEscaped) = (0, 0, false, false)
        for byte in text.utf8 {
            switch byte {
            case _ where isEscaped: isEscaped = false
            case UInt8(ascii: "\\") where isText: isEscaped = true
            case UInt8(ascii: "\""): isText.toggle()
            case UInt8(ascii: "{") where !isText, UInt8(ascii: "[") where !isText:
                depth += 1
                deepest = max(deepest, depth)
            case UInt8(ascii: "}") where !isText, UInt8(ascii: "]") where !isText: depth -= 1
            default: break
            }
        }
        return deepest
    }
}
