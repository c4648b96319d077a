/* Which compiler made this library, whether its loops use several threads, and for which CPU. */
#include "kernels.h"

#if defined(__clang__)
const char *kernels_compiler(void) { return "clang " __clang_version__; }
#else
const char *kernels_compiler(void) { return "gcc " __VERSION__; }
#endif

int kernels_have_openmp(void) {
#if defined(_OPENMP)
    return 1;
#else
    return 0;
#endif
}

int has_bf16_tiles(void) {
#if defined(__AMX_BF16__)
    return 1;
#else
    return 0;
#endif
}
