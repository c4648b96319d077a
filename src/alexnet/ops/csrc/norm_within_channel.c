/* Response norm within each channel, forward and backward.
 *
 * x, y and the gradients are [images, height, width, channels]. The window of a pixel is size x size pixels around it,
 * with zeros outside the image. The channels of an image are computed in blocks, whose maps stay in the cache. */
#include "norms.h"

enum { BLOCK = 32 };

typedef struct { long images, height, width, channels, size; } maps;

/* A block of channels of one image. `padded` has size / 2 zeros around its map, `rows` above and below. */
typedef struct { float *padded, *rows, *sums, *scales; } buffers;

INLINE long padded_width(maps m) { return m.width + m.size - 1; }
INLINE long padded_height(maps m) { return m.height + m.size - 1; }
INLINE long padded_floats(maps m) { return padded_height(m) * padded_width(m) * BLOCK; }
INLINE long rows_floats(maps m) { return padded_height(m) * m.width * BLOCK; }
INLINE long map_floats(maps m) { return m.height * m.width * BLOCK; }

INLINE buffers buffers_in(float *memory, maps m) {
    float *rows = memory + padded_floats(m), *sums = rows + rows_floats(m);
    return (buffers){memory, rows, sums, sums + map_floats(m)};
}

/* `sums`, of the windows in `padded`: first of the rows, then of the columns. */
INLINE void box_sums(buffers b, maps m) {
    long row = m.width * BLOCK;
    for (long y = m.size / 2; y < m.height + m.size / 2; y++)
        step_sums(b.padded + y * padded_width(m) * BLOCK, b.rows + y * row, row, BLOCK, m.size);
    step_sums(b.rows, b.sums, m.height * row, row, m.size);
}

/* For each value of a block: `in` is its place in the tensors, `at` in a map, `to` in the padded one. */
#define EACH_VALUE(BODY)                                                                             \
    for (long row = 0; row < m.height; row++)                                                        \
        for (long column = 0; column < m.width; column++) {                                          \
            long pixel = row * m.width + column, to_row = row + m.size / 2;                          \
            long to_pixel = to_row * padded_width(m) + column + m.size / 2;                          \
            for (long c = 0; c < channels; c++) {                                                    \
                long in = pixel * m.channels + c, at = pixel * BLOCK + c, to = to_pixel * BLOCK + c; \
                (void)at, (void)to;                                                                  \
                BODY                                                                                 \
            }                                                                                        \
        }

#define WITHIN_CHANNEL_NORM(NAME, TYPE, READ, WRITE)                                                                \
    INLINE void NAME##_squares(const TYPE *restrict x, maps m, long channels, buffers b) {                          \
        float *restrict padded = b.padded;                                                                          \
        EACH_VALUE(float value = READ(x[in]); padded[to] = value * value;)                                          \
        box_sums(b, m);                                                                                             \
    }                                                                                                               \
                                                                                                                    \
    INLINE void NAME##_block(const TYPE *restrict x, TYPE *restrict y, maps m, long channels, norm n, buffers b) {  \
        NAME##_squares(x, m, channels, b);                                                                          \
        negative_powers(b.sums, b.sums, map_floats(m), n);                                                          \
        const float *restrict sums = b.sums;                                                                        \
        EACH_VALUE(y[in] = WRITE(READ(x[in]) * sums[at]);)                                                          \
    }                                                                                                               \
                                                                                                                    \
    INLINE void NAME##_backward_block(const TYPE *restrict x, const TYPE *restrict grad, TYPE *restrict grad_in,    \
                                      maps m, long channels, norm n, buffers b) {                                   \
        NAME##_squares(x, m, channels, b);                                                                          \
        negative_powers(b.sums, b.scales, map_floats(m), n);                                                        \
        const float *restrict sums = b.sums, *restrict scales = b.scales;                                           \
        float *restrict padded = b.padded, factor = -2.0f * n.alpha * n.beta;                                       \
        EACH_VALUE(float product = READ(grad[in]) * READ(x[in]);                                                    \
                   padded[to] = product * scales[at] / (n.k + n.alpha * sums[at]);)                                 \
        box_sums(b, m);                                                                                             \
        EACH_VALUE(grad_in[in] = WRITE(READ(grad[in]) * scales[at] + factor * READ(x[in]) * sums[at]);)             \
    }                                                                                                               \
                                                                                                                    \
    /* Forward where `grad` is null, else backward into y. Returns 0, or 1 where there is no memory. */             \
    int NAME(const TYPE *x, const TYPE *grad, TYPE *y, const maps *sizes, float alpha, float beta, float k,         \
             int threads) {                                                                                         \
        maps m = *sizes;                                                                                            \
        norm n = {m.channels, m.size, alpha, beta, k};                                                              \
        long blocks = ceil_div(m.channels, BLOCK), has_failed = 0;                                                  \
        _Pragma("omp parallel num_threads(threads) reduction(|:has_failed)")                                        \
        {                                                                                                           \
            float *memory = calloc((size_t)(padded_floats(m) + rows_floats(m) + 2 * map_floats(m)), sizeof(float)); \
            buffers b = buffers_in(memory, m);                                                                      \
            has_failed |= !memory;                                                                                  \
            _Pragma("omp for schedule(static)")                                                                     \
            for (long i = 0; i < m.images * blocks; i++) {                                                          \
                long first = i % blocks * BLOCK, channels = smaller(m.channels - first, BLOCK);                     \
                long at = i / blocks * m.height * m.width * m.channels + first;                                     \
                if (memory && grad) NAME##_backward_block(x + at, grad + at, y + at, m, channels, n, b);            \
                else if (memory) NAME##_block(x + at, y + at, m, channels, n, b);                                   \
            }                                                                                                       \
            free(memory);                                                                                           \
        }                                                                                                           \
        return (int)has_failed;                                                                                     \
    }

WITHIN_CHANNEL_NORM(within_channel_norm_f32, float, read_f32, write_f32)
WITHIN_CHANNEL_NORM(within_channel_norm_bf16, uint16_t, read_bf16, write_bf16)
