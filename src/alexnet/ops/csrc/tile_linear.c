/* The gradients of a linear layer's weights and bias, for bf16, by AMX's tiles. */
#include "kernels.h"

#if defined(__AMX_BF16__)
#include "bf16_tiles.h"

/* As many blocks of inputs are multiplied by all gradients before the next: they stay in the cache. */
enum { PART_BLOCKS = 32 };

/* Rounds the sums of a block; the rows of `weights` are `step` values apart. */
INLINE void write_sums(float sums[BLOCK][BLOCK], uint16_t *weights, long step, long rows) {
    for (long row = 0; row < rows; row++, weights += step) {
        __m512 low = _mm512_load_ps(sums[row]), high = _mm512_load_ps(sums[row] + SIDE);
        _mm512_stream_si512((__m512i *)weights, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

/* Multiplies a block of gradients, `rows` of whose outputs are there, by one of inputs. */
INLINE void write_product(const uint16_t *gradients, const uint16_t *inputs, long tiles, uint16_t *weights,
                          long step, long rows) {
    _Alignas(64) float sums[BLOCK][BLOCK];
    clear_sums();
    add_products(gradients, inputs, tiles, tiles * (TILE_PIXELS / 2), 1, 1);
    _tile_stored(SUMS, sums[0], sizeof sums[0]);
    _tile_stored(SUMS_RIGHT, sums[0] + SIDE, sizeof sums[0]);
    _tile_stored(SUMS_BELOW, sums[SIDE], sizeof sums[0]);
    _tile_stored(SUMS_LAST, sums[SIDE] + SIDE, sizeof sums[0]);
    write_sums(sums, weights, step, rows);
}

/* x [images, inputs] and gradients [images, outputs], to the gradients of weights [outputs, inputs],
 * whose lines of 64 bytes are aligned, and bias [outputs]. Inputs are a multiple of 32, outputs of 16.
 * Returns 1 where there is no memory for it. */
int tile_linear_gradients(const uint16_t *x, const uint16_t *gradients, uint16_t *weights, float *bias,
                          long images, long inputs, long outputs, int threads) {
    long tiles = ceil_div(images, TILE_PIXELS);
    long size = 2 * tiles * TILE_VALUES; /* of a block, of gradients or inputs */
    long input_blocks = inputs / BLOCK, output_blocks = ceil_div(outputs, BLOCK);
    long parts = ceil_div(input_blocks, PART_BLOCKS);
    uint16_t *packed = _mm_malloc((size_t)((input_blocks + output_blocks) * size) * sizeof *packed,
                                  TILE_ROW_BYTES);
    if (!packed) return 1;
    uint16_t *packed_gradients = packed + input_blocks * size;
    memset(bias, 0, (size_t)outputs * sizeof *bias);
    _Pragma("omp parallel num_threads(threads)")
    {
        load_whole_tiles();
        _Pragma("omp for schedule(static) nowait")
        for (long i = 0; i < output_blocks; i++) {
            block b = {gradients + i * BLOCK, NULL, images, outputs, first_halves(outputs - i * BLOCK)};
            pack_gradients(&b, packed_gradients + i * size, tiles, bias + i * BLOCK);
        }
        _Pragma("omp for schedule(static)")
        for (long i = 0; i < input_blocks; i++) {
            block b = {x + i * BLOCK, NULL, images, inputs, first_halves(BLOCK)};
            pack_inputs(&b, packed + i * size, tiles * (TILE_PIXELS / 2), 0);
        }
        _Pragma("omp for schedule(static) nowait")
        for (long i = 0; i < parts * output_blocks; i++) {
            long part = i / output_blocks * PART_BLOCKS, output = i % output_blocks;
            long rows = smaller(BLOCK, outputs - output * BLOCK);
            uint16_t *to = weights + output * BLOCK * inputs;
            for (long in = part; in < smaller(part + PART_BLOCKS, input_blocks); in++)
                write_product(packed_gradients + output * size, packed + in * size, tiles, to + in * BLOCK,
                              inputs, rows);
        }
        _mm_sfence(); /* before other threads read what went past the cache */
        _tile_release();
    }
    _mm_free(packed);
    return 0;
}
#endif
