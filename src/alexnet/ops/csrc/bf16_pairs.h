/* Values of bf16 in the order of AMX's tiles, which multiply pairs of them. */
#include "lanes.h"
#include "tiles.h"

/* Channels are computed in blocks of two tiles of SIDE, of which the last may be of one. */
enum { SIDE = TILE_ROWS, BLOCK = 2 * SIDE };

/* The first or last channels of a block's pixel, each beside that of the next pixel. */
INLINE __m512i pair(__m512i pixel, __m512i next, int is_last) {
    uint16_t from[BLOCK];
    for (int i = 0; i < SIDE; i++) {
        from[2 * i] = (uint16_t)(is_last * SIDE + i);
        from[2 * i + 1] = (uint16_t)(BLOCK + is_last * SIDE + i);
    }
    return _mm512_permutex2var_epi16(pixel, _mm512_loadu_si512(from), next);
}

/* Swaps the halves of all squares of 2 * `half` pairs that do not lie on the diagonal. */
INLINE void swap_halves(__m512i rows[SIDE], const int half) {
    uint32_t upper[SIDE], lower[SIDE];
    for (int i = 0; i < SIDE; i++) {
        upper[i] = (uint32_t)(i & half ? SIDE + i - half : i);
        lower[i] = (uint32_t)(i & half ? SIDE + i : i + half);
    }
    __m512i from_upper = _mm512_loadu_si512(upper), from_lower = _mm512_loadu_si512(lower);
    _Pragma("GCC unroll 16")
    for (int i = 0; i < SIDE; i++) {
        if (i & half) continue;
        __m512i a = rows[i], b = rows[i + half];
        rows[i] = _mm512_permutex2var_epi32(a, from_upper, b);
        rows[i + half] = _mm512_permutex2var_epi32(a, from_lower, b);
    }
}

INLINE void transpose(__m512i rows[SIDE]) {
    swap_halves(rows, 1);
    swap_halves(rows, 2);
    swap_halves(rows, 4);
    swap_halves(rows, 8);
}
