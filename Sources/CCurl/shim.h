// libcurl for Swift. Its option functions are variadic, which Swift cannot call: one inline function a kind of value.
#pragma once
#include <curl/curl.h>

static inline CURLcode pronto_curl_set_long(CURL *h, CURLoption o, long v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode pronto_curl_set_string(CURL *h, CURLoption o, const char *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode pronto_curl_set_pointer(CURL *h, CURLoption o, void *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode pronto_curl_set_data(CURL *h, CURLoption o, size_t (*f)(char *, size_t, size_t, void *)) { return curl_easy_setopt(h, o, f); }
static inline CURLcode pronto_curl_info_long(CURL *h, CURLINFO i, long *v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode pronto_curl_info_pointer(CURL *h, CURLINFO i, void **v) { return curl_easy_getinfo(h, i, v); }
static inline CURLMcode pronto_curl_multi_set_pointer(CURLM *m, CURLMoption o, void *v) { return curl_multi_setopt(m, o, v); }
static inline CURLMcode pronto_curl_multi_set_socket(CURLM *m, int (*f)(CURL *, curl_socket_t, int, void *, void *)) { return curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, f); }
static inline CURLMcode pronto_curl_multi_set_timer(CURLM *m, int (*f)(CURLM *, long, void *)) { return curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, f); }
static inline CURLMcode pronto_curl_multi_set_long(CURLM *m, CURLMoption o, long v) { return curl_multi_setopt(m, o, v); }

static inline CURLcode pronto_curl_set_size(CURL *h, CURLoption o, long long v) { return curl_easy_setopt(h, o, (curl_off_t)v); }
static inline CURLMcode pronto_curl_multi_clear_callbacks(CURLM *m) {
    CURLMcode socket = curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, NULL);
    CURLMcode timer = curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, NULL);
    return socket != CURLM_OK ? socket : timer;
}
// CURLMsg holds a union, which Swift reads awkwardly: the next finished transfer and its result, or NULL.
static inline CURL *pronto_curl_next_done(CURLM *m, CURLcode *result) {
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(m, &left)))
        if (message->msg == CURLMSG_DONE) {
            *result = message->data.result;
            return message->easy_handle;
        }
    return NULL;
}
