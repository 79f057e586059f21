import Foundation
import Telephony

/// One row of `show channels as json`: what exists in the switch, to compare our calls with after a reconnection.
package struct SwitchChannel: Sendable, Equatable {
    package let id: CallID
    /// `CS_EXECUTE` and the like.
    package let state: String
    /// `ACTIVE`, `HELD`, `RINGING` and the like.
    package let callState: String
    package let application: String

    /// Nil when the text is not that JSON. Rows without a usable id are left out. No rows: the switch leaves the key out.
    package static func parse(_ text: String) -> [SwitchChannel]? {
        guard let value = try? JSONSerialization.jsonObject(with: Data(text.utf8)),
            let object = value as? [String: Any]
        else { return nil }
        guard let rows = object["rows"] else { return object["row_count"] == nil ? nil : [] }
        guard let rows = rows as? [Any] else { return nil }
        return rows.compactMap { row in
            guard let row = row as? [String: Any], let id = (row["uuid"] as? String).flatMap({ CallID($0) }) else {
                return nil
            }
            return SwitchChannel(
                id: id, state: row["state"] as? String ?? "", callState: row["callstate"] as? String ?? "",
                application: row["application"] as? String ?? "")
        }
    }
}
