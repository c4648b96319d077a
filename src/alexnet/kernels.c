/* The operations that torch lacks, for one processor: built by kernels.py where there is a C compiler.
 *
 * Every function computes in float32 and works on rows that do not touch each other, so the bits of
 * a result do not depend on the number of threads. bf16 is the upper half of a float32.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float read_f32(float x) { return x; }
INLINE float write_f32(float x) { return x; }

INLINE float read_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* Rounds to nearest, ties to even; a NaN stays one. */
INLINE uint16_t write_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (uint16_t)(x == x ? rounded : 0x7fc0u);
}

/* x to the power -beta; two square roots are several times cheaper than a power. */
INLINE float negative_power(float x, float beta, int is_three_quarters) {
    if (is_three_quarters) {
        float root = 1.0f / sqrtf(x);
        return root * sqrtf(root);
    }
    return powf(x, -beta);
}

/* sums[i] = values[i] + .. + values[i + size - 1]; the compiler unrolls a size that it knows. */
INLINE void window_sums(const float *restrict values, float *restrict sums, long maps, long size) {
    for (long i = 0; i < maps; i++) {
        float sum = values[i];
        for (long j = 1; j < size; j++) sum += values[i + j];
        sums[i] = sum;
    }
}

INLINE void windows(const float *restrict values, float *restrict sums, long maps, long size) {
    if (size == 5) window_sums(values, sums, maps, 5);
    else if (size == 3) window_sums(values, sums, maps, 3);
    else window_sums(values, sums, maps, size);
}

/* Response norm of `rows` rows of `maps` maps in channels-last memory (a pixel's column of maps is a
 * row): y = x * (k + alpha * sum of squares) ** -beta. `values` has room for maps + size floats.
 * In the backward pass the scales are computed again from x, so nothing but x is kept. */
#define RESPONSE_NORM(NAME, TYPE, READ, WRITE)                                                      \
    INLINE void NAME##_row(const TYPE *restrict x, TYPE *restrict y, long maps, long size,          \
                           float alpha, float beta, float k, int is_fast,                           \
                           float *restrict values, float *restrict sums) {                          \
        long back = size / 2;                                                                       \
        for (long i = 0; i < maps; i++) {                                                           \
            float value = READ(x[i]);                                                               \
            values[back + i] = value * value;                                                       \
        }                                                                                           \
        windows(values, sums, maps, size);                                                          \
        for (long i = 0; i < maps; i++)                                                             \
            y[i] = WRITE(READ(x[i]) * negative_power(k + alpha * sums[i], beta, is_fast));          \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME##_backward_row(const TYPE *restrict x, const TYPE *restrict g,                 \
                                    TYPE *restrict dx, long maps, long size, float alpha,           \
                                    float beta, float k, int is_fast, float *restrict values,       \
                                    float *restrict terms, float *restrict sums,                    \
                                    float *restrict scales) {                                       \
        long back = size / 2, forth = size - 1 - back;                                              \
        for (long i = 0; i < maps; i++) {                                                           \
            float value = READ(x[i]);                                                               \
            values[back + i] = value * value;                                                       \
        }                                                                                           \
        windows(values, sums, maps, size);                                                          \
        for (long i = 0; i < maps; i++) {                                                           \
            float scale = k + alpha * sums[i];                                                      \
            scales[i] = negative_power(scale, beta, is_fast);                                       \
            terms[forth + i] = READ(g[i]) * READ(x[i]) * scales[i] / scale;                         \
        }                                                                                           \
        windows(terms, sums, maps, size);                                                           \
        float factor = -2.0f * alpha * beta;                                                        \
        for (long i = 0; i < maps; i++)                                                             \
            dx[i] = WRITE(READ(g[i]) * scales[i] + factor * READ(x[i]) * sums[i]);                  \
    }                                                                                               \
                                                                                                    \
    void NAME(const TYPE *x, TYPE *y, long rows, long maps, long size, float alpha, float beta,     \
              float k, int threads) {                                                               \
        int is_fast = beta == 0.75f;                                                                \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long block = 0; block < threads; block++) {                                            \
            float values[maps + size], sums[maps];                                                  \
            memset(values, 0, sizeof values);                                                       \
            for (long row = rows * block / threads; row < rows * (block + 1) / threads; row++)      \
                NAME##_row(x + row * maps, y + row * maps, maps, size, alpha, beta, k, is_fast,     \
                           values, sums);                                                           \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    void NAME##_backward(const TYPE *x, const TYPE *g, TYPE *dx, long rows, long maps, long size,   \
                         float alpha, float beta, float k, int threads) {                           \
        int is_fast = beta == 0.75f;                                                                \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long block = 0; block < threads; block++) {                                            \
            float values[maps + size], terms[maps + size], sums[maps], scales[maps];                \
            memset(values, 0, sizeof values);                                                       \
            memset(terms, 0, sizeof terms);                                                         \
            for (long row = rows * block / threads; row < rows * (block + 1) / threads; row++)      \
                NAME##_backward_row(x + row * maps, g + row * maps, dx + row * maps, maps, size,    \
                                    alpha, beta, k, is_fast, values, terms, sums, scales);          \
        }                                                                                           \
    }

RESPONSE_NORM(response_norm_f32, float, read_f32, write_f32)
RESPONSE_NORM(response_norm_bf16, uint16_t, read_bf16, write_bf16)
