/* Max pooling, channels last, of lines that a layer computes: forward with the places of the maxima, and backward.
 *
 * The maximum is found by bits, which keeps NaN: as unsigned integers, the bits of floats without a sign are in the order
 * of the floats, and NaN is above all. */
#pragma once

#include "kernels.h"

typedef uint32_t __attribute__((may_alias)) bits;

/* max[i] = the maximum of the `window` values x[i], x[i + step] .. */
#define MAX_OVER(NAME, BITS)                                                                        \
    INLINE void NAME##_of_size(const BITS *x, BITS *restrict max, long count, long window,          \
                               long step) {                                                         \
        for (long i = 0; i < count; i++) {                                                          \
            BITS found = x[i];                                                                      \
            for (long j = 1; j < window; j++)                                                       \
                found = found > x[i + j * step] ? found : x[i + j * step];                          \
            max[i] = found;                                                                         \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME(const BITS *x, BITS *restrict max, long count, long window, long step) {       \
        if (window == 3) NAME##_of_size(x, max, count, 3, step);                                    \
        else if (window == 2) NAME##_of_size(x, max, count, 2, step);                               \
        else NAME##_of_size(x, max, count, window, step);                                           \
    }

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

/* x [images, height, width, groups * channels]; pooled [images, rows, columns, groups * channels]. `size` is that of a
 * response norm over the channels of a group. */
typedef struct {
    long images, height, width, groups, channels, size, window, stride, rows, columns;
} pooled_images;

/* y = the maxima of windows of the lines that LINE(x, line, count, layer, scratch) makes of `count` values of x, none with
 * a sign; `places` are those of the maxima in their windows. A line is kept for the windows below that share it. `scratch`
 * are SCRATCH(layer) floats, 0 at first. Returns whether there was too little memory. */
#define MAX_POOL_FORWARD(NAME, TYPE, WRITE, LAYER, LINE, SCRATCH)                                   \
    INLINE int NAME(const TYPE *x, TYPE *y, uint8_t *places, const pooled_images *s, LAYER layer,   \
                    int threads) {                                                                  \
        long channels = s->groups * s->channels, line_size = s->width * channels, has_failed = 0;   \
        _Pragma("omp parallel for num_threads(threads) schedule(static) reduction(|:has_failed)")   \
        for (long block = 0; block < threads; block++) {                                            \
            long size_floats = s->window * line_size + 2 * channels + SCRATCH(layer);               \
            float *lines = calloc((size_t)size_floats, sizeof(float));                              \
            has_failed |= !lines;                                                                   \
            float *max = lines + s->window * line_size, *scratch = max + 2 * channels;              \
            bits *place = (bits *)(max + channels);                                                 \
            long done = -1; /* the last line that was made, counted over all images */              \
            long last = s->images * s->rows * (block + 1) / threads;                                \
            for (long row = s->images * s->rows * block / threads; lines && row < last; row++) {    \
                long top = row / s->rows * s->height + row % s->rows * s->stride;                   \
                for (long i = done < top ? top : done + 1; i < top + s->window; i++)                \
                    LINE(x + i * line_size, lines + i % s->window * line_size, line_size, layer,    \
                         scratch);                                                                  \
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
    }

/* The gradient grad_in w.r.t. x, where grad is that w.r.t. y: for every line the sums of the pooled gradients, which
 * LINE(x, sums, grad_in, count, layer, scratch) takes back through the layer. */
#define MAX_POOL_BACKWARD(NAME, TYPE, READ, LAYER, LINE, SCRATCH)                                   \
    ADD_WHERE(NAME##_add_where, TYPE, READ)                                                         \
                                                                                                    \
    INLINE int NAME(const TYPE *x, const TYPE *grad, const uint8_t *places, TYPE *grad_in,          \
                    const pooled_images *s, LAYER layer, int threads) {                             \
        long channels = s->groups * s->channels, line_size = s->width * channels, has_failed = 0;   \
        _Pragma("omp parallel for num_threads(threads) schedule(static) reduction(|:has_failed)")   \
        for (long block = 0; block < threads; block++) {                                            \
            float *sums = calloc((size_t)(line_size + SCRATCH(layer)), sizeof(float));              \
            has_failed |= !sums;                                                                    \
            long last = s->images * s->height * (block + 1) / threads;                              \
            for (long at = s->images * s->height * block / threads; sums && at < last; at++) {      \
                long image = at / s->height, line = at % s->height;                                 \
                memset(sums, 0, (size_t)line_size * sizeof(float));                                 \
                long first = line < s->window ? 0 : (line - s->window) / s->stride + 1;             \
                for (long row = first; row < s->rows && row * s->stride <= line; row++)             \
                    for (long column = 0; column < s->columns; column++)                            \
                        for (long j = 0; j < s->window; j++) {                                      \
                            long from = ((image * s->rows + row) * s->columns + column) * channels; \
                            long place = (line - row * s->stride) * s->window + j;                  \
                            NAME##_add_where(grad + from, places + from, (uint8_t)place,            \
                                             sums + (column * s->stride + j) * channels, channels); \
                        }                                                                           \
                LINE(x + at * line_size, sums, grad_in + at * line_size, line_size, layer,          \
                     sums + line_size);                                                             \
            }                                                                                       \
            free(sums);                                                                             \
        }                                                                                           \
        return (int)has_failed;                                                                     \
    }
