/* Response norm across channels of some pixels, forward and backward, as macros for the types of numbers. */
#include "kernels.h"

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

INLINE void sums_of_size(const float *restrict values, float *restrict sums, long count, long step,
                         long size) {
    for (long i = 0; i < count; i++) {
        float sum = values[i];
        for (long j = 1; j < size; j++) sum += values[i + j * step];
        sums[i] = sum;
    }
}

/* sums[i] = values[i] + values[i + step] + .., of `size` values; the compiler unrolls a size that
 * it knows. */
INLINE void step_sums(const float *restrict values, float *restrict sums, long count, long step,
                      long size) {
    if (size == 5) sums_of_size(values, sums, count, step, 5);
    else if (size == 3) sums_of_size(values, sums, count, step, 3);
    else sums_of_size(values, sums, count, step, size);
}

/* The same for values that are beside each other. */
INLINE void window_sums(const float *restrict values, float *restrict sums, long count, long size) {
    step_sums(values, sums, count, 1, size);
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
