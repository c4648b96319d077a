/* ReLU, response norm and max pooling in one pass, for inference, and for training forward and backward. */
#include "norms.h"
#include "pooling.h"

INLINE long line_scratch(norm n) { return 2 * buffer_size(n); }

INLINE float relu_f32(float x) { return clamp_min(x, 0); }
INLINE float relu_bf16_to_f32(uint16_t x) { return clamp_min(read_bf16(x), 0); }

/* Negative numbers but NaN have the bits from those of -0 to those of minus infinity. */
INLINE uint16_t relu_bf16(uint16_t bits) { return (uint16_t)(bits - 0x8000) <= 0x7f80 ? 0 : bits; }

/* The response norm, none where its size is 0, of max(x, 0), for `count` values of a line. */
#define RELU_NORM_LINE(NAME, TYPE, OUT, READ, WRITE, RELU, TRY)                                     \
    NORM_PIXELS(NAME##_pixels, TYPE, OUT, READ, WRITE)                                              \
                                                                                                    \
    INLINE void NAME##_line(const TYPE *restrict x, OUT *restrict line, long count, norm n,         \
                            float *restrict scratch) {                                              \
        long pixels = count / n.channels;                                                           \
        if (!n.size) {                                                                              \
            for (long i = 0; i < count; i++) line[i] = RELU(x[i]);                                  \
            return;                                                                                 \
        }                                                                                           \
        TRY(relu_norm_five(x, line, pixels, n.channels, n.alpha, n.k))                              \
        for (long p = 0; p < pixels; p += PIXELS)                                                   \
            NAME##_pixels(x + p * n.channels, line + p * n.channels, smaller(pixels - p, PIXELS),   \
                          n, 0, scratch, scratch + buffer_size(n));                                 \
    }

#define TRY_NOTHING(CALL)

RELU_NORM_LINE(relu_norm_f32, float, float, read_f32, write_f32, relu_f32, TRY_NOTHING)
RELU_NORM_LINE(relu_norm_bf16, uint16_t, uint16_t, read_bf16, write_bf16, relu_bf16, TRY_FIVE)
RELU_NORM_LINE(relu_norm_bf16_to_f32, uint16_t, float, read_bf16, write_f32, relu_bf16_to_f32,
               TRY_NOTHING)

/* For inference: y = max pooling of the response norm of max(x, 0), channels last. x [images, height,
 * width, groups * channels]; y [images, rows, columns, groups * channels]. Normalized lines are kept
 * for the windows below that share them, in the type of y: rounding keeps the order. */
#define RELU_NORM_POOL(NAME, TYPE, BITS, LINE)                                                      \
    MAX_OVER(NAME##_max_over, BITS)                                                                 \
                                                                                                    \
    int NAME(const TYPE *x, TYPE *y, long images, long height, long width, long groups,             \
              long channels, long size, float alpha, float beta, float k, long window, long stride, \
              long rows, long columns, int threads) {                                               \
        long all_channels = groups * channels, line_size = width * all_channels, has_failed = 0;    \
        norm n = norm_of(channels, size, alpha, beta, k);                                           \
        _Pragma("omp parallel for num_threads(threads) schedule(static) reduction(|:has_failed)")   \
        for (long block = 0; block < threads; block++) {                                            \
            size_t scratch_bytes = (size_t)line_scratch(n) * sizeof(float);                         \
            size_t line_bytes = (size_t)((window + 1) * line_size) * sizeof(TYPE);                  \
            float *scratch = calloc(scratch_bytes + line_bytes, 1);                                 \
            has_failed |= !scratch;                                                                 \
            TYPE *lines = (TYPE *)(scratch + line_scratch(n));                                      \
            TYPE *column_max = lines + window * line_size;                                          \
            long done = -1; /* the last normalized line, counted over all images */                 \
            long first = images * rows * block / threads;                                           \
            long last = images * rows * (block + 1) / threads;                                      \
            for (long row = first; scratch && row < last; row++) {                                  \
                long top = row / rows * height + row % rows * stride;                               \
                for (long i = done < top ? top : done + 1; i < top + window; i++)                   \
                    LINE(x + i * line_size, lines + i % window * line_size, line_size, n, scratch); \
                done = top + window - 1;                                                            \
                NAME##_max_over((BITS *)lines, (BITS *)column_max, line_size, window, line_size);   \
                for (long column = 0; column < columns; column++)                                   \
                    NAME##_max_over((BITS *)column_max + column * stride * all_channels,            \
                                    (BITS *)y + (row * columns + column) * all_channels,            \
                                    all_channels, window, all_channels);                            \
            }                                                                                       \
            free(scratch);                                                                          \
        }                                                                                           \
        return (int)has_failed;                                                                     \
    }

RELU_NORM_POOL(relu_norm_pool_f32, float, bits, relu_norm_f32_line)
RELU_NORM_POOL(relu_norm_pool_bf16, uint16_t, uint16_t, relu_norm_bf16_line)

INLINE long backward_scratch(norm n) { return 4 * buffer_size(n); }

#define RELU_NORM_POOL_TRAINING(NAME, TYPE, READ, WRITE, FORWARD_LINE)                              \
    NORM_BACKWARD_PIXELS(NAME##_backward_pixels, TYPE, float, READ, read_f32, WRITE)                \
                                                                                                    \
    INLINE void NAME##_backward_line(const TYPE *x, const float *grad, TYPE *grad_in, long count,   \
                                     norm n, float *values) {                                       \
        long pixels = count / n.channels;                                                           \
        float *terms = values + buffer_size(n), *sums = terms + buffer_size(n);                     \
        float *scales = sums + buffer_size(n);                                                      \
        if (n.size)                                                                                 \
            for (long p = 0; p < pixels; p += PIXELS)                                               \
                NAME##_backward_pixels(x + p * n.channels, grad + p * n.channels,                   \
                                       grad_in + p * n.channels, smaller(pixels - p, PIXELS), n, 1, \
                                       values, terms, sums, scales);                                \
        else                                                                                        \
            for (long i = 0; i < count; i++) {                                                      \
                float value = READ(x[i]), result = grad[i];                                         \
                grad_in[i] = WRITE(value <= 0 ? 0 : result);                                        \
            }                                                                                       \
    }                                                                                               \
    MAX_POOL_FORWARD(NAME##_pool, TYPE, WRITE, norm, FORWARD_LINE, line_scratch)                    \
    MAX_POOL_BACKWARD(NAME##_pool_backward, TYPE, READ, norm, NAME##_backward_line, backward_scratch)\
                                                                                                    \
    int NAME##_forward(const TYPE *x, TYPE *y, uint8_t *places, const pooled_images *s,             \
                       float alpha, float beta, float k, int threads) {                             \
        return NAME##_pool(x, y, places, s, norm_of(s->channels, s->size, alpha, beta, k), threads);\
    }                                                                                               \
                                                                                                    \
    int NAME##_backward(const TYPE *x, const TYPE *grad, const uint8_t *places, TYPE *grad_in,      \
                        const pooled_images *s, float alpha, float beta, float k, int threads) {    \
        norm n = norm_of(s->channels, s->size, alpha, beta, k);                                     \
        return NAME##_pool_backward(x, grad, places, grad_in, s, n, threads);                       \
    }

RELU_NORM_POOL_TRAINING(relu_norm_pool_f32, float, read_f32, write_f32, relu_norm_f32_line)
RELU_NORM_POOL_TRAINING(relu_norm_pool_bf16, uint16_t, read_bf16, write_bf16,
                        relu_norm_bf16_to_f32_line)
