// libre (baresip's SIP library, Debian's libre-dev 1.1) for Swift. <re/re.h> does not compile by itself, so what it needs
// stands before it. Variadic functions are not imported: those that Pronto uses are inline functions here. A format
// string is always a literal of this file and remote text only ever an argument of it: libre's formats know %H, a
// pointer to a function that is called.
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

// As Debian builds the library; without the first its bool is a signed char.
#define HAVE_STDBOOL_H 1
#define HAVE_INET6 1
#include <re/re.h>
// Not part of re.h. Its macros are not used here.
#define DEBUG_MODULE "pronto"
#define DEBUG_LEVEL 2
#include <re/re_dbg.h>

/// Declared in re_tls.h only for who also includes OpenSSL's headers by it.
struct ssl_ctx_st *tls_openssl_context(const struct tls *tls);

static inline int pronto_sip_transp_add(struct sip *sip, enum sip_transp transport, const struct sa *address) {
    return sip_transp_add(sip, transport, address);
}

static inline int pronto_sip_transp_add_tls(struct sip *sip, const struct sa *address, struct tls *tls) {
    return sip_transp_add(sip, SIP_TRANSP_TLS, address, tls);
}

/// A reply outside of a transaction. `headers`: whole lines with their line ends, may be empty.
static inline int pronto_sip_reply(
    struct sip *sip, const struct sip_msg *message, uint16_t status, const char *reason, const char *headers) {
    return sip_replyf(sip, message, status, reason, "%sContent-Length: 0\r\n\r\n", headers);
}

/// A reply in a server transaction, which repeats it when the request is repeated. `transaction` may be NULL.
static inline int pronto_sip_treply(
    struct sip_strans **transaction, struct sip *sip, const struct sip_msg *message, uint16_t status,
    const char *reason, const char *headers) {
    return sip_treplyf(
        transaction, NULL, sip, message, false, status, reason, "%sContent-Length: 0\r\n\r\n", headers);
}

/// A final reply to a request inside of a dialog, with a Contact and a session description (NULL: none).
static inline int pronto_sip_treply_description(
    struct sip *sip, const struct sip_msg *message, const struct sip_contact *contact, const char *headers,
    struct mbuf *description) {
    return sip_treplyf(
        NULL, NULL, sip, message, true, 200, "OK", "%H%s%sContent-Length: %zu\r\n\r\n%b", sip_contact_print, contact,
        headers, description ? "Content-Type: application/sdp\r\n" : "",
        description ? mbuf_get_left(description) : (size_t)0, description ? mbuf_buf(description) : NULL,
        description ? mbuf_get_left(description) : (size_t)0);
}

static inline int pronto_sipsess_accept(
    struct sipsess **session, struct sipsess_sock *socket, const struct sip_msg *message, uint16_t status,
    const char *reason, const char *contact, struct mbuf *description, sipsess_offer_h *offer,
    sipsess_answer_h *answer, sipsess_estab_h *established, sipsess_info_h *info, sipsess_close_h *closed,
    void *argument, const char *headers) {
    return sipsess_accept(
        session, socket, message, status, reason, contact, "application/sdp", description, NULL, NULL, false, offer,
        answer, established, info, NULL, closed, argument, "%s", headers);
}

static inline int pronto_sipsess_answer(struct sipsess *session, struct mbuf *description, const char *headers) {
    return sipsess_answer(session, 200, "OK", description, "%s", headers);
}

static inline int pronto_sipsess_reject(
    struct sipsess *session, uint16_t status, const char *reason, const char *headers) {
    return sipsess_reject(session, status, reason, "%sContent-Length: 0\r\n\r\n", headers);
}

/// Headers of our BYE, and of the reply to the peer's.
static inline int pronto_sipsess_close_headers(struct sipsess *session, const char *headers) {
    return sipsess_set_close_headers(session, "%s", headers);
}

/// REFER inside of the dialog, with the subscription to its progress (RFC 3515).
static inline int pronto_sipevent_refer(
    struct sipsub **subscription, struct sipevent_sock *socket, struct sip_dialog *dialog, const char *contact,
    sipsub_notify_h *notify, sipsub_close_h *closed, void *argument, const char *target) {
    return sipevent_drefer(
        subscription, socket, dialog, contact, NULL, NULL, false, notify, closed, argument, "Refer-To: <%s>\r\n",
        target);
}

/// An address of the system as libre's. The sa_len is set by the family. False for a family that is not IP's.
static inline bool pronto_sa_from(struct sa *to, const struct sockaddr *from) {
    return sa_set_sa(to, from) == 0;
}

/// libre's address as the system's.
static inline const struct sockaddr *pronto_sa_sockaddr(const struct sa *address) { return &address->u.sa; }
