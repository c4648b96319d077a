/* Products of streams of vectors by AMX's tiles of bf16: of the gradients of outputs with inputs, over
 * the pixels of a convolution or the images of a linear layer. */
#include "bf16_pairs.h"

enum { TILE_PIXELS = 32, TILE_VALUES = TILE_BYTES / 2 };

/* A block of channels of the pixels of a stream: the first `count` pixels of the images are there. */
typedef struct {
    const uint16_t *values;
    const long *pixels; /* where each is in the images; NULL where they are a stream already */
    long count, step;
    __mmask32 channels;
} block;

INLINE __m512i load_pixel(const block *b, long i) {
    long pixel = b->pixels ? b->pixels[i] : i;
    if (pixel >= b->count) return _mm512_setzero_si512();
    return _mm512_maskz_loadu_epi16(b->channels, b->values + pixel * b->step);
}

/* Adds both pixels of each pair. */
INLINE __m512 add_pair(__m512 sums, __m512i pairs) {
    __m512i first = _mm512_slli_epi32(pairs, 16);
    __m512i second = _mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000u));
    return _mm512_add_ps(sums, _mm512_add_ps(_mm512_castsi512_ps(first), _mm512_castsi512_ps(second)));
}

/* Tiles [tiles, 2, 16 channels, 32 pixels] of gradients, whose sums are added to `bias`. */
static void pack_gradients(const block *b, uint16_t *to, long tiles, float *bias) {
    __mmask16 is_high = (__mmask16)(b->channels >> SIDE);
    __m512 low_sum = _mm512_loadu_ps(bias), high_sum = _mm512_maskz_loadu_ps(is_high, bias + SIDE);
    for (long tile = 0; tile < tiles; tile++, to += 2 * TILE_VALUES) {
        __m512i low[SIDE], high[SIDE];
        _Pragma("GCC unroll 16")
        for (int i = 0; i < SIDE; i++) {
            long pixel = tile * TILE_PIXELS + 2 * i;
            __m512i first = load_pixel(b, pixel), next = load_pixel(b, pixel + 1);
            low[i] = pair(first, next, 0);
            high[i] = pair(first, next, 1);
            low_sum = add_pair(low_sum, low[i]);
            high_sum = add_pair(high_sum, high[i]);
        }
        transpose(low);
        transpose(high);
        _Pragma("GCC unroll 16")
        for (int i = 0; i < SIDE; i++) {
            _mm512_store_si512(to + i * TILE_PIXELS, low[i]);
            _mm512_store_si512(to + TILE_VALUES + i * TILE_PIXELS, high[i]);
        }
    }
    _mm512_storeu_ps(bias, low_sum);
    _mm512_mask_storeu_ps(bias + SIDE, is_high, high_sum);
}

/* Pairs [2, pairs, 16 channels, 2 pixels] of inputs, the first and the last channels, of which the
 * first begins at a pixel `first`. */
static void pack_inputs(const block *b, uint16_t *to, long pairs, long first) {
    for (long i = 0; i < pairs; i++, to += BLOCK) {
        __m512i pixel = load_pixel(b, first + 2 * i), next = load_pixel(b, first + 2 * i + 1);
        _mm512_store_si512(to, pair(pixel, next, 0));
        _mm512_store_si512(to + pairs * BLOCK, pair(pixel, next, 1));
    }
}

/* The sums are 2 x 2 tiles of 16 outputs x 16 channels, or fewer where a block is not whole. Two of the
 * eight tiles stay free, although the first inputs are then loaded twice: where a core's other thread
 * uses tiles, too, there are few registers for them, and products that need all eight wait for each
 * other (docs/performance.md). */
#define SUMS 0
#define SUMS_RIGHT 1
#define SUMS_BELOW 2
#define SUMS_LAST 3
#define GRADIENTS 4
#define INPUTS 5

INLINE void clear_sums(void) {
    _tile_zero(SUMS);
    _tile_zero(SUMS_RIGHT);
    _tile_zero(SUMS_BELOW);
    _tile_zero(SUMS_LAST);
}

/* Adds the products of `tiles` tiles of gradients with as many of inputs, which are `pairs` pairs. */
INLINE void add_products(const uint16_t *gradients, const uint16_t *inputs, long tiles, long pairs,
                         const int is_wide, const int is_high) {
    __asm__ volatile("" ::: "memory"); /* gcc's intrinsics do not tell that they read it */
    for (long i = 0; i < tiles; i++, gradients += 2 * TILE_VALUES, inputs += TILE_VALUES) {
        const uint16_t *right = inputs + pairs * BLOCK, *below = gradients + TILE_VALUES;
        _tile_loadd(GRADIENTS, gradients, TILE_ROW_BYTES);
        _tile_loadd(INPUTS, inputs, TILE_ROW_BYTES);
        _tile_dpbf16ps(SUMS, GRADIENTS, INPUTS);
        if (is_wide) {
            _tile_loadd(INPUTS, right, TILE_ROW_BYTES);
            _tile_dpbf16ps(SUMS_RIGHT, GRADIENTS, INPUTS);
        }
        if (is_high) _tile_loadd(GRADIENTS, below, TILE_ROW_BYTES);
        if (is_wide && is_high) {
            _tile_dpbf16ps(SUMS_LAST, GRADIENTS, INPUTS);
            _tile_loadd(INPUTS, inputs, TILE_ROW_BYTES);
        }
        if (is_high) _tile_dpbf16ps(SUMS_BELOW, GRADIENTS, INPUTS);
    }
}

INLINE void load_whole_tiles(void) {
    tile_shapes shapes = {.palette = 1};
    for (int tile = 0; tile <= INPUTS; tile++) {
        shapes.rows[tile] = TILE_ROWS;
        shapes.row_bytes[tile] = TILE_ROW_BYTES;
    }
    load_tile_shapes(&shapes);
}
