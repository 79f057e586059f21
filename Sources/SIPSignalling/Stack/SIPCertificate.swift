import CLibre
import CLinux
import COpenSSL
import Glibc

/// TLS for libre, from a certificate and a key in two PEM files.
enum SIPCertificate {
    /// libre reads one file with both. It is made in memory and never on a disk.
    static func context(_ tls: SIPConfiguration.TLS) throws(SIPServerError) -> OpaquePointer {
        let certificate = try Self.read(tls.certificate)
        let key = try Self.read(tls.privateKey)
        let descriptor = pronto_memory_file("sip-tls")
        guard descriptor >= 0 else { throw .libraryFailed(call: "memfd_create", error: SIPStack.text(of: errno)) }
        defer { close(descriptor) }
        let both = certificate + [UInt8(ascii: "\n")] + key
        guard both.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == both.count else {
            throw .libraryFailed(call: "write", error: SIPStack.text(of: errno))
        }
        var context: OpaquePointer?
        guard tls_alloc(&context, TLS_METHOD_SSLV23, "/proc/self/fd/\(descriptor)", nil) == 0, let context else {
            throw .tlsRefused
        }
        // libre leaves the versions to the system's configuration.
        if let settings = tls_openssl_context(context) { pronto_ssl_ctx_harden(settings) }
        return context
    }

    private static func read(_ path: String) throws(SIPServerError) -> [UInt8] {
        guard let file = fopen(path, "re") else { throw .certificateUnreadable(path: path) }
        defer { fclose(file) }
        // Longer than any chain.
        var bytes = [UInt8](repeating: 0, count: 256 * 1024)
        let count = fread(&bytes, 1, bytes.count, file)
        guard count > 0, count < bytes.count, ferror(file) == 0 else { throw .certificateUnreadable(path: path) }
        return Array(bytes[..<count])
    }
}
