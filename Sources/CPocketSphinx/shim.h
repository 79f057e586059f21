// pocketsphinx for Swift. cmd_ln_init is variadic.
#pragma once
#include <pocketsphinx.h>

// The beams are wide because our grammars are small: pruning cost 1 to 11 of 100 phrases (by language) and gained 20 ms. The mean of
// each utterance is taken from itself (cmn batch), so that nothing of one caller stays in the decoder for the next.
static inline cmd_ln_t *pronto_ps_config(const char *hmm, const char *dict) {
    return cmd_ln_init(
        NULL, ps_args(), TRUE, "-hmm", hmm, "-dict", dict, "-cmn", "batch", "-beam", "1e-100", "-pbeam", "1e-100",
        "-wbeam", "1e-100", "-logfn", "/dev/null", NULL);
}
