import Routing
import Telephony

/// What a value of the API may be: declared once, checked on each request, and written into the OpenAPI document.
///
/// A small part of JSON Schema (2020-12), in which lengths count Unicode code points and 1.0 is a whole number.
package indirect enum APISchema: Sendable {
    case text(TextRule)
    case word([String])
    case whole(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    case flag
    case nullable(APISchema)
    case list(APISchema, atMost: Int)
    /// Exactly these fields: another one is an error that names it.
    case object([APIField])
    /// A schema with a name of its own among the document's components.
    case named(String, APISchema)
    /// An object with whatever members: another program's, which is kept as it is.
    case anyObject

    /// The names of both cases that people mix up: a time, and an id.
    package static let uuid = APISchema.text(.uuid)
    package static let moment = APISchema.text(.moment)
    package static func plain(_ length: ClosedRange<Int>) -> APISchema { .text(.plain(length)) }
    package static func prose(_ length: ClosedRange<Int>) -> APISchema { .text(.prose(length)) }
}

/// One field of an object.
package struct APIField: Sendable {
    package var name: String
    package var schema: APISchema
    package var isRequired: Bool
    package var note: String?
    /// Taken, and never given back.
    package var isWriteOnly = false

    package init(_ name: String, _ schema: APISchema, required: Bool = true, _ note: String? = nil) {
        self.name = name
        self.schema = schema
        self.isRequired = required
        self.note = note
    }

    /// May be left out, or be null: both are the same.
    package static func optional(_ name: String, _ schema: APISchema, _ note: String? = nil) -> APIField {
        APIField(name, .nullable(schema), required: false, note)
    }

    package var writeOnly: APIField {
        var field = self
        field.isWriteOnly = true
        return field
    }
}

/// A kind of text: its length in code points, its shape for readers (`pattern`, ECMA 262; `format`), and the check that
/// is the shape for us.
package struct TextRule: Sendable {
    package var length: ClosedRange<Int>
    package var pattern: String?
    package var format: String?
    /// What would be right, in words.
    package var needed: String
    package var accepts: @Sendable (String) -> Bool

    package init(
        _ length: ClosedRange<Int>, pattern: String? = nil, format: String? = nil, needed: String,
        accepts: @escaping @Sendable (String) -> Bool = { _ in true }
    ) {
        self.length = length
        self.pattern = pattern
        self.format = format
        self.needed = needed
        self.accepts = accepts
    }

    func takes(_ text: String) -> Bool {
        self.length.contains(text.unicodeScalars.count) && self.accepts(text)
    }

    /// One line: no control characters.
    package static func plain(_ length: ClosedRange<Int>) -> TextRule {
        TextRule(
            length, pattern: #"^[^\u0000-\u001F\u007F]*$"#,
            needed: "a text of \(length.lowerBound) to \(length.upperBound) characters without control characters"
        ) { text in text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } }
    }

    /// Several lines: tabs and line ends are allowed.
    package static func prose(_ length: ClosedRange<Int>) -> TextRule {
        TextRule(
            length, pattern: #"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F]*$"#,
            needed: "a text of \(length.lowerBound) to \(length.upperBound) characters"
        ) { text in
            text.unicodeScalars.allSatisfy {
                ($0.value >= 0x20 && $0.value != 0x7F) || [0x09, 0x0A, 0x0D].contains($0.value)
            }
        }
    }

    /// Characters out of a set of ASCII, the first of them perhaps out of a smaller one.
    package static func ascii(
        _ length: ClosedRange<Int>, first: String? = nil, _ others: String, needed: String
    ) -> TextRule {
        let (head, tail) = (Self.set(first ?? others), Self.set(others))
        let more = "{\(length.lowerBound - 1),\(length.upperBound - 1)}"
        return TextRule(length, pattern: "^[\(first ?? others)][\(others)]\(more)$", needed: needed) { text in
            guard let begin = text.utf8.first, head.contains(begin) else { return false }
            return text.utf8.dropFirst().allSatisfy { tail.contains($0) }
        }
    }

    /// The bytes that a character class such as `A-Za-z0-9._-` stands for; `-` is last.
    private static func set(_ text: String) -> Set<UInt8> {
        var bytes: Set<UInt8> = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if rest.first == UInt8(ascii: "-"), let end = rest.dropFirst().first {
                bytes.formUnion(byte...end)
                rest = rest.dropFirst(2)
            } else {
                bytes.insert(byte)
            }
        }
        return bytes
    }

    package static let uuid = TextRule(
        36...36, pattern: "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        format: "uuid", needed: "a UUID", accepts: { isUUID($0) })

    package static let moment = TextRule(
        20...40, format: "date-time", needed: "a time as 2026-11-21T09:41:00Z (RFC 3339)",
        accepts: { Moment.date($0) != nil })

    package static let call = TextRule.ascii(
        1...64, "A-Za-z0-9._-", needed: "a call's id: 1 to 64 letters, digits, -, _ and .")

    /// A number that is dialed, or a user's name in its place.
    package static let number = TextRule.ascii(
        1...64, first: "+A-Za-z0-9*#", "A-Za-z0-9*#._-",
        needed: "a number: 1 to 64 digits, letters, *, #, ., - and _, with + before it (in an address written %2B)")

    package static let slug = TextRule.ascii(
        1...64, "A-Za-z0-9_-", needed: "1 to 64 letters, digits, - and _")
}

extension APISchema {
    /// Adds what is wrong with `value`, by the place where it is wrong. At most 16 problems: the rest says nothing new.
    package func check(_ value: JSONValue, at place: String, _ problems: inout [APIProblem.Field]) {
        guard problems.count < 16 else { return }
        func wrong(_ needed: String) { problems.append(APIProblem.Field(place, "\(needed) is needed")) }
        switch self {
        case .nullable(let schema):
            if !value.isNull { schema.check(value, at: place, &problems) }
        case .named(_, let schema): schema.check(value, at: place, &problems)
        case .text(let rule):
            if let text = value.text, rule.takes(text) { return }
            wrong(rule.needed)
        case .word(let words):
            if let text = value.text, words.contains(text) { return }
            wrong("one of " + words.joined(separator: ", "))
        case .whole(let range):
            if let whole = Self.whole(value), range.contains(whole) { return }
            wrong("a whole number of \(range.lowerBound) to \(range.upperBound)")
        case .number(let range):
            if let real = value.real, range.contains(real) { return }
            wrong("a number of \(range.lowerBound) to \(range.upperBound)")
        case .flag: if value.flag == nil { wrong("true or false") }
        case .list(let schema, let limit):
            guard let elements = value.elements, elements.count <= limit else {
                return wrong("a list of at most \(limit)")
            }
            for (index, element) in elements.enumerated() { schema.check(element, at: "\(place)[\(index)]", &problems) }
        case .anyObject: if value.members == nil { wrong("a JSON object") }
        case .object(let fields):
            guard let members = value.members else { return wrong("a JSON object") }
            self.check(members, fields, at: place, &problems)
        }
    }

    private func check(
        _ members: [JSONValue.Member], _ fields: [APIField], at place: String, _ problems: inout [APIProblem.Field]
    ) {
        var seen: Set<String> = []
        for member in members {
            guard problems.count < 16 else { return }
            let name = "\(place)." + APIProblem.Field.shown(member.name)
            guard seen.insert(member.name).inserted else {
                problems.append(APIProblem.Field(name, "the field is there twice"))
                continue
            }
            guard let field = fields.first(where: { $0.name == member.name }) else {
                problems.append(APIProblem.Field(name, "there is no such field"))
                continue
            }
            field.schema.check(member.value, at: name, &problems)
        }
        for field in fields where field.isRequired && !seen.contains(field.name) {
            problems.append(APIProblem.Field("\(place).\(field.name)", "the field is missing"))
        }
    }

    /// 1.0 is a whole number in JSON Schema.
    static func whole(_ value: JSONValue) -> Int? {
        switch value {
        case .integer(let whole): whole
        case .number(let real): Int(exactly: real)
        default: nil
        }
    }

    /// The value that the text of a query or a path stands for; nil: it is none of this schema.
    package func value(ofText text: String) -> JSONValue? {
        var value: JSONValue
        switch self {
        case .named(_, let schema), .nullable(let schema): return schema.value(ofText: text)
        case .text, .word: value = .string(text)
        case .whole:
            let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
            guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }), let whole = Int(text) else {
                return nil
            }
            value = .integer(whole)
        case .flag:
            guard let flag = ["true": true, "false": false][text] else { return nil }
            value = .bool(flag)
        case .number, .list, .object, .anyObject: return nil
        }
        var problems: [APIProblem.Field] = []
        self.check(value, at: "", &problems)
        // Not `? value : nil`: a JSON value takes nil for null.
        guard problems.isEmpty else { return nil }
        return value
    }

    /// What would be right, in words.
    package var needed: String {
        var problems: [APIProblem.Field] = []
        self.check(.null, at: "", &problems)
        return problems.first?.detail ?? "another value is needed"
    }
}
