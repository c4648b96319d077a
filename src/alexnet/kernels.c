/* What stands between convolutions, and convolutions by Winograd's way: what torch lacks.
 *
 * Every function computes in float32 and works on rows that do not touch each other, so the bits
 * of a result do not depend on the number of threads. kernels.py builds it where there is a C
 * compiler. */
#include "kernels.h"

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

/* What stands between two convolutions, in one pass for inference: y = the largest in every `window`
 * x `window` pixels of the response norm (none where size is 0) of max(x, 0), channels last.
 * x [images, height, width, groups * maps]; y [images, rows, columns, groups * maps]. Lines are kept
 * for the windows below that share them. A NaN stays one. */
INLINE void keep_larger(float *restrict most, const float *restrict x, long numbers) {
    for (long i = 0; i < numbers; i++)
        most[i] = most[i] >= x[i] || most[i] != most[i] ? most[i] : x[i];
}

#define RECTIFY_NORM_POOL(NAME, TYPE, READ, WRITE)                                                  \
    INLINE void NAME##_line(const TYPE *restrict x, float *restrict line, long pixels, long groups, \
                            long maps, long size, float alpha, float beta, float k,                 \
                            float *restrict values, float *restrict sums) {                         \
        for (long i = 0; i < pixels * groups * maps; i++) {                                         \
            float value = READ(x[i]);                                                               \
            line[i] = at_least(value, 0);                                                           \
        }                                                                                           \
        for (long column = 0; size && column < pixels * groups; column++) {                         \
            float *at = line + column * maps;                                                       \
            for (long i = 0; i < maps; i++) values[size / 2 + i] = at[i] * at[i];                   \
            windows(values, sums, maps, size);                                                      \
            for (long i = 0; i < maps; i++)                                                         \
                at[i] *= negative_power(k + alpha * sums[i], beta, beta == 0.75f);                  \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    int NAME(const TYPE *x, TYPE *y, long images, long height, long width, long groups, long maps,  \
              long size, float alpha, float beta, float k, long window, long stride, long rows,     \
              long columns, int threads) {                                                          \
        long channels = groups * maps, numbers = width * channels, has_failed = 0;                  \
        _Pragma("omp parallel for num_threads(threads) schedule(static) reduction(|:has_failed)")   \
        for (long block = 0; block < threads; block++) {                                            \
            long room = (window + 1) * numbers + maps + size + maps + channels;                     \
            float *lines = calloc((size_t)room, sizeof(float));                                     \
            has_failed |= !lines;                                                                   \
            float *tall = lines + window * numbers, *most = tall + numbers;                         \
            float *sums = most + channels, *values = sums + maps;                                   \
            long ready = -1; /* the last line that is done, counted over all images */              \
            long first = images * rows * block / threads;                                           \
            long last = images * rows * (block + 1) / threads;                                      \
            for (long row = first; lines && row < last; row++) {                                    \
                long top = row / rows * height + row % rows * stride;                               \
                for (long i = ready < top ? top : ready + 1; i < top + window; i++)                 \
                    NAME##_line(x + i * numbers, lines + i % window * numbers, width, groups, maps, \
                                size, alpha, beta, k, values, sums);                                \
                ready = top + window - 1;                                                           \
                memcpy(tall, lines + top % window * numbers, numbers * sizeof(float));              \
                for (long i = top + 1; i < top + window; i++)                                       \
                    keep_larger(tall, lines + i % window * numbers, numbers);                       \
                for (long column = 0; column < columns; column++) {                                 \
                    const float *from = tall + column * stride * channels;                          \
                    memcpy(most, from, channels * sizeof(float));                                   \
                    for (long i = 1; i < window; i++)                                               \
                        keep_larger(most, from + i * channels, channels);                           \
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
