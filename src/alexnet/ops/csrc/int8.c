/* Layers with int8 weights and uint8 inputs, where the CPU has int8 dot products: by vectors (VNNI),
 * or by tiles (AMX). The sums are exact, so both give the same bits. */
#include "kernels.h"

/* A block of outputs is two vectors of sums. A strip is up to PIXELS output pixels, whose windows
 * begin equally far apart; STRIPS of them are computed at a time. */
#if defined(__AMX_INT8__)
#define VECTOR_INTS 16
#define PIXELS 16
#define STRIPS 2
#elif defined(__AVX512VNNI__)
#define VECTOR_INTS 16
#define PIXELS 14
#define STRIPS 1
#elif defined(__AVXVNNI__)
#define VECTOR_INTS 8
#define PIXELS 6
#define STRIPS 1
#else
#define VECTOR_INTS 0
#endif

enum { OUTPUTS = 2 * VECTOR_INTS };

/* Outputs of a block; 0 where the CPU has no int8 dot products. */
long int8_output_block(void) { return OUTPUTS; }

#if VECTOR_INTS
/* The inputs of one output pixel: `rows` rows of `runs` runs of contiguous bytes. A run is read in
 * `steps` steps of `words` words of four bytes; the bytes after its end have weights of 0. */
typedef struct { long rows, runs, steps, words, row_bytes, run_bytes; } window;

/* A step is at most a row of a tile. */
enum { STEP_WORDS = 16 };

INLINE window window_of_runs(long rows, long runs, long bytes, long row_bytes, long run_bytes) {
    long words = ceil_div(bytes, 4), steps = ceil_div(words, STEP_WORDS);
    return (window){rows, runs, steps, ceil_div(words, steps), row_bytes, run_bytes};
}

/* Output pixels: the first byte of the first one's window, and where their outputs are. */
typedef struct { const uint8_t *x; long pixels, first; } strip;

/* For how many pixels of each strip the tiles are shaped. */
typedef struct { long pixels, pixels_2; } tile_sizes;

#if defined(__AMX_INT8__)
#include "tiles.h"

/* The sums are 2 x 2 tiles of 16 pixels x 16 outputs. One instruction multiplies a tile of 16 pixels
 * x 64 bytes by one of 64 bytes x 16 outputs. */
#define LOW_SUMS 0
#define HIGH_SUMS 1
#define LOW_SUMS_2 2
#define HIGH_SUMS_2 3
#define INPUTS 4
#define INPUTS_2 5
#define LOW 6
#define HIGH 7

INLINE void shape_tiles(long pixels, long pixels_2, long words) {
    tile_shapes shapes = {.palette = 1};
    const long rows[] = {pixels, pixels, pixels_2, pixels_2, pixels, pixels_2, words, words};
    for (int tile = LOW_SUMS; tile <= HIGH; tile++) {
        int is_input = tile == INPUTS || tile == INPUTS_2;
        shapes.rows[tile] = (uint8_t)rows[tile];
        shapes.row_bytes[tile] = (uint16_t)(is_input ? 4 * words : 64);
    }
    load_tile_shapes(&shapes);
}

INLINE void add_tiles(const strip *strips, const int two, long step, window w,
                      const int8_t *weights) {
    for (long row = 0; row < w.rows; row++)
        for (long run = 0; run < w.runs; run++) {
            long at = row * w.row_bytes + run * w.run_bytes;
            for (long i = 0; i < w.steps; i++, at += 4 * w.words) {
                _tile_loadd(LOW, weights, 4 * OUTPUTS);
                _tile_loadd(INPUTS, strips[0].x + at, step);
                _tile_dpbusd(LOW_SUMS, INPUTS, LOW);
                _tile_loadd(HIGH, weights + 4 * VECTOR_INTS, 4 * OUTPUTS);
                _tile_dpbusd(HIGH_SUMS, INPUTS, HIGH);
                if (two) {
                    _tile_loadd(INPUTS_2, strips[1].x + at, step);
                    _tile_dpbusd(LOW_SUMS_2, INPUTS_2, LOW);
                    _tile_dpbusd(HIGH_SUMS_2, INPUTS_2, HIGH);
                }
                weights += w.words * 4 * OUTPUTS;
            }
        }
}

/* The sums of a block of outputs for the pixels of one or two strips. The shapes of the tiles are
 * loaded where they are not those of `loaded`, since that takes as long as many products. */
static __attribute__((noinline)) void sums_of(const strip *strips, long count, long step, window w,
                                              const int8_t *weights, int32_t (*sums)[OUTPUTS],
                                              tile_sizes *loaded) {
    long pixels = strips[0].pixels, pixels_2 = strips[count - 1].pixels;
    if (loaded->pixels != pixels || loaded->pixels_2 != pixels_2)
        shape_tiles(pixels, pixels_2, w.words);
    *loaded = (tile_sizes){pixels, pixels_2};
    _tile_zero(LOW_SUMS);
    _tile_zero(HIGH_SUMS);
    _tile_zero(LOW_SUMS_2);
    _tile_zero(HIGH_SUMS_2);
    if (count == 2) add_tiles(strips, 1, step, w, weights);
    else add_tiles(strips, 0, step, w, weights);
    _tile_stored(LOW_SUMS, sums[0], sizeof *sums);
    _tile_stored(HIGH_SUMS, sums[0] + VECTOR_INTS, sizeof *sums);
    if (count == 1) return;
    _tile_stored(LOW_SUMS_2, sums[PIXELS], sizeof *sums);
    _tile_stored(HIGH_SUMS_2, sums[PIXELS] + VECTOR_INTS, sizeof *sums);
}

INLINE void release_tiles(void) { _tile_release(); }
#else
/* A strip's sums stay in registers; the intrinsic spills them (at half the speed), so inline asm. */
#if defined(__AVX512VNNI__)
#define ADD_DOT4(TO, BYTES, WEIGHTS) \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(TO) : "v"(BYTES), "v"(WEIGHTS))
#else
#define ADD_DOT4(TO, BYTES, WEIGHTS) \
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(TO) : "x"(BYTES), "x"(WEIGHTS))
#endif

typedef int32_t int_vector __attribute__((vector_size(4 * VECTOR_INTS)));

INLINE void strip_sums(const uint8_t *x, long step, window w, const int8_t *weights,
                       const int pixels, int32_t (*sums)[OUTPUTS]) {
    int_vector sum[PIXELS][2];
    _Pragma("GCC unroll 14")
    for (int p = 0; p < pixels; p++) sum[p][0] = sum[p][1] = (int_vector){0};
    for (long row = 0; row < w.rows; row++)
        for (long run = 0; run < w.runs; run++) {
            const uint8_t *at = x + row * w.row_bytes + run * w.run_bytes;
            for (long word = 0; word < w.steps * w.words; word++, at += 4, weights += 4 * OUTPUTS) {
                int_vector low, high;
                memcpy(&low, weights, sizeof low);
                memcpy(&high, weights + sizeof low, sizeof high);
                __builtin_prefetch(weights + PREFETCH_BYTES);
                __builtin_prefetch(weights + PREFETCH_BYTES + sizeof low);
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
        memcpy(sums[p], &low, sizeof low);
        memcpy(sums[p] + VECTOR_INTS, &high, sizeof high);
    }
}

/* The sums of a block of outputs for the pixels of one strip. */
static __attribute__((noinline)) void sums_of(const strip *strips, long count, long step, window w,
                                              const int8_t *weights, int32_t (*sums)[OUTPUTS],
                                              tile_sizes *loaded) {
    (void)count, (void)loaded;
#define STRIP(N) case N: strip_sums(strips->x, step, w, weights, N, sums); break;
    switch (strips->pixels) {
        STRIP(1) STRIP(2) STRIP(3) STRIP(4) STRIP(5) STRIP(6)
#if PIXELS == 14
        STRIP(7) STRIP(8) STRIP(9) STRIP(10) STRIP(11) STRIP(12) STRIP(13) STRIP(14)
#endif
    }
}

INLINE void release_tiles(void) {}
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
    const int8_t *weights = l.weights + block * w.rows * w.runs * w.steps * w.words * 4 * OUTPUTS;
    return (layer){weights, l.scales + output, l.sums + output, l.bias + output};
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

/* Padded inputs [images, height, width, channels]; y [images, rows, columns, outputs]. */
typedef struct {
    long images, height, width, channels, rows, columns, outputs, groups;
    long kernel_h, kernel_w, stride_h, stride_w;
} convolution;

INLINE window window_of(const convolution *c) {
    long line = c->width * c->channels, run = c->channels / c->groups;
    if (c->groups == 1) return window_of_runs(c->kernel_h, 1, c->kernel_w * run, line, 0);
    return window_of_runs(c->kernel_h, c->kernel_w, run, line, c->channels);
}

#define INT8_GEMM(NAME, TYPE, WRITE)                                                                \
    INLINE void NAME##_outputs(const int32_t *restrict sums, TYPE *restrict y, long outputs,        \
                               layer l, float scale, int32_t zero_point, float min) {               \
        for (long i = 0; i < outputs; i++) {                                                        \
            float sum = (float)(sums[i] - zero_point * l.sums[i]);                                  \
            y[i] = WRITE(clamp_min(sum * (scale * l.scales[i]) + l.bias[i], min));                  \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME##_strips(const strip *strips, long count, TYPE *y, const block *b,             \
                              tile_sizes *loaded) {                                                 \
        int32_t sums[STRIPS * PIXELS][OUTPUTS];                                                     \
        sums_of(strips, count, b->step, b->w, b->l.weights, sums, loaded);                          \
        for (long s = 0; s < count; s++)                                                            \
            for (long p = 0; p < strips[s].pixels; p++) {                                           \
                long pixel = strips[s].first + p, image = b->is_pixel_image ? pixel : 0;            \
                const int32_t *from = sums[s * PIXELS + p], zero_point = b->zero_points[image];     \
                TYPE *to = y + pixel * b->y_step;                                                   \
                float scale = b->scales[image];                                                     \
                if (b->outputs == OUTPUTS) /* a constant number of vectors */                       \
                    NAME##_outputs(from, to, OUTPUTS, b->l, scale, zero_point, b->min);             \
                else                                                                                \
                    NAME##_outputs(from, to, b->outputs, b->l, scale, zero_point, b->min);          \
            }                                                                                       \
    }                                                                                               \
                                                                                                    \
    /* `lines` lines of `pixels` pixels; a line begins `line_bytes` after the one before. */        \
    INLINE void NAME##_lines(const uint8_t *x, long line_bytes, long lines, long pixels, TYPE *y,   \
                             const block *b) {                                                      \
        long parts = ceil_div(pixels, PIXELS), count = 0;                                           \
        strip strips[STRIPS];                                                                       \
        tile_sizes loaded = {0, 0};                                                                 \
        for (long i = 0; i < lines * parts; i++) {                                                  \
            long line = i / parts, first = pixels * (i % parts) / parts;                            \
            strips[count++] = (strip){x + line * line_bytes + first * b->step,                      \
                                      pixels * (i % parts + 1) / parts - first,                     \
                                      line * pixels + first};                                       \
            if (count < STRIPS && i + 1 < lines * parts) continue;                                  \
            NAME##_strips(strips, count, y, b, &loaded);                                            \
            count = 0;                                                                              \
        }                                                                                           \
        release_tiles();                                                                            \
    }                                                                                               \
                                                                                                    \
    void int8_conv2d_##NAME(const uint8_t *x, const float *scales, const int32_t *zero_points,      \
                            const int8_t *weights, const float *weight_scales,                      \
                            const int32_t *weight_sums, const float *bias, TYPE *y,                 \
                            const convolution *c, float min, int threads) {                         \
        layer l = {weights, weight_scales, weight_sums, bias};                                      \
        window w = window_of(c);                                                                    \
        long group_outputs = c->outputs / c->groups, group_inputs = c->channels / c->groups;        \
        long group_blocks = ceil_div(group_outputs, OUTPUTS), blocks = group_blocks * c->groups;    \
        long part_rows = c->images * blocks * c->rows / (4 * threads);                              \
        part_rows = part_rows < 1 ? 1 : smaller(part_rows, PIXELS);                                 \
        long parts = ceil_div(c->rows, part_rows);                                                  \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long item = 0; item < c->images * blocks * parts; item++) {                            \
            long image = item / parts / blocks, index = item / parts % blocks;                      \
            long row = item % parts * part_rows, rows = smaller(part_rows, c->rows - row);          \
            long group = index / group_blocks, inner = index % group_blocks * OUTPUTS;              \
            long output = group * group_outputs + inner;                                            \
            long first = (image * c->height + row * c->stride_h) * w.row_bytes;                     \
            TYPE *to = y + (image * c->rows + row) * c->columns * c->outputs + output;              \
            block b = {                                                                             \
                w, c->stride_w * c->channels, c->outputs, smaller(group_outputs - inner, OUTPUTS),  \
                block_of(l, w, index, output), scales + image, zero_points + image, 0, min};        \
            NAME##_lines(x + first + group * group_inputs, c->stride_h * w.row_bytes, rows,         \
                         c->columns, to, &b);                                                       \
        }                                                                                           \
    }

INT8_GEMM(f32, float, write_f32)
INT8_GEMM(bf16, uint16_t, write_bf16)

/* x [images, inputs]; y [images, outputs]. */
void int8_linear(const uint8_t *x, const float *scales, const int32_t *zero_points,
                 const int8_t *weights, const float *weight_scales, const int32_t *weight_sums,
                 const float *bias, float *y, long images, long inputs, long outputs, float min,
                 int threads) {
    layer l = {weights, weight_scales, weight_sums, bias};
    window w = window_of_runs(1, 1, inputs, 0, 0);
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long index = 0; index < ceil_div(outputs, OUTPUTS); index++) {
        long output = index * OUTPUTS;
        block b = {w, inputs, outputs, smaller(outputs - output, OUTPUTS),
                   block_of(l, w, index, output), scales, zero_points, 1, min};
        f32_lines(x, 0, 1, images, y + output, &b);
    }
}
#endif
