/* Response norm across channels, forward and backward. */
#include "norms.h"

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
