/* What stands between convolutions, and convolutions by Winograd's way: what torch lacks.
 *
 * Every function computes in float32 and works on rows that do not touch each other, so the bits
 * of a result do not depend on the number of threads. kernels.py builds it where there is a C
 * compiler. */
#include "kernels.h"

/* powers[i] = (k + alpha * sums[i]) ** -beta; both may be one array. For beta = 3/4 two square roots
 * are several times cheaper than a power. Where the processor guesses reciprocal roots, a step of
 * Newton's method behind each guess is cheaper still, and nearly as exact as float32. */
#if defined(__AVX512F__)
#include <immintrin.h>

INLINE __m512 root_step(__m512 x, __m512 guess) {
    __m512 half = _mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(0.5f), x), guess);
    return _mm512_mul_ps(guess, _mm512_fnmadd_ps(half, guess, _mm512_set1_ps(1.5f)));
}

INLINE void three_quarters(const float *sums, float *powers, long count, float alpha, float k) {
    for (long i = 0; i < count; i += 16) {
        __mmask16 inside = (__mmask16)(count - i < 16 ? (1 << (count - i)) - 1 : -1);
        __m512 sum = _mm512_maskz_loadu_ps(inside, sums + i);
        __m512 x = _mm512_fmadd_ps(_mm512_set1_ps(alpha), sum, _mm512_set1_ps(k));
        __m512 guess = _mm512_rsqrt14_ps(x), root = root_step(x, guess);
        __m512 other = root_step(root, _mm512_rsqrt14_ps(root));
        __mmask16 is_finite = _mm512_cmp_ps_mask(guess, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        __m512 power = _mm512_maskz_mul_ps(is_finite, _mm512_mul_ps(root, root), other);
        _mm512_mask_storeu_ps(powers + i, inside, power);
    }
}
#else
INLINE void three_quarters(const float *sums, float *powers, long count, float alpha, float k) {
    for (long i = 0; i < count; i++) {
        float root = 1.0f / sqrtf(k + alpha * sums[i]);
        powers[i] = root * sqrtf(root);
    }
}
#endif

/* Response norm over `maps` neighbouring numbers, a pixel's maps in channels-last memory. */
typedef struct { long maps, size; float alpha, beta, k; } norm;

/* Windows of twice as many as there are hold them all, wherever they stand. */
INLINE norm norm_of(long maps, long size, float alpha, float beta, float k) {
    return (norm){maps, size < 2 * maps ? size : 2 * maps, alpha, beta, k};
}

INLINE void negative_powers(const float *sums, float *powers, long count, norm n) {
    if (n.beta == 0.75f) three_quarters(sums, powers, count, n.alpha, n.k);
    else
        for (long i = 0; i < count; i++) powers[i] = powf(n.k + n.alpha * sums[i], -n.beta);
}

/* sums[i] = values[i] + .. + values[i + size - 1]; the compiler unrolls a size that it knows. */
INLINE void window_sums(const float *restrict values, float *restrict sums, long count, long size) {
    for (long i = 0; i < count; i++) {
        float sum = values[i];
        for (long j = 1; j < size; j++) sum += values[i + j];
        sums[i] = sum;
    }
}

INLINE void windows(const float *restrict values, float *restrict sums, long count, long size) {
    if (size == 5) window_sums(values, sums, count, 5);
    else if (size == 3) window_sums(values, sums, count, 3);
    else window_sums(values, sums, count, size);
}

/* Rows of maps are done ROWS at a time: what has just been written can't be read at another place
 * before it is in the cache, so enough has to lie between. They stand `pitch` numbers apart, with
 * zeros between them that the windows reach into. */
enum { ROWS = 8 };

INLINE long pitch_of(norm n) { return n.maps + n.size; }
INLINE long room_of(norm n) { return ROWS * pitch_of(n) + n.size; }

/* y = x' * (k + alpha * sum of squares of x') ** -beta, where x' is x and at least `least`. */
#define NORM_ROWS(NAME, TYPE, OUT, READ, WRITE)                                                     \
    INLINE void NAME(const TYPE *restrict x, OUT *restrict y, long rows, norm n, float least,       \
                     float *restrict values, float *restrict sums) {                                \
        long pitch = pitch_of(n), maps = n.maps;                                                    \
        for (long row = 0; row < rows; row++) {                                                     \
            float *restrict to = values + row * pitch + n.size / 2;                                 \
            for (long i = 0; i < maps; i++) {                                                       \
                float value = at_least(READ(x[row * maps + i]), least);                             \
                to[i] = value * value;                                                              \
            }                                                                                       \
        }                                                                                           \
        windows(values, sums, rows * pitch, n.size);                                                \
        negative_powers(sums, sums, rows * pitch, n);                                               \
        for (long row = 0; row < rows; row++)                                                       \
            for (long i = 0; i < maps; i++) {                                                       \
                float value = at_least(READ(x[row * maps + i]), least);                             \
                y[row * maps + i] = WRITE(value * sums[row * pitch + i]);                           \
            }                                                                                       \
    }

/* Response norm of `rows` rows, and its gradient dx where g is that by the norm. The scales are
 * computed again from x, so nothing but x is kept. */
#define RESPONSE_NORM(NAME, TYPE, READ, WRITE)                                                      \
    NORM_ROWS(NAME##_rows, TYPE, TYPE, READ, WRITE)                                                 \
                                                                                                    \
    INLINE void NAME##_backward_rows(const TYPE *restrict x, const TYPE *restrict g,                \
                                     TYPE *restrict dx, long rows, norm n, float *restrict values,  \
                                     float *restrict terms, float *restrict sums,                   \
                                     float *restrict scales) {                                      \
        long pitch = pitch_of(n), maps = n.maps, back = n.size / 2, forth = n.size - 1 - back;      \
        for (long row = 0; row < rows; row++)                                                       \
            for (long i = 0; i < maps; i++) {                                                       \
                float value = READ(x[row * maps + i]);                                              \
                values[row * pitch + back + i] = value * value;                                     \
            }                                                                                       \
        windows(values, sums, rows * pitch, n.size);                                                \
        negative_powers(sums, scales, rows * pitch, n);                                             \
        for (long row = 0; row < rows; row++)                                                       \
            for (long i = 0; i < maps; i++) {                                                       \
                long at = row * pitch + i;                                                          \
                float product = READ(g[row * maps + i]) * READ(x[row * maps + i]);                  \
                terms[at + forth] = product * scales[at] / (n.k + n.alpha * sums[at]);              \
            }                                                                                       \
        windows(terms, sums, rows * pitch, n.size);                                                 \
        float factor = -2.0f * n.alpha * n.beta;                                                    \
        for (long row = 0; row < rows; row++)                                                       \
            for (long i = 0; i < maps; i++) {                                                       \
                long from = row * maps + i, at = row * pitch + i;                                   \
                dx[from] = WRITE(READ(g[from]) * scales[at] + factor * READ(x[from]) * sums[at]);   \
            }                                                                                       \
    }                                                                                               \
                                                                                                    \
    void NAME(const TYPE *x, TYPE *y, long rows, long maps, long size, float alpha, float beta,     \
              float k, int threads) {                                                               \
        norm n = norm_of(maps, size, alpha, beta, k);                                               \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long block = 0; block < threads; block++) {                                            \
            float values[room_of(n)], sums[room_of(n)];                                             \
            memset(values, 0, sizeof values);                                                       \
            long last = rows * (block + 1) / threads;                                               \
            for (long row = rows * block / threads; row < last; row += ROWS)                        \
                NAME##_rows(x + row * maps, y + row * maps, last - row < ROWS ? last - row : ROWS,  \
                            n, -INFINITY, values, sums);                                            \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    void NAME##_backward(const TYPE *x, const TYPE *g, TYPE *dx, long rows, long maps, long size,   \
                         float alpha, float beta, float k, int threads) {                           \
        norm n = norm_of(maps, size, alpha, beta, k);                                               \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long block = 0; block < threads; block++) {                                            \
            float values[room_of(n)], terms[room_of(n)], sums[room_of(n)], scales[room_of(n)];      \
            memset(values, 0, sizeof values);                                                       \
            memset(terms, 0, sizeof terms);                                                         \
            long last = rows * (block + 1) / threads;                                               \
            for (long row = rows * block / threads; row < last; row += ROWS)                        \
                NAME##_backward_rows(x + row * maps, g + row * maps, dx + row * maps,               \
                                     last - row < ROWS ? last - row : ROWS, n, values, terms, sums, \
                                     scales);                                                       \
        }                                                                                           \
    }

RESPONSE_NORM(response_norm_f32, float, read_f32, write_f32)
RESPONSE_NORM(response_norm_bf16, uint16_t, read_bf16, write_bf16)

/* What stands between two convolutions, in one pass for inference: y = the largest in every `window`
 * x `window` pixels of the response norm (none where size is 0) of max(x, 0), channels last.
 * x [images, height, width, groups * maps]; y [images, rows, columns, groups * maps]. Lines are kept
 * for the windows below that share them. A NaN stays one: without a sign, the bits of numbers are in
 * the order of the numbers, and NaN is behind them. */
typedef uint32_t __attribute__((may_alias)) bits;

INLINE void largest_of(const float *x, float *restrict most, long numbers, long window, long step) {
    const bits *from = (const bits *)x;
    for (long i = 0; i < numbers; i++) {
        bits found = from[i];
        for (long j = 1; j < window; j++)
            found = found > from[i + j * step] ? found : from[i + j * step];
        ((bits *)most)[i] = found;
    }
}

/* most[i] is the largest of x[i], x[i + step] .. `window` of them. */
INLINE void largest(const float *x, float *restrict most, long numbers, long window, long step) {
    if (window == 3) largest_of(x, most, numbers, 3, step);
    else if (window == 2) largest_of(x, most, numbers, 2, step);
    else largest_of(x, most, numbers, window, step);
}

#define RECTIFY_NORM_POOL(NAME, TYPE, READ, WRITE)                                                  \
    NORM_ROWS(NAME##_rows, TYPE, float, READ, read_f32)                                             \
                                                                                                    \
    INLINE void NAME##_line(const TYPE *restrict x, float *restrict line, long rows, norm n,        \
                            float *restrict values, float *restrict sums) {                         \
        if (n.size)                                                                                 \
            for (long row = 0; row < rows; row += ROWS)                                             \
                NAME##_rows(x + row * n.maps, line + row * n.maps,                                  \
                            rows - row < ROWS ? rows - row : ROWS, n, 0, values, sums);             \
        else                                                                                        \
            for (long i = 0; i < rows * n.maps; i++) {                                              \
                float value = READ(x[i]);                                                           \
                line[i] = at_least(value, 0);                                                       \
            }                                                                                       \
    }                                                                                               \
                                                                                                    \
    int NAME(const TYPE *x, TYPE *y, long images, long height, long width, long groups, long maps,  \
              long size, float alpha, float beta, float k, long window, long stride, long rows,     \
              long columns, int threads) {                                                          \
        long channels = groups * maps, numbers = width * channels, has_failed = 0;                  \
        norm n = norm_of(maps, size, alpha, beta, k);                                               \
        _Pragma("omp parallel for num_threads(threads) schedule(static) reduction(|:has_failed)")   \
        for (long block = 0; block < threads; block++) {                                            \
            long room = (window + 1) * numbers + channels + 2 * room_of(n);                         \
            float *lines = calloc((size_t)room, sizeof(float));                                     \
            has_failed |= !lines;                                                                   \
            float *tall = lines + window * numbers, *most = tall + numbers;                         \
            float *sums = most + channels, *values = sums + room_of(n);                             \
            long ready = -1; /* the last line that is done, counted over all images */              \
            long first = images * rows * block / threads;                                           \
            long last = images * rows * (block + 1) / threads;                                      \
            for (long row = first; lines && row < last; row++) {                                    \
                long top = row / rows * height + row % rows * stride;                               \
                for (long i = ready < top ? top : ready + 1; i < top + window; i++)                 \
                    NAME##_line(x + i * numbers, lines + i % window * numbers, width * groups, n,   \
                                values, sums);                                                      \
                ready = top + window - 1;                                                           \
                largest(lines, tall, numbers, window, numbers);                                     \
                for (long column = 0; column < columns; column++) {                                 \
                    largest(tall + column * stride * channels, most, channels, window, channels);   \
                    TYPE *restrict to = y + (row * columns + column) * channels;                    \
                    for (long c = 0; c < channels; c++) to[c] = WRITE(most[c]);                     \
                }                                                                                   \
            }                                                                                       \
            free(lines);                                                                            \
        }                                                                                           \
        return (int)has_failed;                                                                     \
    }

RECTIFY_NORM_POOL(rectify_norm_pool_f32, float, read_f32, write_f32)
RECTIFY_NORM_POOL(rectify_norm_pool_bf16, uint16_t, read_bf16, write_bf16)

/* Convolution by Winograd's minimal filtering with 6 x 6 tiles, in channels-last memory.
 *
 * The same input transform serves 3 x 3 kernels (4 x 4 outputs a tile) and 5 x 5 kernels (2 x 2
 * outputs a tile): the interpolation points 0, 1, -1, 2, -2 and infinity are the same. A tile's 36
 * numbers go to 36 matrices [groups, tiles, channels / groups], which are multiplied by 36 matrices
 * of transformed weights elsewhere. Lavin and Gray 2016, "Fast algorithms for convolutional neural
 * networks", sections 4.1 and 4.2. */
enum { TILE = 6, LANES = 16 };

/* A copy of known length is one instruction or two; of any other, a call. */
INLINE void copy_lanes(float *restrict to, const float *restrict from, long lanes) {
    if (lanes == LANES) memcpy(to, from, LANES * sizeof(float));
    else memcpy(to, from, lanes * sizeof(float));
}

/* Six vectors, `step` vectors apart, times B transposed. */
INLINE void input_points(float (*restrict to)[LANES], float (*restrict from)[LANES], int step) {
    for (int l = 0; l < LANES; l++) {
        float d0 = from[0][l], d1 = from[step][l], d2 = from[2 * step][l];
        float d3 = from[3 * step][l], d4 = from[4 * step][l], d5 = from[5 * step][l];
        to[0][l] = 4 * d0 - 5 * d2 + d4;
        to[step][l] = d4 + d3 - 4 * (d2 + d1);
        to[2 * step][l] = d4 - d3 - 4 * (d2 - d1);
        to[3 * step][l] = d4 - d2 + 2 * (d3 - d1);
        to[4 * step][l] = d4 - d2 - 2 * (d3 - d1);
        to[5 * step][l] = 4 * d1 - 5 * d3 + d5;
    }
}

/* Six vectors times A transposed: `outputs` (2 or 4) vectors. */
INLINE void output_points(float (*restrict to)[LANES], float (*restrict from)[LANES], int step,
                          int outputs) {
    for (int l = 0; l < LANES; l++) {
        float m0 = from[0][l], m1 = from[step][l], m2 = from[2 * step][l];
        float m3 = from[3 * step][l], m4 = from[4 * step][l], m5 = from[5 * step][l];
        float plus12 = m1 + m2, minus12 = m1 - m2, plus34 = m3 + m4, minus34 = m3 - m4;
        to[0][l] = m0 + plus12 + plus34;
        if (outputs == 2) {
            to[step][l] = minus12 + 2 * minus34 + m5;
        } else {
            to[step][l] = minus12 + 2 * minus34;
            to[2 * step][l] = plus12 + 4 * plus34;
            to[3 * step][l] = minus12 + 8 * minus34 + m5;
        }
    }
}

/* x [images, height, width, groups * maps] to v [36, groups, images * rows * columns, maps]. */
void winograd_input(const float *x, float *v, long images, long height, long width, long groups,
                    long maps, long padding, long outputs, long rows, long columns, int threads) {
    long tiles = images * rows * columns, channels = groups * maps;
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long tile = 0; tile < tiles; tile++) {
        long image = tile / (rows * columns), place = tile % (rows * columns);
        long top = place / columns * outputs - padding, left = place % columns * outputs - padding;
        for (long group = 0; group < groups; group++)
            for (long map = 0; map < maps; map += LANES) {
                float in[TILE * TILE][LANES] = {{0}}, half[TILE * TILE][LANES];
                long lanes = maps - map < LANES ? maps - map : LANES;
                for (int i = 0; i < TILE; i++)
                    for (int j = 0; j < TILE; j++) {
                        long y = top + i, z = left + j;
                        if (y < 0 || y >= height || z < 0 || z >= width) continue;
                        const float *from = x + ((image * height + y) * width + z) * channels;
                        copy_lanes(in[i * TILE + j], from + group * maps + map, lanes);
                    }
                for (int j = 0; j < TILE; j++) input_points(half + j, in + j, TILE);
                for (int i = 0; i < TILE; i++) input_points(in + i * TILE, half + i * TILE, 1);
                for (int k = 0; k < TILE * TILE; k++)
                    copy_lanes(v + ((k * groups + group) * tiles + tile) * maps + map, in[k], lanes);
            }
    }
}

/* m [36, groups, images * rows * columns, maps] to y [images, height, width, groups * maps], plus a
 * bias. */
void winograd_output(const float *m, const float *bias, float *y, long images, long height,
                     long width, long groups, long maps, long outputs, long rows, long columns,
                     int threads) {
    long tiles = images * rows * columns, channels = groups * maps;
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long tile = 0; tile < tiles; tile++) {
        long image = tile / (rows * columns), place = tile % (rows * columns);
        long top = place / columns * outputs, left = place % columns * outputs;
        for (long group = 0; group < groups; group++)
            for (long map = 0; map < maps; map += LANES) {
                float in[TILE * TILE][LANES] = {{0}}, half[TILE * TILE][LANES];
                float out[TILE * TILE][LANES];
                long lanes = maps - map < LANES ? maps - map : LANES;
                for (int k = 0; k < TILE * TILE; k++)
                    copy_lanes(in[k], m + ((k * groups + group) * tiles + tile) * maps + map, lanes);
                for (int j = 0; j < TILE; j++) output_points(half + j, in + j, TILE, (int)outputs);
                for (int i = 0; i < outputs; i++)
                    output_points(out + i * TILE, half + i * TILE, 1, (int)outputs);
                for (long i = 0; i < outputs && top + i < height; i++)
                    for (long j = 0; j < outputs && left + j < width; j++) {
                        long first = group * maps + map;
                        float *to = y + ((image * height + top + i) * width + left + j) * channels;
                        const float *from = out[i * TILE + j];
                        for (long l = 0; l < lanes; l++)
                            to[first + l] = from[l] + bias[first + l];
                    }
            }
    }
}
