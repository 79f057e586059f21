#ifndef PRONTO_CALLOCATIONS_H
#define PRONTO_CALLOCATIONS_H

#include <stdint.h>

/// Blocks asked of the heap so far by any thread of this process: malloc, calloc, realloc (also in place),
/// posix_memalign, aligned_alloc. Linking this target replaces the C library's functions by counting ones.
uint64_t pronto_allocations(void);

/// Bytes asked for so far.
uint64_t pronto_allocated_bytes(void);

#endif
