/// One `<extension>` of a FreeSWITCH dialplan: the one truth from which the XML of a plain FreeSWITCH and both tables of
/// FusionPBX (`v_dialplans.dialplan_xml`, which runs, and `v_dialplan_details`, which its web interface shows) are made.
struct DialplanExtension: Sendable, Equatable {
    var name: String
    /// FusionPBX's `app_uuid`: by it, the domain and the context a row is found again. Never changes.
    var identity: String
    /// What is shown as the number of the extension.
    var number: String
    /// FusionPBX's `dialplan_order`; lower runs earlier.
    var order: Int
    var summary: String
    /// Whether the search goes on behind it.
    var continues = false
    /// Several modes hand their calls there.
    var isShared = false
    var conditions: [DialplanCondition]
}

/// A test and what follows from it. Conditions of an extension are matched before any of its actions runs, except
/// those that are `inline`.
struct DialplanCondition: Sendable, Equatable {
    /// When the extension's further conditions are not looked at. FreeSWITCH's own default is `on-false`.
    enum Break: String, Sendable { case onTrue = "on-true" }

    var field: String
    var expression: String
    var breaks: Break?
    var actions: [DialplanAction] = []
}

struct DialplanAction: Sendable, Equatable {
    var application: String
    var data: String
    /// Runs while conditions are matched.
    var isInline = false
    /// Runs when the condition does not match.
    var isAnti = false

    init(_ application: String, _ data: String = "", inline: Bool = false, anti: Bool = false) {
        self.application = application
        self.data = data
        self.isInline = inline
        self.isAnti = anti
    }

    static func set(_ name: String, _ value: String, inline: Bool = false) -> Self {
        Self("set", "\(name)=\(value)", inline: inline)
    }

    static func transfer(_ extension: String, _ context: String, anti: Bool = false) -> Self {
        Self("transfer", "\(`extension`) XML \(context)", anti: anti)
    }
}

extension DialplanExtension {
    /// - Parameter uuid: FusionPBX writes the row's id into the element.
    func xml(indentation: String = "", uuid: String? = nil) -> String {
        let identity = uuid.map { " uuid=\"\(Self.escaped($0))\"" } ?? ""
        var lines = ["<extension name=\"\(Self.escaped(self.name))\" continue=\"\(self.continues)\"\(identity)>"]
        for condition in self.conditions {
            var opening =
                "  <condition field=\"\(Self.escaped(condition.field))\" expression=\"\(Self.escaped(condition.expression))\""
            if let breaks = condition.breaks { opening += " break=\"\(breaks.rawValue)\"" }
            guard !condition.actions.isEmpty else {
                lines.append(opening + "/>")
                continue
            }
            lines.append(opening + ">")
            for action in condition.actions {
                var line = action.isAnti ? "    <anti-action" : "    <action"
                line += " application=\"\(Self.escaped(action.application))\""
                if !action.data.isEmpty { line += " data=\"\(Self.escaped(action.data))\"" }
                if action.isInline { line += " inline=\"true\"" }
                lines.append(line + "/>")
            }
            lines.append("  </condition>")
        }
        lines.append("</extension>")
        return lines.map { indentation + $0 }.joined(separator: "\n")
    }

    static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// One row of `v_dialplan_details`.
    struct Detail: Sendable, Equatable {
        var tag: String
        var type: String
        var data: String
        var breaks: DialplanCondition.Break?
        var isInline: Bool
        /// Each condition with its actions is a group.
        var group: Int
        var order: Int
    }

    /// The rows that FusionPBX's Dialplan Manager shows, in steps of five as it numbers them itself.
    var details: [Detail] {
        var details: [Detail] = []
        func add(
            _ tag: String, _ type: String, _ data: String, breaks: DialplanCondition.Break? = nil, inline: Bool,
            group: Int
        ) {
            details.append(
                Detail(
                    tag: tag, type: type, data: data, breaks: breaks, isInline: inline, group: group,
                    order: details.count * 5))
        }
        for (group, condition) in self.conditions.enumerated() {
            add(
                "condition", condition.field, condition.expression, breaks: condition.breaks, inline: false,
                group: group)
            for action in condition.actions {
                let tag = action.isAnti ? "anti-action" : "action"
                add(tag, action.application, action.data, inline: action.isInline, group: group)
            }
        }
        return details
    }
}
