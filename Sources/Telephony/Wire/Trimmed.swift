extension StringProtocol {
    /// Without spaces and line breaks at its ends: services stream their texts in pieces that carry them.
    package var trimmed: String {
        let body = self.drop { $0.isWhitespace }
        guard let last = body.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(body[...last])
    }
}
