import COpenSSL
import Glibc
import Synchronization

/// Why certificates, keys or trust could not be loaded.
package enum TLSConfigurationError: Error, Equatable, CustomStringConvertible {
    case certificate(path: String)
    case privateKey(path: String)
    case keyDoesNotMatchCertificate(path: String)
    case trust(path: String)
    case library

    package var description: String {
        switch self {
        case .certificate(let path): "No usable PEM certificate in \(path)"
        case .privateKey(let path): "No usable PEM private key in \(path)"
        case .keyDoesNotMatchCertificate(let path): "The private key in \(path) is not the certificate's"
        case .trust(let path): "No usable PEM certificate authority in \(path)"
        case .library: "OpenSSL could not be initialised"
        }
    }
}

/// TLS 1.2 and 1.3 settings shared by connections of one kind.
///
/// An `SSL_CTX` is reference-counted and safe to share once configured (OpenSSL threads(7)); the pointer to it is kept as
/// a number, which a mutex may hold, and replaced under that mutex only.
package final class TLSContext: Sendable {
    private let context: Mutex<UInt>
    let isServer: Bool
    private let verifies: Bool
    private let files: (certificate: String, key: String)?

    private init(_ context: OpaquePointer, isServer: Bool, verifies: Bool, files: (String, String)?) {
        self.context = Mutex(UInt(bitPattern: context))
        self.isServer = isServer
        self.verifies = verifies
        self.files = files.map { (certificate: $0.0, key: $0.1) }
    }

    deinit { self.context.withLock { SSL_CTX_free(OpaquePointer(bitPattern: $0)) } }

    private static func make(_ method: OpaquePointer?) throws(TLSConfigurationError) -> OpaquePointer {
        ERR_clear_error()
        guard let context = SSL_CTX_new(method) else { throw .library }
        pronto_ssl_ctx_harden(context)
        return context
    }

    /// For accepting connections: a PEM chain (leaf first) and its key.
    package static func server(certificate: String, key: String) throws(TLSConfigurationError) -> TLSContext {
        TLSContext(
            try self.makeServer(certificate: certificate, key: key), isServer: true, verifies: false,
            files: (certificate, key))
    }

    private static func makeServer(certificate: String, key: String) throws(TLSConfigurationError) -> OpaquePointer {
        let context = try self.make(TLS_server_method())
        var failure: TLSConfigurationError?
        if SSL_CTX_use_certificate_chain_file(context, certificate) != 1 {
            failure = .certificate(path: certificate)
        } else if SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 {
            // OpenSSL answers a key of another pair here, before SSL_CTX_check_private_key could.
            let reason = ERR_peek_last_error() & 0x7F_FFFF
            failure =
                reason == UInt(X509_R_KEY_VALUES_MISMATCH) || reason == UInt(X509_R_KEY_TYPE_MISMATCH)
                ? .keyDoesNotMatchCertificate(path: key) : .privateKey(path: key)
        } else if SSL_CTX_check_private_key(context) != 1 {
            failure = .keyDoesNotMatchCertificate(path: key)
        }
        ERR_clear_error()
        guard let failure else { return context }
        SSL_CTX_free(context)
        throw failure
    }

    /// Reads certificate and key again. Connections that exist keep what they have; on an error all keep it.
    package func reload() throws(TLSConfigurationError) {
        guard let files = self.files else { return }
        let fresh = UInt(bitPattern: try TLSContext.makeServer(certificate: files.certificate, key: files.key))
        self.context.withLock { context in
            SSL_CTX_free(OpaquePointer(bitPattern: context))
            context = fresh
        }
    }

    /// For connecting. `authorities`: a PEM file of the certificate authorities to trust in place of the system's, or
    /// beside them.
    /// `verifies: false` accepts any certificate, and is for laboratories.
    package static func client(
        authorities: String? = nil, besidesSystem: Bool = false, verifies: Bool = true
    ) throws(TLSConfigurationError) -> TLSContext {
        let context = try self.make(TLS_client_method())
        if let authorities {
            if besidesSystem { SSL_CTX_set_default_verify_paths(context) }
            guard SSL_CTX_load_verify_locations(context, authorities, nil) == 1 else {
                ERR_clear_error()
                SSL_CTX_free(context)
                throw .trust(path: authorities)
            }
        } else if SSL_CTX_set_default_verify_paths(context) != 1 {
            ERR_clear_error()
            SSL_CTX_free(context)
            throw .trust(path: "the system's store")
        }
        SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        return TLSContext(context, isServer: false, verifies: verifies, files: nil)
    }

    /// A session on `descriptor`. `host`: whom a client expects to meet; nil for servers.
    func session(on descriptor: Int32, host: String?) -> TLSSession? {
        let address = self.context.withLock { context in UInt(bitPattern: SSL_new(OpaquePointer(bitPattern: context))) }
        guard let ssl = OpaquePointer(bitPattern: address) else { return nil }
        guard SSL_set_fd(ssl, descriptor) == 1 else {
            SSL_free(ssl)
            return nil
        }
        guard !self.isServer else {
            SSL_set_accept_state(ssl)
            return TLSSession(ssl)
        }
        SSL_set_connect_state(ssl)
        guard let host else { return TLSSession(ssl) }
        var isPrepared: Bool
        if SocketAddress(host, port: 0) != nil {
            // RFC 6066 §3: no SNI for addresses; the certificate must bear the address itself.
            let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
            isPrepared = !self.verifies || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), bare) == 1
        } else {
            isPrepared = pronto_ssl_set_host_name(ssl, host) == 1
            if self.verifies {
                SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
                isPrepared = isPrepared && SSL_set1_host(ssl, host) == 1
            }
        }
        guard isPrepared else {
            SSL_free(ssl)
            return nil
        }
        return TLSSession(ssl)
    }
}

/// The TLS state of one connection. Confined to the connection's loop; freed with it.
final class TLSSession {
    enum Outcome: Equatable {
        case done(Int)
        case wantsRead
        case wantsWrite
        /// The peer ended the stream, with close_notify or without.
        case ended
        case failed(TLSFailure)
    }

    private let ssl: OpaquePointer

    init(_ ssl: OpaquePointer) { self.ssl = ssl }

    deinit { SSL_free(self.ssl) }

    func handshake() -> Outcome {
        ERR_clear_error()
        return self.outcome(of: SSL_do_handshake(self.ssl))
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        ERR_clear_error()
        return self.outcome(of: SSL_read(self.ssl, buffer.baseAddress, Int32(clamping: buffer.count)))
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard !bytes.isEmpty else { return .done(0) }
        ERR_clear_error()
        return self.outcome(of: SSL_write(self.ssl, bytes.baseAddress, Int32(clamping: bytes.count)))
    }

    /// Sends close_notify, as far as the socket takes it; the peer's is not waited for (RFC 8446 §6.1).
    func sendCloseNotify() {
        ERR_clear_error()
        if SSL_is_init_finished(self.ssl) == 1 { SSL_shutdown(self.ssl) }
        ERR_clear_error()
    }

    private func outcome(of result: Int32) -> Outcome {
        guard result <= 0 else { return .done(Int(result)) }
        let number = errno
        switch SSL_get_error(self.ssl, result) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        case SSL_ERROR_ZERO_RETURN: return .ended
        case SSL_ERROR_SYSCALL:
            return SSL_is_init_finished(self.ssl) == 1 && number == 0 ? .ended : .failed(.lost)
        default:
            if SSL_get_verify_result(self.ssl) != Int(X509_V_OK) { return .failed(.untrusted) }
            let reason = Int32(truncatingIfNeeded: ERR_peek_error() & 0x7F_FFFF)
            if reason == SSL_R_UNEXPECTED_EOF_WHILE_READING {
                return SSL_is_init_finished(self.ssl) == 1 ? .ended : .failed(.lost)
            }
            return .failed(.protocolError)
        }
    }
}

/// Why TLS did not come about or broke.
package enum TLSFailure: String, Error, Sendable {
    /// The peer's certificate is not of a trusted authority, not for this host, or expired.
    case untrusted
    /// Bytes that are not TLS, or no version or cipher in common, or the peer refused ours.
    case protocolError
    /// The socket ended in the middle.
    case lost
}
