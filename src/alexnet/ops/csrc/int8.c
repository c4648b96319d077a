/* Layers with int8 weights and uint8 inputs, where the CPU has int8 dot products (VNNI). */
#include "kernels.h"

/* int8 matrix multiplication: one instruction adds four products to each of VECTOR_INTS int32 sums.
 * A block of outputs is two vectors of sums; a tile has as many PIXELS as leave a register for each
 * of their vectors. The intrinsic spills the accumulators (at half the speed), so inline asm. */
#if defined(__AVX512VNNI__)
#define VECTOR_INTS 16
#define PIXELS 14
#define ADD_DOT4(TO, BYTES, WEIGHTS) \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(TO) : "v"(BYTES), "v"(WEIGHTS))
#elif defined(__AVXVNNI__)
#define VECTOR_INTS 8
#define PIXELS 6
#define ADD_DOT4(TO, BYTES, WEIGHTS) \
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(TO) : "x"(BYTES), "x"(WEIGHTS))
#else
#define VECTOR_INTS 0
#endif

enum { OUTPUTS = 2 * VECTOR_INTS };

/* Outputs of a block; 0 where the CPU has no int8 dot products. */
long int8_output_block(void) { return OUTPUTS; }

#if VECTOR_INTS
typedef int32_t int_vector __attribute__((vector_size(4 * VECTOR_INTS)));

/* The inputs of one output pixel: `rows` rows of `runs` runs of contiguous bytes. A run is read as
 * `words` words of four bytes; the at most three bytes after its end have weights of 0. */
typedef struct { long rows, runs, words, row_bytes, run_bytes; } window;

INLINE void tile(const uint8_t *x, long step, window w, const int8_t *weights, const int pixels,
                 int32_t (*sums)[OUTPUTS]) {
    int_vector sum[PIXELS][2];
    _Pragma("GCC unroll 14")
    for (int p = 0; p < pixels; p++) sum[p][0] = sum[p][1] = (int_vector){0};
    for (long row = 0; row < w.rows; row++)
        for (long run = 0; run < w.runs; run++) {
            const uint8_t *at = x + row * w.row_bytes + run * w.run_bytes;
            for (long word = 0; word < w.words; word++, at += 4, weights += 4 * OUTPUTS) {
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

/* The sums of a block of outputs for `pixels` pixels whose windows begin `step` bytes apart. */
static __attribute__((noinline)) void tile_of(long pixels, const uint8_t *x, long step, window w,
                                              const int8_t *weights, int32_t (*sums)[OUTPUTS]) {
#define TILE(N) case N: tile(x, step, w, weights, N, sums); break;
    switch (pixels) {
        TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if PIXELS == 14
        TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)
#endif
    }
}

INLINE long ceil_div(long a, long b) { return (a + b - 1) / b; }

/* Packed weights (quantization.py), with a scale, a sum and a bias for every output. */
typedef struct {
    const int8_t *weights;
    const float *scales;
    const int32_t *sums;
    const float *bias;
} layer;

/* The block of outputs whose first is `output`. */
INLINE layer block_of(layer l, long block, long block_bytes, long output) {
    const int8_t *weights = l.weights + block * block_bytes;
    return (layer){weights, l.scales + output, l.sums + output, l.bias + output};
}

/* Padded inputs [images, height, width, channels]; y [images, rows, columns, outputs]. */
typedef struct {
    long images, height, width, channels, rows, columns, outputs, groups;
    long kernel_h, kernel_w, stride_h, stride_w;
} convolution;

INLINE window window_of(const convolution *c) {
    long line = c->width * c->channels, run = c->channels / c->groups;
    if (c->groups == 1)
        return (window){c->kernel_h, 1, ceil_div(c->kernel_w * run, 4), line, 0};
    return (window){c->kernel_h, c->kernel_w, ceil_div(run, 4), line, c->channels};
}

#define INT8_GEMM(NAME, TYPE, WRITE)                                                                \
    INLINE void NAME##_outputs(const int32_t *sums, TYPE *y, long outputs, float scale,             \
                               int32_t zero_point, layer l, float min) {                            \
        for (long i = 0; i < outputs; i++) {                                                        \
            float sum = (float)(sums[i] - zero_point * l.sums[i]);                                  \
            y[i] = WRITE(clamp_min(sum * (scale * l.scales[i]) + l.bias[i], min));                  \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    /* One row of output pixels. */                                                                 \
    INLINE void NAME##_row(const uint8_t *x, TYPE *y, const convolution *c, window w, layer l,      \
                           long outputs, float scale, int32_t zero_point, float min) {              \
        long step = c->stride_w * c->channels, tiles = ceil_div(c->columns, PIXELS);                \
        for (long i = 0; i < tiles; i++) {                                                          \
            int32_t sums[PIXELS][OUTPUTS];                                                          \
            long column = c->columns * i / tiles, pixels = c->columns * (i + 1) / tiles - column;   \
            tile_of(pixels, x + column * step, step, w, l.weights, sums);                           \
            for (long p = 0; p < pixels; p++)                                                       \
                NAME##_outputs(sums[p], y + (column + p) * c->outputs, outputs, scale, zero_point,  \
                               l, min);                                                             \
        }                                                                                           \
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
        long block_bytes = w.rows * w.runs * w.words * 4 * OUTPUTS;                                 \
        long part_rows = c->images * blocks * c->rows / (4 * threads);                              \
        part_rows = part_rows < 1 ? 1 : smaller(part_rows, PIXELS);                                 \
        long parts = ceil_div(c->rows, part_rows);                                                  \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long item = 0; item < c->images * blocks * parts; item++) {                            \
            long image = item / parts / blocks, block = item / parts % blocks;                      \
            long first = item % parts * part_rows, last = first + part_rows;                        \
            long group = block / group_blocks, inner = block % group_blocks * OUTPUTS;              \
            long output = group * group_outputs + inner, remaining = group_outputs - inner;         \
            const uint8_t *from = x + image * c->height * w.row_bytes + group * group_inputs;       \
            TYPE *to = y + image * c->rows * c->columns * c->outputs + output;                      \
            for (long row = first; row < last && row < c->rows; row++)                              \
                NAME##_row(from + row * c->stride_h * w.row_bytes,                                  \
                           to + row * c->columns * c->outputs, c, w,                                \
                           block_of(l, block, block_bytes, output), smaller(remaining, OUTPUTS),    \
                           scales[image], zero_points[image], min);                                 \
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
    window w = {1, 1, ceil_div(inputs, 4), 0, 0};
    long tiles = ceil_div(images, PIXELS);
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long block = 0; block < ceil_div(outputs, OUTPUTS); block++) {
        long output = block * OUTPUTS, remaining = outputs - output;
        layer inner = block_of(l, block, w.words * 4 * OUTPUTS, output);
        for (long i = 0; i < tiles; i++) {
            int32_t sums[PIXELS][OUTPUTS];
            long image = images * i / tiles, pixels = images * (i + 1) / tiles - image;
            tile_of(pixels, x + image * inputs, inputs, w, inner.weights, sums);
            for (long p = image; p < image + pixels; p++)
                f32_outputs(sums[p - image], y + p * outputs + output, smaller(remaining, OUTPUTS),
                            scales[p], zero_points[p], inner, min);
        }
    }
}
#endif
