/* Layers with int8 weights and uint8 inputs, where the CPU has int8 dot products: by vectors (VNNI),
 * or by tiles (AMX). The sums are exact, so both give the same bits. */
#include "quantize.h"

#if defined(__AMX_INT8__)
#define VECTOR 16
#define PIXELS 16
#define STRIPS 3
#elif defined(__AVX512VNNI__)
#define VECTOR 16
#define PIXELS 14
#define STRIPS 1
#elif defined(__AVXVNNI__)
#define VECTOR 8
#define PIXELS 6
#define STRIPS 1
#else
#define VECTOR 0
#define PIXELS 1
#define STRIPS 1
#endif

#include "windows.h"

/* Outputs of a block; 0 where the CPU has no int8 dot products. */
long int8_output_block(void) { return OUTPUTS; }

#if VECTOR
/* The bytes after the end of a row have weights of 0. */
INLINE window window_of(long rows, long bytes, long row_bytes) {
    long words = ceil_div(bytes, 4), steps = ceil_div(words, STEP_WORDS);
    return (window){rows, steps, ceil_div(words, steps), row_bytes};
}

#if defined(__AMX_INT8__)
#define TILE_PRODUCT _tile_dpbusd
#include "tile_windows.h"
#else
/* A strip's sums stay in registers; the intrinsic spills them (at half the speed), so inline asm. */
#if defined(__AVX512VNNI__)
#define ADD_DOT4(TO, BYTES, WEIGHTS) \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(TO) : "v"(BYTES), "v"(WEIGHTS))
#else
#define ADD_DOT4(TO, BYTES, WEIGHTS) \
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(TO) : "x"(BYTES), "x"(WEIGHTS))
#endif

typedef int32_t int_vector __attribute__((vector_size(4 * VECTOR)));

/* Weights that are read once pass by the cache, which has a part of the others since the image before. */
INLINE void fetch(const int8_t *weights, int is_read_once) {
    if (is_read_once) __builtin_prefetch(weights, 0, 0);
    else __builtin_prefetch(weights);
}

INLINE void strip_sums(const uint8_t *x, long step, window w, const int8_t *weights,
                       const int pixels, uint32_t *sums) {
    int is_read_once = pixels == 1 && !w.row_bytes; /* a fully connected layer, one image */
    int_vector sum[PIXELS][2];
    _Pragma("GCC unroll 14")
    for (int p = 0; p < pixels; p++) sum[p][0] = sum[p][1] = (int_vector){0};
    for (long row = 0; row < w.rows; row++) {
        const uint8_t *at = x + row * w.row_bytes;
        for (long word = 0; word < w.steps * w.words; word++, at += 4, weights += 4 * OUTPUTS) {
            int_vector low, high;
            memcpy(&low, weights, sizeof low);
            memcpy(&high, weights + sizeof low, sizeof high);
            fetch(weights + PREFETCH_BYTES, is_read_once);
            fetch(weights + PREFETCH_BYTES + sizeof low, is_read_once);
            _Pragma("GCC unroll 14")
            for (int p = 0; p < pixels; p++) {
                int32_t four;
                memcpy(&four, at + p * step, 4);
                int_vector bytes = four - (int_vector){0};
                ADD_DOT4(sum[p][0], bytes, low);
                ADD_DOT4(sum[p][1], bytes, high);
            }
        }
    }
    _Pragma("GCC unroll 14")
    for (int p = 0; p < pixels; p++) { /* copied as one array, they would not be in registers */
        int_vector low = sum[p][0], high = sum[p][1];
        memcpy(sums + p * OUTPUTS, &low, sizeof low);
        memcpy(sums + p * OUTPUTS + VECTOR, &high, sizeof high);
    }
}

INLINE void shape_tiles(long pixels, long words) { (void)pixels, (void)words; }
INLINE void release_tiles(void) {}
INLINE long strips_at_a_time(long step) { return (void)step, STRIPS; }

/* The sums of a block of outputs for the pixels of one strip. */
static __attribute__((noinline)) void sums_of(const strip *strips, long count, long pixels,
                                              long step, window w, const void *weights,
                                              long outputs, uint32_t *sums) {
    (void)count, (void)outputs;
#define STRIP(N) case N: strip_sums(strips->x, step, w, weights, N, sums); break;
    switch (pixels) {
        STRIP(1) STRIP(2) STRIP(3) STRIP(4) STRIP(5) STRIP(6)
#if PIXELS == 14
        STRIP(7) STRIP(8) STRIP(9) STRIP(10) STRIP(11) STRIP(12) STRIP(13) STRIP(14)
#endif
    }
}
#endif

/* Packed weights (quantization.py), with a scale, a sum and a bias for every output. */
typedef struct {
    const int8_t *weights;
    const float *scales;
    const int32_t *sums;
    const float *bias;
} layer;

/* The block of outputs whose first is `output`. */
INLINE layer block_of(layer l, window w, long block, long output) {
    return (layer){l.weights + block * block_bytes(w), l.scales + output, l.sums + output,
                   l.bias + output};
}

/* What makes outputs of the sums of one block and one image. Where the block has fewer outputs, the
 * rest is zeros: whole vectors take less time than a loop over what remains of one. */
typedef struct {
    _Alignas(64) float scales[OUTPUTS], bias[OUTPUTS];
    int32_t offsets[OUTPUTS];
} terms;

INLINE float output_of(int32_t sum, int32_t offset, float scale, float bias, float min) {
    return clamp_min((float)(sum - offset) * scale + bias, min);
}

INLINE void fill_terms(terms *restrict t, layer l, long outputs, float scale, int32_t zero_point) {
    for (long i = 0; i < outputs; i++) {
        t->scales[i] = scale * l.scales[i];
        t->offsets[i] = zero_point * l.sums[i];
        t->bias[i] = l.bias[i];
    }
}

/* A block of outputs of many pixels: windows begin `step` bytes apart, and a pixel's outputs are
 * `y_step` apart. The scale and the zero point are those of an image: of each pixel where a pixel is
 * an image, or the same for all. */
typedef struct {
    window w;
    long step, y_step, outputs;
    layer l;
    const float *scales;
    const int32_t *zero_points;
    int is_pixel_image;
    float min;
} block;

/* The terms of an image's block. */
INLINE void terms_of(terms *t, const block *b, long image) {
    float scale = b->scales[image];
    int32_t zero_point = b->zero_points[image];
    if (b->outputs == OUTPUTS) { /* a constant number */
        fill_terms(t, b->l, OUTPUTS, scale, zero_point);
        return;
    }
    memset(t, 0, sizeof *t);
    fill_terms(t, b->l, b->outputs, scale, zero_point);
}

/* Where inputs are quantized: of each image the scale, then of each the zero point; the bytes begin at
 * `bytes_at`, a line of the cache. */
typedef struct {
    float *scales;
    int32_t *zero_points;
    uint8_t *bytes;
} quantized;

/* Quantize activations, bf16 or float32, of as many images as `s` says, from image `first` on. */
INLINE quantized quantize(const void *x, long is_bf16, long first, uint8_t *memory, long bytes_at,
                          const padded_image *s, int threads) {
    float *scales = (float *)memory;
    quantized q = {scales, (int32_t *)(scales + s->images), memory + bytes_at};
    long skipped = first * s->height * s->width * s->groups * s->channels;
    if (is_bf16)
        quantize_bf16((const uint16_t *)x + skipped, q.bytes, q.scales, q.zero_points, s, threads);
    else
        quantize_f32((const float *)x + skipped, q.bytes, q.scales, q.zero_points, s, threads);
    return q;
}

/* x as `padded_image` has it; y [images, rows, columns, outputs]. So many images are computed at a time
 * that their bytes stay in the cache; the memory has room for theirs. */
typedef struct {
    padded_image inputs;
    long is_bf16, at_a_time, bytes_at;
    long rows, columns, outputs, kernel_h, kernel_w, stride_h, stride_w;
} convolution;

#define INT8_GEMM(NAME, TYPE, WRITE)                                                                \
    INLINE void NAME##_outputs(const int32_t *restrict sums, TYPE *restrict y, long pixels,         \
                               long y_step, const long outputs, const terms *restrict t,            \
                               float min) {                                                         \
        for (long pixel = 0; pixel < pixels; pixel++, sums += OUTPUTS, y += y_step)                 \
            for (long i = 0; i < outputs; i++)                                                      \
                y[i] = WRITE(output_of(sums[i], t->offsets[i], t->scales[i], t->bias[i], min));     \
    }                                                                                               \
                                                                                                    \
    /* Of pixels one after the other, which have the same terms. */                                 \
    static __attribute__((noinline)) void NAME##_pixels(                                            \
            const int32_t *sums, TYPE *y, long pixels, long y_step, long outputs, const terms *t,   \
            float min) {                                                                            \
        if (outputs == OUTPUTS)                                                                     \
            NAME##_outputs(sums, y, pixels, y_step, OUTPUTS, t, min);                               \
        else if (outputs == VECTOR)                                                                 \
            NAME##_outputs(sums, y, pixels, y_step, VECTOR, t, min);                                \
        else                                                                                        \
            for (long pixel = 0; pixel < pixels; pixel++) {                                         \
                TYPE all[OUTPUTS];                                                                  \
                if (outputs < VECTOR)                                                               \
                    NAME##_outputs(sums + pixel * OUTPUTS, all, 1, 0, VECTOR, t, min);              \
                else                                                                                \
                    NAME##_outputs(sums + pixel * OUTPUTS, all, 1, 0, OUTPUTS, t, min);             \
                memcpy(y + pixel * y_step, all, outputs * sizeof *y);                               \
            }                                                                                       \
    }                                                                                               \
                                                                                                    \
    /* A whole block of outputs of one image, without its terms in memory. */                       \
    INLINE void NAME##_image(const int32_t *restrict sums, TYPE *restrict y, layer l, float scale,  \
                             int32_t zero_point, float min) {                                       \
        for (long i = 0; i < OUTPUTS; i++)                                                          \
            y[i] = WRITE(output_of(sums[i], zero_point * l.sums[i], scale * l.scales[i],            \
                                   l.bias[i], min));                                                \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME##_strips(const strip *strips, long count, long pixels, TYPE *y,                \
                              const block *b, terms *t) {                                           \
        _Alignas(64) uint32_t sums[STRIPS * PIXELS * OUTPUTS];                                      \
        sums_of(strips, count, pixels, b->step, b->w, b->l.weights, b->outputs, sums);              \
        for (long i = 0; i < count; i++) {                                                          \
            const int32_t *from = (int32_t *)sums + i * PIXELS * OUTPUTS;                           \
            long first = strips[i].first;                                                           \
            TYPE *to = y + first * b->y_step;                                                       \
            if (!b->is_pixel_image) {                                                               \
                NAME##_pixels(from, to, pixels, b->y_step, b->outputs, t, b->min);                  \
                continue;                                                                           \
            }                                                                                       \
            for (long p = 0; p < pixels; p++, from += OUTPUTS, to += b->y_step) {                   \
                float scale = b->scales[first + p];                                                 \
                int32_t zero_point = b->zero_points[first + p];                                     \
                if (b->outputs == OUTPUTS)                                                          \
                    NAME##_image(from, to, b->l, scale, zero_point, b->min);                        \
                else {                                                                              \
                    terms_of(t, b, first + p);                                                      \
                    NAME##_pixels(from, to, 1, 0, b->outputs, t, b->min);                           \
                }                                                                                   \
            }                                                                                       \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    /* `lines` lines of `pixels` pixels; a line begins `line_bytes` after the one before. */        \
    INLINE void NAME##_lines(const uint8_t *x, long line_bytes, long lines, long pixels, TYPE *y,   \
                             const block *b) {                                                      \
        if (!lines || !pixels) return;                                                              \
        cut c = cut_lines(lines, pixels);                                                           \
        strip strips[STRIPS];                                                                       \
        terms t;                                                                                    \
        if (!b->is_pixel_image) terms_of(&t, b, 0);                                                 \
        shape_tiles(c.size, b->w.words);                                                            \
        for (long i = 0; i < c.count;) {                                                            \
            long count = strips_now(c.count - i, strips_at_a_time(b->step));                        \
            for (long s = 0; s < count; s++, i++)                                                   \
                strips[s] = strip_of(&c, i, x, line_bytes, b->step);                                \
            NAME##_strips(strips, count, c.size, y, b, &t);                                         \
        }                                                                                           \
        release_tiles();                                                                            \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME##_images(const quantized *q, long images, layer l, TYPE *y,                    \
                              const convolution *c, float min, int threads) {                       \
        const padded_image *s = &c->inputs;                                                         \
        window w = window_of(c->kernel_h, c->kernel_w * s->channels, s->padded_w * s->channels);    \
        long group_outputs = c->outputs / s->groups;                                                \
        long group_blocks = ceil_div(group_outputs, OUTPUTS), blocks = group_blocks * s->groups;    \
        long part_rows = images * blocks * c->rows / (4 * threads);                                 \
        part_rows = part_rows < 1 ? 1 : smaller(part_rows, PIXELS);                                 \
        long parts = ceil_div(c->rows, part_rows);                                                  \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long item = 0; item < images * blocks * parts; item++) {                               \
            long image = item / parts / blocks, index = item / parts % blocks;                      \
            long row = item % parts * part_rows, rows = smaller(part_rows, c->rows - row);          \
            long group = index / group_blocks, inner = index % group_blocks * OUTPUTS;              \
            long output = group * group_outputs + inner;                                            \
            long first_row = (image * s->groups + group) * s->padded_h + row * c->stride_h;         \
            TYPE *to = y + (image * c->rows + row) * c->columns * c->outputs + output;              \
            block b = {w, c->stride_w * s->channels, c->outputs,                                    \
                       smaller(group_outputs - inner, OUTPUTS), block_of(l, w, index, output),      \
                       q->scales + image, q->zero_points + image, 0, min};                          \
            NAME##_lines(q->bytes + first_row * w.row_bytes, c->stride_h * w.row_bytes, rows,       \
                         c->columns, to, &b);                                                       \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    void int8_conv2d_##NAME(const void *x, const int8_t *weights, const float *weight_scales,       \
                            const int32_t *weight_sums, const float *bias, TYPE *y,                 \
                            uint8_t *memory, const convolution *c, float min, int threads) {        \
        layer l = {weights, weight_scales, weight_sums, bias};                                      \
        long size = c->rows * c->columns * c->outputs;                                              \
        for (long first = 0; first < c->inputs.images; first += c->at_a_time) {                     \
            padded_image s = c->inputs;                                                             \
            s.images = smaller(s.images - first, c->at_a_time);                                     \
            quantized q = quantize(x, c->is_bf16, first, memory, c->bytes_at, &s, threads);         \
            NAME##_images(&q, s.images, l, y + first * size, c, min, threads);                      \
        }                                                                                           \
    }

INT8_GEMM(f32, float, write_f32)
INT8_GEMM(bf16, uint16_t, write_bf16)

/* x [images, inputs]; y [images, outputs]. */
typedef struct { long images, inputs, outputs, is_bf16, bytes_at; } linear;

void int8_linear(const void *x, const int8_t *weights, const float *weight_scales,
                 const int32_t *weight_sums, const float *bias, float *y, uint8_t *memory,
                 const linear *c, float min, int threads) {
    layer l = {weights, weight_scales, weight_sums, bias};
    window w = window_of(1, c->inputs, 0);
    padded_image s = {c->images, 1, 1, 1, c->inputs, 0, 1, 1, 0};
    quantized q = quantize(x, c->is_bf16, 0, memory, c->bytes_at, &s, threads);
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long index = 0; index < ceil_div(c->outputs, OUTPUTS); index++) {
        long output = index * OUTPUTS;
        block b = {w, c->inputs, c->outputs, smaller(c->outputs - output, OUTPUTS),
                   block_of(l, w, index, output), q.scales, q.zero_points, 1, min};
        f32_lines(q.bytes, 0, 1, c->images, y + output, &b);
    }
}
#endif
