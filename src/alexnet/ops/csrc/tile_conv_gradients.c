/* The gradients of a convolution's weights and bias, for bf16, by AMX's tiles.
 *
 * Inputs and gradients are streams of pixels in which zeros follow each row and each image, so that
 * the input under a weight (row, column) lies row * stride + column pixels after that of the
 * gradient, everywhere. So the gradient of a weight is one product of two streams, over all pixels.
 * Tiles multiply pairs of pixels, and an odd column needs other pairs than an even one; a row does
 * not, since the stride is even. */
#include "kernels.h"

#include <limits.h>

#if defined(__AMX_BF16__)
#include "bf16_tiles.h"

/* x [images, height, width, channels]; gradients [images, rows, columns, outputs]. */
typedef struct {
    long images, height, width, channels, rows, columns, outputs, groups;
    long kernel_h, kernel_w, padding_h, padding_w;
} convolution;

/* About as many pixels are in a part that is computed at a time: its streams stay in the cache. */
enum { PART_PIXELS = 1600 };

/* The streams of a part of `images` images, `image` pixels each, of which `line` are a row's: tiles
 * of pixels of the gradients, and pairs of pixels of the inputs, which the kernels reach further. */
typedef struct { long line, image, images, tiles, pairs; } streams;

INLINE streams streams_of(const convolution *c) {
    streams s;
    s.line = larger(c->width + c->padding_w, c->columns);
    s.line += s.line % 2;
    s.image = s.line * larger(c->height + c->padding_h, c->rows);
    s.images = smaller(c->images, larger(1, PART_PIXELS / s.image));
    s.tiles = ceil_div(s.images * s.image, TILE_PIXELS);
    long reach = (c->kernel_h - 1) * s.line + c->kernel_w - 1;
    s.pairs = s.tiles * (TILE_PIXELS / 2) + reach / 2 + 1;
    return s;
}

/* Where each of `count` pixels of a stream is in its images of rows x columns pixels that begin
 * after `top` rows and `left` columns of zeros; LONG_MAX for zeros. */
INLINE void find_pixels(long *pixels, long count, const streams *s, long rows, long columns,
                        long top, long left) {
    for (long i = 0; i < count; i++) {
        long image = i / s->image, y = i % s->image / s->line - top, x = i % s->line - left;
        int is_inside = 0 <= y && y < rows && 0 <= x && x < columns;
        pixels[i] = is_inside ? (image * rows + y) * columns + x : LONG_MAX;
    }
}

/* What is computed from: the layer, its streams, and the memory for a part of them. */
typedef struct {
    const convolution *c;
    streams s;
    long channels, outputs, input_blocks, output_blocks; /* of a group */
    long *input_pixels, *gradient_pixels;
    uint16_t *inputs, *gradients;
} job;

INLINE long input_values(const streams *s) { return 4 * s->pairs * BLOCK; }
INLINE long gradient_values(const streams *s) { return 2 * s->tiles * TILE_VALUES; }

/* Without memory where there is none: `inputs` or `input_pixels` is NULL. */
INLINE job job_of(const convolution *c) {
    long channels = c->channels / c->groups, outputs = c->outputs / c->groups;
    job j = {c, streams_of(c), channels, outputs, ceil_div(channels, BLOCK), ceil_div(outputs, BLOCK),
             NULL, NULL, NULL, NULL};
    const streams *s = &j.s;
    long inputs = c->groups * j.input_blocks * input_values(s);
    long gradients = c->groups * j.output_blocks * gradient_values(s);
    long input_pixels = 2 * s->pairs + 1, gradient_pixels = s->tiles * TILE_PIXELS;
    j.inputs = _mm_malloc((size_t)(inputs + gradients) * sizeof *j.inputs, TILE_ROW_BYTES);
    j.input_pixels = malloc((size_t)(input_pixels + gradient_pixels) * sizeof *j.input_pixels);
    if (!j.inputs || !j.input_pixels) return j;
    j.gradients = j.inputs + inputs;
    j.gradient_pixels = j.input_pixels + input_pixels;
    find_pixels(j.input_pixels, input_pixels, s, c->height, c->width, c->padding_h, c->padding_w);
    find_pixels(j.gradient_pixels, gradient_pixels, s, c->rows, c->columns, 0, 0);
    return j;
}

INLINE void free_memory(const job *j) {
    _mm_free(j->inputs);
    free(j->input_pixels);
}

/* The block `index` of `blocks` in each group of channels. */
INLINE block block_of(const uint16_t *values, const long *pixels, long count, long index, long blocks,
                      long channels, long groups, long *first) {
    long left = channels - index % blocks * BLOCK;
    *first = (index / blocks + 1) * channels - left;
    return (block){values + *first, pixels, count, groups * channels, first_halves(left)};
}

INLINE void pack_gradients_of(const job *j, const uint16_t *gradients, long images, long index,
                              float *bias) {
    long count = images * j->c->rows * j->c->columns, first;
    block b = block_of(gradients, j->gradient_pixels, count, index, j->output_blocks, j->outputs,
                       j->c->groups, &first);
    uint16_t *to = j->gradients + index * gradient_values(&j->s);
    pack_gradients(&b, to, j->s.tiles, bias + first);
}

INLINE void pack_inputs_of(const job *j, const uint16_t *x, long images, long index) {
    long count = images * j->c->height * j->c->width, first;
    block b = block_of(x, j->input_pixels, count, index, j->input_blocks, j->channels, j->c->groups,
                       &first);
    uint16_t *to = j->inputs + index * input_values(&j->s);
    pack_inputs(&b, to, j->s.pairs, 0);
    pack_inputs(&b, to + 2 * j->s.pairs * BLOCK, j->s.pairs, 1);
}

/* Adds a product of streams to the gradients of a weight; the next output's are `step` values away. */
INLINE void add_to(float *sums, long step, int is_first, const uint16_t *gradients,
                   const uint16_t *inputs, const streams *s, const int is_wide, const int is_high) {
    const int is_whole = is_wide && is_high, bytes = (int)sizeof *sums;
    float *below = sums + SIDE * step;
    if (is_first) {
        clear_sums();
    } else {
        _tile_loadd(SUMS, sums, step * bytes);
        if (is_wide) _tile_loadd(SUMS_RIGHT, sums + SIDE, step * bytes);
        if (is_high) _tile_loadd(SUMS_BELOW, below, step * bytes);
        if (is_whole) _tile_loadd(SUMS_LAST, below + SIDE, step * bytes);
    }
    add_products(gradients, inputs, s->tiles, s->pairs, is_wide, is_high);
    _tile_stored(SUMS, sums, step * bytes);
    if (is_wide) _tile_stored(SUMS_RIGHT, sums + SIDE, step * bytes);
    if (is_high) _tile_stored(SUMS_BELOW, below, step * bytes);
    if (is_whole) _tile_stored(SUMS_LAST, below + SIDE, step * bytes);
}

/* Adds to the gradients of all weights between a block of inputs and one of outputs. */
INLINE void add_to_weights(const job *j, long index, float *weights, int is_first) {
    const convolution *c = j->c;
    long input_block = index / j->output_blocks, group = input_block / j->input_blocks;
    long output_block = group * j->output_blocks + index % j->output_blocks;
    long input = input_block % j->input_blocks * BLOCK, output = index % j->output_blocks * BLOCK;
    long count = c->kernel_h * c->kernel_w, step = count * j->channels;
    int is_wide = j->channels - input > SIDE, is_high = j->outputs - output > SIDE;
    const uint16_t *gradients = j->gradients + output_block * gradient_values(&j->s);
    const uint16_t *inputs = j->inputs + input_block * input_values(&j->s);
    float *sums = weights + (group * j->outputs + output) * count * j->channels + input;
    for (long i = 0; i < count; i++, sums += j->channels) {
        long shift = i / c->kernel_w * j->s.line + i % c->kernel_w, pairs = j->s.pairs;
        const uint16_t *shifted = inputs + (shift % 2 * 2 * pairs + shift / 2) * BLOCK;
#define ADD(WIDE, HIGH) add_to(sums, step, is_first, gradients, shifted, &j->s, WIDE, HIGH)
        if (is_wide && is_high) ADD(1, 1);
        else if (is_wide) ADD(1, 0);
        else if (is_high) ADD(0, 1);
        else ADD(0, 0);
    }
}

/* x [images, height, width, channels] and gradients [images, rows, columns, outputs], to the
 * gradients of weights [outputs, kernel_h, kernel_w, channels / groups] and bias [outputs]. The
 * channels and outputs of a group are multiples of 16. Returns 1 where there is no memory for it. */
int tile_conv_gradients(const uint16_t *x, const uint16_t *gradients, float *weights, float *bias,
                        const convolution *c, int threads) {
    job j = job_of(c);
    if (!j.inputs || !j.input_pixels) {
        free_memory(&j);
        return 1;
    }
    memset(bias, 0, (size_t)c->outputs * sizeof *bias);
    _Pragma("omp parallel num_threads(threads)")
    {
        load_whole_tiles();
        for (long image = 0; image < c->images; image += j.s.images) {
            long images = smaller(j.s.images, c->images - image);
            const uint16_t *part = x + image * c->height * c->width * c->channels;
            const uint16_t *part_gradients = gradients + image * c->rows * c->columns * c->outputs;
            _Pragma("omp for schedule(static) nowait")
            for (long i = 0; i < c->groups * j.output_blocks; i++)
                pack_gradients_of(&j, part_gradients, images, i, bias);
            _Pragma("omp for schedule(static)")
            for (long i = 0; i < c->groups * j.input_blocks; i++) pack_inputs_of(&j, part, images, i);
            _Pragma("omp for schedule(static)")
            for (long i = 0; i < c->groups * j.input_blocks * j.output_blocks; i++)
                add_to_weights(&j, i, weights, image == 0);
        }
        _tile_release();
    }
    free_memory(&j);
    return 0;
}
#endif
