/* Response norm across channels, forward and backward; and ReLU, norm and max pooling in one pass,
 * for inference, and for training forward and backward. */
#include "kernels.h"

/* powers[i] = (k + alpha * sums[i]) ** -beta; both may be one array. For beta = 3/4 two square
 * roots are several times cheaper than a power. Where the CPU has an instruction that approximates
 * a reciprocal root, that and one step of Newton's method are cheaper still, and nearly as exact as
 * float32. */
#if defined(__AVX512F__)
#include <immintrin.h>

INLINE __m512 newton_step(__m512 x, __m512 approx) {
    __m512 half = _mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(0.5f), x), approx);
    return _mm512_mul_ps(approx, _mm512_fnmadd_ps(half, approx, _mm512_set1_ps(1.5f)));
}

INLINE void minus_three_quarters(const float *sums, float *powers, long count, float alpha,
                                 float k) {
    for (long i = 0; i < count; i += 16) {
        __mmask16 inside = (__mmask16)(count - i < 16 ? (1 << (count - i)) - 1 : -1);
        __m512 sum = _mm512_maskz_loadu_ps(inside, sums + i);
        __m512 x = _mm512_fmadd_ps(_mm512_set1_ps(alpha), sum, _mm512_set1_ps(k));
        __m512 approx = _mm512_rsqrt14_ps(x), root = newton_step(x, approx);
        __m512 next = newton_step(root, _mm512_rsqrt14_ps(root));
        __mmask16 is_finite = _mm512_cmp_ps_mask(approx, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        __m512 power = _mm512_maskz_mul_ps(is_finite, _mm512_mul_ps(root, root), next);
        _mm512_mask_storeu_ps(powers + i, inside, power);
    }
}
#else
INLINE void minus_three_quarters(const float *sums, float *powers, long count, float alpha,
                                 float k) {
    for (long i = 0; i < count; i++) {
        float root = 1.0f / sqrtf(k + alpha * sums[i]);
        powers[i] = root * sqrtf(root);
    }
}
#endif

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

/* y = x' * (k + alpha * sum of squares of x') ** -beta, where x' = max(x, min). */
#define NORM_PIXELS(NAME, TYPE, OUT, READ, WRITE)                                                   \
    INLINE void NAME(const TYPE *restrict x, OUT *restrict y, long pixels, norm n, float min,       \
                     float *restrict values, float *restrict sums) {                                \
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

/* For inference: y = max pooling of the response norm (none where size is 0) of max(x, 0), channels
 * last. x [images, height, width, groups * channels]; y [images, rows, columns, groups * channels].
 * Normalized lines are kept for the windows below that share them.
 *
 * The maximum is found by bits, which keeps NaN: as unsigned integers, the bits of floats without a
 * sign are in the order of the floats, and NaN is above all. */
typedef uint32_t __attribute__((may_alias)) bits;

INLINE void max_of_size(const float *x, float *restrict max, long count, long window,
                        long step) {
    const bits *from = (const bits *)x;
    for (long i = 0; i < count; i++) {
        bits found = from[i];
        for (long j = 1; j < window; j++)
            found = found > from[i + j * step] ? found : from[i + j * step];
        ((bits *)max)[i] = found;
    }
}

/* max[i] = the maximum of the `window` values x[i], x[i + step] .. */
INLINE void max_over(const float *x, float *restrict max, long count, long window, long step) {
    if (window == 3) max_of_size(x, max, count, 3, step);
    else if (window == 2) max_of_size(x, max, count, 2, step);
    else max_of_size(x, max, count, window, step);
}

#define RELU_NORM_POOL(NAME, TYPE, READ, WRITE)                                                     \
    NORM_PIXELS(NAME##_pixels, TYPE, float, READ, read_f32)                                         \
                                                                                                    \
    INLINE void NAME##_line(const TYPE *restrict x, float *restrict line, long pixels, norm n,      \
                            float *restrict values, float *restrict sums) {                         \
        if (n.size)                                                                                 \
            for (long p = 0; p < pixels; p += PIXELS)                                               \
                NAME##_pixels(x + p * n.channels, line + p * n.channels,                            \
                              smaller(pixels - p, PIXELS), n, 0, values, sums);                     \
        else                                                                                        \
            for (long i = 0; i < pixels * n.channels; i++) {                                        \
                float value = READ(x[i]);                                                           \
                line[i] = clamp_min(value, 0);                                                      \
            }                                                                                       \
    }                                                                                               \
                                                                                                    \
    int NAME(const TYPE *x, TYPE *y, long images, long height, long width, long groups,             \
              long channels, long size, float alpha, float beta, float k, long window, long stride, \
              long rows, long columns, int threads) {                                               \
        long all_channels = groups * channels, line_size = width * all_channels, has_failed = 0;    \
        norm n = norm_of(channels, size, alpha, beta, k);                                           \
        _Pragma("omp parallel for num_threads(threads) schedule(static) reduction(|:has_failed)")   \
        for (long block = 0; block < threads; block++) {                                            \
            long size_floats = (window + 1) * line_size + all_channels + 2 * buffer_size(n);        \
            float *lines = calloc((size_t)size_floats, sizeof(float));                              \
            has_failed |= !lines;                                                                   \
            float *column_max = lines + window * line_size, *max = column_max + line_size;          \
            float *sums = max + all_channels, *values = sums + buffer_size(n);                      \
            long done = -1; /* the last normalized line, counted over all images */                 \
            long first = images * rows * block / threads;                                           \
            long last = images * rows * (block + 1) / threads;                                      \
            for (long row = first; lines && row < last; row++) {                                    \
                long top = row / rows * height + row % rows * stride;                               \
                for (long i = done < top ? top : done + 1; i < top + window; i++)                   \
                    NAME##_line(x + i * line_size, lines + i % window * line_size, width * groups,  \
                                n, values, sums);                                                   \
                done = top + window - 1;                                                            \
                max_over(lines, column_max, line_size, window, line_size);                          \
                for (long column = 0; column < columns; column++) {                                 \
                    max_over(column_max + column * stride * all_channels, max, all_channels,        \
                             window, all_channels);                                                 \
                    TYPE *restrict out = y + (row * columns + column) * all_channels;               \
                    for (long c = 0; c < all_channels; c++) out[c] = WRITE(max[c]);                 \
                }                                                                                   \
            }                                                                                       \
            free(lines);                                                                            \
        }                                                                                           \
        return (int)has_failed;                                                                     \
    }

RELU_NORM_POOL(relu_norm_pool_f32, float, read_f32, write_f32)
RELU_NORM_POOL(relu_norm_pool_bf16, uint16_t, read_bf16, write_bf16)

/* Where one value is larger than the maximum so far, it takes its place. */
INLINE void take_larger(const bits *restrict from, bits *restrict max, bits *restrict place,
                        bits here, long count) {
    for (long i = 0; i < count; i++) {
        int is_larger = from[i] > max[i];
        place[i] = is_larger ? here : place[i];
        max[i] = is_larger ? from[i] : max[i];
    }
}

/* The maximum of a window of lines, and where in it that is: the first of equal ones in the order
 * of torch, line by line. STRIP channels are computed at a time, in registers. */
enum { STRIP = 32 };

INLINE void max_of_strip(const float *lines, long first_line, long from, long channels,
                         long line_size, long window, bits *restrict max, bits *restrict place,
                         long count) {
    bits best[STRIP], at[STRIP];
    const bits *first = (const bits *)(lines + first_line % window * line_size + from);
    for (long i = 0; i < count; i++) best[i] = first[i], at[i] = 0;
    for (long i = 0; i < window; i++) {
        const bits *line = (const bits *)(lines + (first_line + i) % window * line_size + from);
        for (long j = 0; j < window; j++)
            take_larger(line + j * channels, best, at, (bits)(i * window + j), count);
    }
    for (long i = 0; i < count; i++) max[i] = best[i], place[i] = at[i];
}

INLINE void max_and_place(const float *lines, long column, long first_line, float *restrict max,
                          bits *restrict place, long channels, long line_size, long window) {
    long c = 0, from = column * channels;
    for (; c + STRIP <= channels; c += STRIP)
        max_of_strip(lines, first_line, from + c, channels, line_size, window, (bits *)max + c,
                     place + c, STRIP);
    if (c < channels)
        max_of_strip(lines, first_line, from + c, channels, line_size, window, (bits *)max + c,
                     place + c, channels - c);
}

/* sums += the gradients of pooled values whose maximum is at `place` of their window. */
#define ADD_WHERE(NAME, TYPE, READ)                                                                 \
    INLINE void NAME(const TYPE *restrict grad, const uint8_t *restrict places, uint8_t place,      \
                     float *restrict sums, long count) {                                            \
        for (long i = 0; i < count; i++) sums[i] += places[i] == place ? READ(grad[i]) : 0;         \
    }

typedef struct {
    long images, height, width, groups, channels, size, window, stride, rows, columns;
} pooled_images;

#define RELU_NORM_POOL_TRAINING(NAME, TYPE, READ, WRITE)                                            \
    ADD_WHERE(NAME##_add_where, TYPE, READ)                                                         \
    NORM_BACKWARD_PIXELS(NAME##_backward_pixels, TYPE, float, READ, read_f32, WRITE)                \
                                                                                                    \
    int NAME##_forward(const TYPE *x, TYPE *y, uint8_t *places, const pooled_images *s,             \
                       float alpha, float beta, float k, int threads) {                             \
        long channels = s->groups * s->channels, line_size = s->width * channels, has_failed = 0;   \
        norm n = norm_of(s->channels, s->size, alpha, beta, k);                                     \
        _Pragma("omp parallel for num_threads(threads) schedule(static) reduction(|:has_failed)")   \
        for (long block = 0; block < threads; block++) {                                            \
            long size_floats = s->window * line_size + 2 * channels + 2 * buffer_size(n);           \
            float *lines = calloc((size_t)size_floats, sizeof(float));                              \
            has_failed |= !lines;                                                                   \
            float *max = lines + s->window * line_size, *sums = max + 2 * channels;                 \
            bits *place = (bits *)(max + channels);                                                 \
            float *values = sums + buffer_size(n);                                                  \
            long done = -1; /* the last normalized line, counted over all images */                 \
            long last = s->images * s->rows * (block + 1) / threads;                                \
            for (long row = s->images * s->rows * block / threads; lines && row < last; row++) {    \
                long top = row / s->rows * s->height + row % s->rows * s->stride;                   \
                for (long i = done < top ? top : done + 1; i < top + s->window; i++)                \
                    NAME##_line(x + i * line_size, lines + i % s->window * line_size,               \
                                s->width * s->groups, n, values, sums);                             \
                done = top + s->window - 1;                                                         \
                for (long column = 0; column < s->columns; column++) {                              \
                    max_and_place(lines, column * s->stride, top, max, place, channels, line_size,  \
                                  s->window);                                                       \
                    long to = (row * s->columns + column) * channels;                               \
                    for (long c = 0; c < channels; c++) y[to + c] = WRITE(max[c]);                  \
                    for (long c = 0; c < channels; c++) places[to + c] = (uint8_t)place[c];         \
                }                                                                                   \
            }                                                                                       \
            free(lines);                                                                            \
        }                                                                                           \
        return (int)has_failed;                                                                     \
    }                                                                                               \
                                                                                                    \
    int NAME##_backward(const TYPE *x, const TYPE *grad, const uint8_t *places, TYPE *grad_in,      \
                        const pooled_images *s, float alpha, float beta, float k, int threads) {    \
        long channels = s->groups * s->channels, line_size = s->width * channels, has_failed = 0;   \
        norm n = norm_of(s->channels, s->size, alpha, beta, k);                                     \
        _Pragma("omp parallel for num_threads(threads) schedule(static) reduction(|:has_failed)")   \
        for (long block = 0; block < threads; block++) {                                            \
            float *line_grad = calloc((size_t)(line_size + 4 * buffer_size(n)), sizeof(float));     \
            has_failed |= !line_grad;                                                               \
            float *values = line_grad + line_size, *terms = values + buffer_size(n);                \
            float *sums = terms + buffer_size(n), *scales = sums + buffer_size(n);                  \
            long last = s->images * s->height * (block + 1) / threads;                              \
            for (long at = s->images * s->height * block / threads; line_grad && at < last; at++) { \
                long image = at / s->height, line = at % s->height;                                 \
                memset(line_grad, 0, (size_t)line_size * sizeof(float));                            \
                long first = line < s->window ? 0 : (line - s->window) / s->stride + 1;             \
                for (long row = first; row < s->rows && row * s->stride <= line; row++)             \
                    for (long column = 0; column < s->columns; column++)                            \
                        for (long j = 0; j < s->window; j++) {                                      \
                            long from = ((image * s->rows + row) * s->columns + column) * channels; \
                            long place = (line - row * s->stride) * s->window + j;                  \
                            NAME##_add_where(grad + from, places + from, (uint8_t)place,            \
                                             line_grad + (column * s->stride + j) * channels,       \
                                             channels);                                             \
                        }                                                                           \
                const TYPE *in = x + at * line_size;                                                \
                TYPE *out = grad_in + at * line_size;                                               \
                long pixels = s->width * s->groups;                                                 \
                if (n.size)                                                                         \
                    for (long p = 0; p < pixels; p += PIXELS)                                       \
                        NAME##_backward_pixels(in + p * n.channels, line_grad + p * n.channels,     \
                                               out + p * n.channels, smaller(pixels - p, PIXELS),   \
                                               n, 1, values, terms, sums, scales);                  \
                else                                                                                \
                    for (long i = 0; i < line_size; i++) {                                          \
                        float value = READ(in[i]), result = line_grad[i];                           \
                        out[i] = WRITE(value <= 0 ? 0 : result);                                    \
                    }                                                                               \
            }                                                                                       \
            free(line_grad);                                                                        \
        }                                                                                           \
        return (int)has_failed;                                                                     \
    }

RELU_NORM_POOL_TRAINING(relu_norm_pool_f32, float, read_f32, write_f32)
RELU_NORM_POOL_TRAINING(relu_norm_pool_bf16, uint16_t, read_bf16, write_bf16)
