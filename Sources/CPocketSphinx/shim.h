// pocketsphinx for Swift. cmd_ln_init is variadic.
#pragma once
#include <pocketsphinx.h>

static inline cmd_ln_t *pronto_ps_config(const char *hmm, const char *dict, const char *jsgf) {
    return cmd_ln_init(NULL, ps_args(), TRUE, "-hmm", hmm, "-dict", dict, "-jsgf", jsgf, "-logfn", "/dev/null", NULL);
}
