/* Masks of the first values in a vector of AVX-512: of four bytes, of which it has LANES, or of two. */
#pragma once

#include <immintrin.h>

enum { LANES = 16 };

INLINE __mmask16 first_lanes(long count) {
    return (__mmask16)(count < LANES ? (1 << larger(count, 0)) - 1 : -1);
}

INLINE __mmask32 first_halves(long count) {
    return count < 2 * LANES ? ((__mmask32)1 << larger(count, 0)) - 1 : ~(__mmask32)0;
}
