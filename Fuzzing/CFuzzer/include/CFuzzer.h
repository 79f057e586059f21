#ifndef PRONTO_CFUZZER_H
#define PRONTO_CFUZZER_H

#include <stddef.h>
#include <stdint.h>

/// libFuzzer's loop (LLVM documentation, "Using libFuzzer as a library"). There only in a build with
/// `-sanitize=fuzzer`: scripts/fuzz makes one.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));

#endif
