/* Response norm across channels, forward and backward; and ReLU, norm and max pooling in one pass,
 * for inference, and for training forward and backward. */
#include "pooling.h"

#if defined(__AVX512F__)
#include "norm_five.h"
#endif

/* powers[i] = (k + alpha * sums[i]) ** -beta; both may be one array. For beta = 3/4 two square
 * roots are several times cheaper than a power. */
INLINE void minus_three_quarters(const float *sums, float *powers, long count, float alpha,
                                 float k) {
    for (long i = 0; i < count; i++) {
        float root = 1.0f / sqrtf(k + alpha * sums[i]);
        powers[i] = root * sqrtf(root);
    }
}

/* Constants of a response norm over `channels` numbers that are adjacent in channels-last memory:
 * the channels of one group at one pixel. */
typedef struct { long channels, size; float alpha, beta, k; } norm;

/* A window of twice the channels contains all of them, wherever its center is. */
INLINE norm norm_of(long channels, long size, float alpha, float beta, float k) {
    return (norm){channels, size < 2 * channels ? size : 2 * channels, alpha, beta, k};
}

INLINE void negative_powers(const float *sums, float *powers, long count, norm n) {
    if (n.beta == 0.75f) minus_three_quarters(sums, powers, count, n.alpha, n.k);
    else
        for (long i = 0; i < count; i++) powers[i] = powf(n.k + n.alpha * sums[i], -n.beta);
}

INLINE void sums_of_size(const float *restrict values, float *restrict sums, long count,
                         long size) {
    for (long i = 0; i < count; i++) {
        float sum = values[i];
        for (long j = 1; j < size; j++) sum += values[i + j];
        sums[i] = sum;
    }
}

/* sums[i] = values[i] + .. + values[i + size - 1]; the compiler unrolls a size that it knows. */
INLINE void window_sums(const float *restrict values, float *restrict sums, long count, long size) {
    if (size == 5) sums_of_size(values, sums, count, 5);
    else if (size == 3) sums_of_size(values, sums, count, 3);
    else sums_of_size(values, sums, count, size);
}

/* PIXELS pixels are computed at a time: a load that overlaps recent stores waits until they are in
 * the cache, so enough work has to lie between. In the buffers pixels are `pitch` floats apart,
 * with zeros between them that the windows reach into. */
enum { PIXELS = 8 };

INLINE long pitch_of(norm n) { return n.channels + n.size; }
INLINE long buffer_size(norm n) { return PIXELS * pitch_of(n) + n.size; }

/* Calls a kernel of `norm_five.h` where there is one for a norm, and returns. */
#if defined(__AVX512F__)
#define TRY_FIVE(CALL) \
    if (n.size == 5 && n.beta == 0.75f) { CALL; return; }
#else
#define TRY_FIVE(CALL)
#endif

/* y = x' * (k + alpha * sum of squares of x') ** -beta, where x' = max(x, min). */
#define NORM_PIXELS(NAME, TYPE, OUT, READ, WRITE)                                                   \
    INLINE void NAME(const TYPE *restrict x, OUT *restrict y, long pixels, norm n, float min,       \
                     float *restrict values, float *restrict sums) {                                \
        TRY_FIVE(norm_five(x, y, pixels, n.channels, n.alpha, n.k, min, sizeof *x, sizeof *y))      \
        long pitch = pitch_of(n), channels = n.channels;                                            \
        for (long p = 0; p < pixels; p++) {                                                         \
            float *restrict to = values + p * pitch + n.size / 2;                                   \
            for (long i = 0; i < channels; i++) {                                                   \
                float value = clamp_min(READ(x[p * channels + i]), min);                            \
                to[i] = value * value;                                                              \
            }                                                                                       \
        }                                                                                           \
        window_sums(values, sums, pixels * pitch, n.size);                                          \
        negative_powers(sums, sums, pixels * pitch, n);                                             \
        for (long p = 0; p < pixels; p++)                                                           \
            for (long i = 0; i < channels; i++) {                                                   \
                float value = clamp_min(READ(x[p * channels + i]), min);                            \
                y[p * channels + i] = WRITE(value * sums[p * pitch + i]);                           \
            }                                                                                       \
    }

/* The gradient grad_in w.r.t. x of `pixels` pixels, where grad is that w.r.t. the norm of x, or of
 * max(x, 0) where `has_relu`. The scales are computed again from x, so only x has to be saved. */
#define NORM_BACKWARD_PIXELS(NAME, TYPE, GRAD, READ, READ_GRAD, WRITE)                              \
    INLINE void NAME(const TYPE *restrict x, const GRAD *restrict grad, TYPE *restrict grad_in,     \
                     long pixels, norm n, int has_relu, float *restrict values,                     \
                     float *restrict terms, float *restrict sums, float *restrict scales) {         \
        TRY_FIVE(norm_five_backward(x, grad, grad_in, pixels, n.channels, n.alpha, n.k, has_relu,   \
                                    sizeof *x, sizeof *grad))                                       \
        long pitch = pitch_of(n), channels = n.channels;                                            \
        long before = n.size / 2, after = n.size - 1 - before;                                      \
        float min = has_relu ? 0 : -INFINITY;                                                       \
        for (long p = 0; p < pixels; p++)                                                           \
            for (long i = 0; i < channels; i++) {                                                   \
                float value = clamp_min(READ(x[p * channels + i]), min);                            \
                values[p * pitch + before + i] = value * value;                                     \
            }                                                                                       \
        window_sums(values, sums, pixels * pitch, n.size);                                          \
        negative_powers(sums, scales, pixels * pitch, n);                                           \
        for (long p = 0; p < pixels; p++)                                                           \
            for (long i = 0; i < channels; i++) {                                                   \
                long at = p * pitch + i;                                                            \
                float value = clamp_min(READ(x[p * channels + i]), min);                            \
                float product = READ_GRAD(grad[p * channels + i]) * value;                          \
                terms[at + after] = product * scales[at] / (n.k + n.alpha * sums[at]);              \
            }                                                                                       \
        window_sums(terms, sums, pixels * pitch, n.size);                                           \
        float factor = -2.0f * n.alpha * n.beta;                                                    \
        for (long p = 0; p < pixels; p++)                                                           \
            for (long i = 0; i < channels; i++) {                                                   \
                long in = p * channels + i, at = p * pitch + i;                                     \
                float value = READ(x[in]);                                                          \
                float result = READ_GRAD(grad[in]) * scales[at] + factor * value * sums[at];        \
                grad_in[in] = WRITE(has_relu && value <= 0 ? 0 : result);                           \
            }                                                                                       \
    }

/* Response norm of `pixels` pixels, and its gradient grad_in w.r.t. x, where grad is that w.r.t.
 * the output. */
#define RESPONSE_NORM(NAME, TYPE, READ, WRITE)                                                      \
    NORM_PIXELS(NAME##_pixels, TYPE, TYPE, READ, WRITE)                                             \
                                                                                                    \
    NORM_BACKWARD_PIXELS(NAME##_backward_pixels, TYPE, TYPE, READ, READ, WRITE)                     \
                                                                                                    \
    void NAME(const TYPE *x, TYPE *y, long pixels, long channels, long size, float alpha,           \
              float beta, float k, int threads) {                                                   \
        norm n = norm_of(channels, size, alpha, beta, k);                                           \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long block = 0; block < threads; block++) {                                            \
            float values[buffer_size(n)], sums[buffer_size(n)];                                     \
            memset(values, 0, sizeof values);                                                       \
            long last = pixels * (block + 1) / threads;                                             \
            for (long p = pixels * block / threads; p < last; p += PIXELS)                          \
                NAME##_pixels(x + p * channels, y + p * channels, smaller(last - p, PIXELS), n,     \
                              -INFINITY, values, sums);                                             \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    void NAME##_backward(const TYPE *x, const TYPE *grad, TYPE *grad_in, long pixels,               \
                         long channels, long size, float alpha, float beta, float k, int threads) { \
        norm n = norm_of(channels, size, alpha, beta, k);                                           \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long block = 0; block < threads; block++) {                                            \
            float values[buffer_size(n)], terms[buffer_size(n)];                                    \
            float sums[buffer_size(n)], scales[buffer_size(n)];                                     \
            memset(values, 0, sizeof values);                                                       \
            memset(terms, 0, sizeof terms);                                                         \
            long last = pixels * (block + 1) / threads;                                             \
            for (long p = pixels * block / threads; p < last; p += PIXELS)                          \
                NAME##_backward_pixels(x + p * channels, grad + p * channels,                       \
                                       grad_in + p * channels, smaller(last - p, PIXELS), n, 0,     \
                                       values, terms, sums, scales);                                \
        }                                                                                           \
    }

RESPONSE_NORM(response_norm_f32, float, read_f32, write_f32)
RESPONSE_NORM(response_norm_bf16, uint16_t, read_bf16, write_bf16)

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
