// Counts heap allocations by standing in for the C library's functions. glibc lets a program do so and keeps its own
// under the __libc_ names ("Replacing malloc", glibc manual 3.2.5); Swift's runtime allocates through malloc as well.
#include "CAllocations.h"

#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

// Blocks, then bytes.
static uint64_t own_counts[2];
static uint64_t *counts = own_counts;

static void count(size_t size) {
    __atomic_fetch_add(&counts[0], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counts[1], size, __ATOMIC_RELAXED);
}

uint64_t pronto_allocations(void) { return __atomic_load_n(&counts[0], __ATOMIC_RELAXED); }
uint64_t pronto_allocated_bytes(void) { return __atomic_load_n(&counts[1], __ATOMIC_RELAXED); }

#ifdef PRONTO_ALLOCATIONS_PRELOAD
// As a library for LD_PRELOAD (scripts/bench) it counts for a program that knows nothing of it, in a file that the one who
// measures reads meanwhile: PRONTO_ALLOCATIONS_FILE, two numbers of 64 bits.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((constructor)) static void share_counts(void) {
    const char *path = getenv("PRONTO_ALLOCATIONS_FILE");
    if (path == NULL) return;
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return;
    if (ftruncate(file, sizeof own_counts) == 0) {
        void *shared = mmap(NULL, sizeof own_counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (shared != MAP_FAILED) counts = shared;
    }
    close(file);
}
#endif

void *malloc(size_t size) {
    count(size);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count(number * size);
    return __libc_calloc(number, size);
}

void *realloc(void *block, size_t size) {
    count(size);
    return __libc_realloc(block, size);
}

void free(void *block) { __libc_free(block); }

void *memalign(size_t alignment, size_t size) {
    count(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count(size);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
    count(size);
    void *made = __libc_memalign(alignment, size);
    if (made == NULL) return ENOMEM;
    *block = made;
    return 0;
}
