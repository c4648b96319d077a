/* Batch norm, ReLU and max pooling (none where the window is 1) of a batch in training, forward and backward.
 *
 * All in channels-last memory, x [images, height, width, channels]. The normalized values are not kept, but computed again
 * from x where they are needed. Functions return whether there was too little memory. */
#include "pooling.h"

/* y = scale * x + shift is normalized; the gradient w.r.t. x is scale * grad + slope * (x - mean) + offset, where grad is
 * that w.r.t. y. */
typedef struct { const float *scale, *shift, *mean, *slope, *offset; long channels; } channel_constants;

/* The rows of an array, of which a pass needs the first 2, 3 or all 5. */
INLINE channel_constants rows_of(const float *array, long channels) {
    return (channel_constants){array, array + channels, array + 2 * channels, array + 3 * channels, array + 4 * channels,
                               channels};
}

INLINE long no_scratch(channel_constants a) {
    (void)a;
    return 0;
}

#define BATCH_NORM_RELU_POOL(NAME, TYPE, READ, WRITE)                                               \
    /* Of each channel's pixels in each image the mean, and the sum of the squares of their         \
     * differences from it: moments [images, 2, channels]. */                                       \
    int NAME##_moments(const TYPE *x, float *moments, const pooled_images *s, int threads) {        \
        long channels = s->channels, pixels = s->height * s->width;                                 \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long n = 0; n < s->images; n++) {                                                      \
            const TYPE *restrict image = x + n * pixels * channels;                                 \
            float *restrict mean = moments + n * 2 * channels, *restrict squares = mean + channels; \
            memset(mean, 0, (size_t)(2 * channels) * sizeof(float));                                \
            for (long p = 0; p < pixels; p++)                                                       \
                for (long c = 0; c < channels; c++) mean[c] += READ(image[p * channels + c]);       \
            for (long c = 0; c < channels; c++) mean[c] /= (float)pixels;                           \
            for (long p = 0; p < pixels; p++)                                                       \
                for (long c = 0; c < channels; c++) {                                               \
                    float difference = READ(image[p * channels + c]) - mean[c];                     \
                    squares[c] += difference * difference;                                          \
                }                                                                                   \
        }                                                                                           \
        return 0;                                                                                   \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME##_line(const TYPE *restrict x, float *restrict line, long count,               \
                            channel_constants a, float *scratch) {                                  \
        (void)scratch;                                                                              \
        for (long p = 0; p < count; p += a.channels)                                                \
            for (long c = 0; c < a.channels; c++) {                                                 \
                float value = MULTIPLY_ADD(READ(x[p + c]), a.scale[c], a.shift[c]);                 \
                line[p + c] = clamp_min(value, 0);                                                  \
            }                                                                                       \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME##_backward_line(const TYPE *restrict x, const float *restrict grad,            \
                                     TYPE *restrict grad_in, long count, channel_constants a,       \
                                     float *scratch) {                                              \
        (void)scratch;                                                                              \
        for (long p = 0; p < count; p += a.channels)                                                \
            for (long c = 0; c < a.channels; c++) {                                                 \
                float in = READ(x[p + c]), value = MULTIPLY_ADD(in, a.scale[c], a.shift[c]);        \
                float grad_out = value <= 0 ? 0 : grad[p + c];                                      \
                float others = MULTIPLY_ADD(in - a.mean[c], a.slope[c], a.offset[c]);               \
                grad_in[p + c] = WRITE(MULTIPLY_ADD(grad_out, a.scale[c], others));                \
            }                                                                                       \
    }                                                                                               \
    MAX_POOL_FORWARD(NAME##_pool, TYPE, WRITE, channel_constants, NAME##_line, no_scratch)          \
    MAX_POOL_BACKWARD(NAME##_pool_backward, TYPE, READ, channel_constants, NAME##_backward_line,    \
                      no_scratch)                                                                   \
                                                                                                    \
    /* y [images, rows, columns, channels], and the places of the maxima. */                        \
    int NAME##_forward(const TYPE *x, const float *constants, TYPE *y, uint8_t *places,             \
                       const pooled_images *s, int threads) {                                       \
        channel_constants a = rows_of(constants, s->channels);                                      \
        if (s->window > 1) return NAME##_pool(x, y, places, s, a, threads);                         \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long p = 0; p < s->images * s->height * s->width; p++)                                 \
            for (long c = 0; c < a.channels; c++) {                                                 \
                long i = p * a.channels + c;                                                        \
                float value = MULTIPLY_ADD(READ(x[i]), a.scale[c], a.shift[c]);                     \
                y[i] = WRITE(clamp_min(value, 0));                                                  \
            }                                                                                       \
        return 0;                                                                                   \
    }                                                                                               \
                                                                                                    \
    /* The values at the places of the maxima of a window that begins at x. */                      \
    INLINE void NAME##_pick(const TYPE *x, const long *steps, const uint8_t *places, float *picked, \
                            long count) {                                                           \
        for (long c = 0; c < count; c++) picked[c] = READ(x[steps[places[c]] + c]);                 \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME##_add_products(const float *restrict x, const TYPE *restrict grad,             \
                                    channel_constants a, float *restrict sum,                       \
                                    float *restrict products) {                                     \
        for (long c = 0; c < a.channels; c++) {                                                     \
            float grad_out = READ(grad[c]);                                                         \
            grad_out = MULTIPLY_ADD(x[c], a.scale[c], a.shift[c]) <= 0 ? 0 : grad_out;              \
            sum[c] += grad_out;                                                                     \
            products[c] += grad_out * (x[c] - a.mean[c]);                                           \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    /* For each image and channel the sum of the gradients w.r.t. the normalized pixels, and of     \
     * their products with x - mean: sums [images, 2, channels]; grad is the gradient w.r.t. y. */  \
    int NAME##_sums(const TYPE *x, const float *constants, const TYPE *grad, const uint8_t *places, \
                    float *sums, const pooled_images *s, int threads) {                             \
        channel_constants a = rows_of(constants, s->channels);                                      \
        long channels = s->channels, num_steps = s->window * s->window, steps[num_steps];           \
        for (long i = 0; i < num_steps; i++)                                                        \
            steps[i] = (i / s->window * s->width + i % s->window) * channels;                       \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long n = 0; n < s->images; n++) {                                                      \
            float *sum = sums + n * 2 * channels, picked[channels];                                 \
            memset(sum, 0, (size_t)(2 * channels) * sizeof(float));                                 \
            for (long p = 0; p < s->rows * s->columns; p++) {                                       \
                long row = p / s->columns * s->stride, column = p % s->columns * s->stride;         \
                const TYPE *in = x + ((n * s->height + row) * s->width + column) * channels;        \
                long from = (n * s->rows * s->columns + p) * channels;                              \
                if (num_steps > 1) NAME##_pick(in, steps, places + from, picked, channels);         \
                else                                                                                \
                    for (long c = 0; c < channels; c++) picked[c] = READ(in[c]);                    \
                NAME##_add_products(picked, grad + from, a, sum, sum + channels);                   \
            }                                                                                       \
        }                                                                                           \
        return 0;                                                                                   \
    }                                                                                               \
                                                                                                    \
    /* The gradient grad_in w.r.t. x. */                                                            \
    int NAME##_backward(const TYPE *x, const float *constants, const TYPE *grad,                    \
                        const uint8_t *places, TYPE *grad_in, const pooled_images *s,               \
                        int threads) {                                                              \
        channel_constants a = rows_of(constants, s->channels);                                      \
        if (s->window > 1) return NAME##_pool_backward(x, grad, places, grad_in, s, a, threads);    \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long p = 0; p < s->images * s->height * s->width; p++) {                               \
            float line[a.channels];                                                                 \
            for (long c = 0; c < a.channels; c++) line[c] = READ(grad[p * a.channels + c]);         \
            NAME##_backward_line(x + p * a.channels, line, grad_in + p * a.channels, a.channels, a, \
                                 NULL);                                                             \
        }                                                                                           \
        return 0;                                                                                   \
    }

BATCH_NORM_RELU_POOL(batch_norm_relu_pool_f32, float, read_f32, write_f32)
BATCH_NORM_RELU_POOL(batch_norm_relu_pool_bf16, uint16_t, read_bf16, write_bf16)
