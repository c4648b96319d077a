/* Convolutions in bf16 without stride, by AMX's tiles, and the gradients of their inputs, which are
 * convolutions of the outputs' gradients with turned kernels. */
#include "kernels.h"

#if defined(__AMX_BF16__)
#define VECTOR 16
#define PIXELS 16
#define STRIPS 3
#define TILE_PRODUCT _tile_dpbf16ps
#include "windows.h"

#include "bf16_pairs.h"
#include "tile_windows.h"

/* x [images, height, width, channels]; y [images, rows, columns, outputs]; weights [outputs, kernel_h,
 * kernel_w, channels / groups], or, where they are turned, [channels, kernel_h, kernel_w, outputs /
 * groups], whose kernels are read from their ends. The channels of a group are even. */
typedef struct {
    long images, height, width, channels, rows, columns, outputs, groups;
    long kernel_h, kernel_w, padding_h, padding_w, is_turned;
} convolution;

/* What is computed from. Images are copied with zeros around them, [groups, lines, line, channels], so
 * that a row of a kernel is contiguous; as many at a time as stay in the cache. */
typedef struct {
    const convolution *c;
    window w;
    long channels, outputs, blocks, line, lines; /* of a group */
    long images;                                 /* at a time */
    int needs_no_copy;
    uint8_t *weights; /* [groups * blocks, words, OUTPUTS, 2] */
    uint16_t *padded;
} job;

enum { IMAGES_PER_THREAD = 4, VALUE_BYTES = 2 };

INLINE long group_values(const job *j) { return j->lines * j->line * j->channels; }

/* Steps without a word after the end of a row, whose value might be infinite. */
INLINE window window_of(long rows, long words, long row_bytes) {
    long steps = ceil_div(words, STEP_WORDS);
    while (words % steps) steps++;
    return (window){rows, steps, words / steps, row_bytes};
}

/* `weights` is NULL where there is no memory for them and the images. */
INLINE job job_of(const convolution *c, int threads) {
    job j = {.c = c, .channels = c->channels / c->groups, .outputs = c->outputs / c->groups};
    j.blocks = ceil_div(j.outputs, OUTPUTS);
    j.line = c->width + 2 * c->padding_w;
    j.lines = c->height + 2 * c->padding_h;
    j.w = window_of(c->kernel_h, c->kernel_w * j.channels / 2, j.line * j.channels * VALUE_BYTES);
    j.images = smaller(c->images, IMAGES_PER_THREAD * threads);
    j.needs_no_copy = c->groups == 1 && c->padding_h == 0 && c->padding_w == 0;
    long weights = c->groups * j.blocks * block_bytes(j.w);
    long images = j.needs_no_copy ? 0 : j.images * c->groups * group_values(&j) * VALUE_BYTES;
    j.weights = _mm_malloc((size_t)(weights + images), TILE_ROW_BYTES);
    if (j.weights) j.padded = (uint16_t *)(j.weights + weights);
    return j;
}

/* Weights of a block whose first `outputs` outputs are there, each `words` words of two values. */
INLINE void pack_words(const uint32_t *weights, uint32_t *to, long words, long outputs) {
    for (long word = 0; word < words; word += SIDE)
        for (long first = 0; first < OUTPUTS; first += SIDE) {
            __m512i rows[SIDE];
            _Pragma("GCC unroll 16")
            for (int i = 0; i < SIDE; i++) {
                long left = first + i < outputs ? smaller(words - word, SIDE) : 0;
                rows[i] = _mm512_maskz_loadu_epi32((__mmask16)((1 << left) - 1),
                                                   weights + (first + i) * words + word);
            }
            transpose(rows);
            _Pragma("GCC unroll 16")
            for (int i = 0; i < SIDE; i++)
                if (word + i < words) _mm512_store_si512(to + (word + i) * OUTPUTS + first, rows[i]);
        }
}

/* The same of turned kernels, of which the outputs are adjacent and the channels `step` values apart. */
INLINE void pack_turned(const uint16_t *weights, uint16_t *to, const job *j, long outputs) {
    long places = j->c->kernel_h * j->c->kernel_w, step = places * j->outputs;
    __mmask32 mask = first_halves(outputs);
    for (long place = places - 1; place >= 0; place--)
        for (long i = 0; i < j->channels; i += 2, to += 2 * OUTPUTS) {
            const uint16_t *from = weights + i * step + place * j->outputs;
            __m512i first = _mm512_maskz_loadu_epi16(mask, from);
            __m512i second = _mm512_maskz_loadu_epi16(mask, from + step);
            _mm512_store_si512(to, pair(first, second, 0));
            _mm512_store_si512(to + OUTPUTS, pair(first, second, 1));
        }
}

INLINE void pack_block(const job *j, const uint16_t *weights, long index) {
    long group = index / j->blocks, output = index % j->blocks * OUTPUTS, left = j->outputs - output;
    long places = j->c->kernel_h * j->c->kernel_w, words = places * j->channels / 2;
    uint8_t *to = j->weights + index * block_bytes(j->w);
    if (j->c->is_turned) {
        const uint16_t *from = weights + group * j->channels * places * j->outputs + output;
        pack_turned(from, (uint16_t *)to, j, left);
    } else {
        const uint16_t *from = weights + (group * j->outputs + output) * 2 * words;
        pack_words((const uint32_t *)from, (uint32_t *)to, words, left);
    }
}

/* Line `y` of a padded image, of every group. */
INLINE void pad_line(const job *j, const uint16_t *image, uint16_t *padded, long y) {
    const convolution *c = j->c;
    long inside = y - c->padding_h, border = c->padding_w * j->channels;
    int is_inside = 0 <= inside && inside < c->height;
    for (long group = 0; group < c->groups; group++) {
        uint16_t *to = padded + group * group_values(j) + y * j->line * j->channels;
        memset(to, 0, (size_t)((is_inside ? border : j->line * j->channels) * VALUE_BYTES));
        if (!is_inside) continue;
        const uint16_t *from = image + inside * c->width * c->channels + group * j->channels;
        to += border;
        for (long i = 0; i < c->width; i++, to += j->channels, from += c->channels)
            memcpy(to, from, (size_t)(j->channels * VALUE_BYTES));
        memset(to, 0, (size_t)(border * VALUE_BYTES));
    }
}

/* The first `outputs` outputs of a block for pixels beside each other, whose bias are `low` and `high`. */
INLINE void write_pixels(const float *sums, uint16_t *y, long pixels, long step, long outputs,
                         __m512 low, __m512 high) {
    for (long i = 0; i < pixels; i++, sums += OUTPUTS, y += step) {
        __m512 first = _mm512_add_ps(_mm512_load_ps(sums), low);
        __m512 last = _mm512_add_ps(_mm512_load_ps(sums + VECTOR), high);
        _mm512_mask_storeu_epi16(y, first_halves(outputs), (__m512i)_mm512_cvtne2ps_pbh(last, first));
    }
}

/* A block of outputs of an image. */
INLINE void write_block(const job *j, const uint16_t *padded, const float *bias, uint16_t *y,
                        long index) {
    _Alignas(64) float sums[STRIPS * PIXELS * OUTPUTS] = {0};
    const convolution *c = j->c;
    long group = index / j->blocks, inner = index % j->blocks * OUTPUTS;
    long outputs = smaller(j->outputs - inner, OUTPUTS), output = group * j->outputs + inner;
    long step = j->channels * VALUE_BYTES;
    __mmask32 mask = first_halves(outputs);
    __m512 low = _mm512_maskz_loadu_ps((__mmask16)mask, bias + output);
    __m512 high = _mm512_maskz_loadu_ps((__mmask16)(mask >> VECTOR), bias + output + VECTOR);
    const uint8_t *x = (const uint8_t *)(padded + group * group_values(j));
    cut lines = cut_lines(c->rows, c->columns);
    strip strips[STRIPS];
    for (long i = 0; i < lines.count;) {
        long count = strips_now(lines.count - i, strips_at_a_time(step));
        for (long s = 0; s < count; s++, i++)
            strips[s] = strip_of(&lines, i, x, j->w.row_bytes, step);
        sums_of(strips, count, lines.size, step, j->w, j->weights + index * block_bytes(j->w), outputs,
                (uint32_t *)sums);
        for (long s = 0; s < count; s++)
            write_pixels(sums + s * PIXELS * OUTPUTS, y + strips[s].first * c->outputs + output,
                         lines.size, c->outputs, outputs, low, high);
    }
}

/* Returns 1 where there is no memory for it. */
int tile_conv2d(const uint16_t *x, const uint16_t *weights, const float *bias, uint16_t *y,
                const convolution *c, int threads) {
    job j = job_of(c, threads);
    if (!j.weights) return 1;
    long blocks = c->groups * j.blocks, image = c->height * c->width * c->channels;
    long padded_image = c->groups * group_values(&j), y_image = c->rows * c->columns * c->outputs;
    _Pragma("omp parallel num_threads(threads)")
    {
        shape_tiles(cut_lines(c->rows, c->columns).size, j.w.words);
        _Pragma("omp for schedule(static)")
        for (long i = 0; i < blocks; i++) pack_block(&j, weights, i);
        for (long first = 0; first < c->images; first += j.images) {
            long images = smaller(j.images, c->images - first);
            const uint16_t *from = j.needs_no_copy ? x + first * image : j.padded;
            if (!j.needs_no_copy) {
                _Pragma("omp for schedule(static)")
                for (long i = 0; i < images * j.lines; i++)
                    pad_line(&j, x + (first + i / j.lines) * image,
                             j.padded + i / j.lines * padded_image, i % j.lines);
            }
            _Pragma("omp for schedule(static)")
            for (long i = 0; i < images * blocks; i++)
                write_block(&j, from + i / blocks * padded_image, bias,
                            y + (first + i / blocks) * y_image, i % blocks);
        }
        release_tiles();
    }
    _mm_free(j.weights);
    return 0;
}
#endif
