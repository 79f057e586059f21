import Telephony

/// The Event Socket of the FreeSWITCH that has a tenant's channels, where it is not the one of the settings
/// (`v_voice_event_sockets`). The password is encrypted at rest.
package struct SwitchAccount: Sendable, Equatable {
    package var tenant: TenantID
    /// A name or an address.
    package var host: String
    package var port: Int
    /// Nil in what could not be decrypted, and where it is to stay as it is stored.
    package var password: Redacted<String>?
    /// ESL_CONNECT_TIMEOUT and ESL_READ_TIMEOUT of this switch; nil: as the settings have them.
    package var connectTimeout: Duration?
    package var readTimeout: Duration?
    package var isEnabled: Bool

    package init(
        tenant: TenantID, host: String, port: Int = 8021, password: Redacted<String>?,
        connectTimeout: Duration? = nil, readTimeout: Duration? = nil, isEnabled: Bool = true
    ) {
        self.tenant = tenant
        self.host = host
        self.port = port
        self.password = password
        self.connectTimeout = connectTimeout
        self.readTimeout = readTimeout
        self.isEnabled = isEnabled
    }

    /// A name or an address, as it may be stored.
    package static func isHost(_ text: String) -> Bool {
        (1...253).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || ".-_:".utf8.contains(byte)
            }
    }

    /// One line: the Event Socket's protocol ends the password with the line.
    package static func isPassword(_ text: String) -> Bool {
        (1...256).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x1F && $0 != 0x7F }
    }

    package static func == (one: SwitchAccount, other: SwitchAccount) -> Bool {
        one.tenant == other.tenant && one.host == other.host && one.port == other.port
            && one.password?.value == other.password?.value && one.connectTimeout == other.connectTimeout
            && one.readTimeout == other.readTimeout && one.isEnabled == other.isEnabled
    }
}
