/* Quantized layers: int8 weights with float32 inputs and, where the CPU has int8 dot products
 * (VNNI), int8 weights with uint8 inputs. */
#include "kernels.h"

/* y [batch, outputs] = x [batch, inputs] times int8 weights, plus a bias, for small batches:
 * weights are read once, and each BLOCK weights of an output share a scale. `inputs` is a multiple
 * of BLOCK. Memory is the limit, so there are as few instructions as possible between two reads
 * (the sums stay a vector until an output is done), and weights are prefetched. */
enum { BLOCK = 64, PREFETCH_BYTES = 4096 };

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
typedef __m512 vector;
#define VECTOR(NAME) _mm512_##NAME
#define TO_FLOAT(BYTES) \
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(BYTES))))
INLINE float horizontal_sum(vector sums) { return _mm512_reduce_add_ps(sums); }
#elif defined(__AVX2__) && defined(__FMA__)
typedef __m256 vector;
#define VECTOR(NAME) _mm256_##NAME
#define TO_FLOAT(BYTES) \
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(BYTES))))
INLINE float horizontal_sum(vector sums) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
#endif

#ifdef VECTOR
INLINE float dot(const int8_t *restrict row, const float *restrict scales,
                 const float *restrict x, long inputs) {
    vector sums = VECTOR(setzero_ps)();
    for (long first = 0; first < inputs; first += BLOCK) {
        vector block = VECTOR(setzero_ps)();
        __builtin_prefetch(row + first + PREFETCH_BYTES);
        for (long i = first; i < first + BLOCK; i += sizeof(vector) / 4)
            block = VECTOR(fmadd_ps)(TO_FLOAT(row + i), VECTOR(loadu_ps)(x + i), block);
        sums = VECTOR(fmadd_ps)(block, VECTOR(set1_ps)(scales[first / BLOCK]), sums);
    }
    return horizontal_sum(sums);
}
#else
enum { LANES = 16 };

INLINE float dot(const int8_t *restrict row, const float *restrict scales,
                 const float *restrict x, long inputs) {
    float sums[LANES] = {0}, sum = 0;
    for (long first = 0; first < inputs; first += BLOCK) {
        float block[LANES] = {0};
        for (long i = first; i < first + BLOCK; i += LANES)
            for (int l = 0; l < LANES; l++) block[l] += (float)row[i + l] * x[i + l];
        for (int l = 0; l < LANES; l++) sums[l] += block[l] * scales[first / BLOCK];
    }
    for (int l = 0; l < LANES; l++) sum += sums[l];
    return sum;
}
#endif

void int8_weight_only_linear(const float *x, const int8_t *weights, const float *scales,
                             const float *bias, float *y, long batch, long inputs, long outputs,
                             float min, int threads) {
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long output = 0; output < outputs; output++)
        for (long image = 0; image < batch; image++) {
            const float *row_scales = scales + output * (inputs / BLOCK);
            const int8_t *row = weights + output * inputs;
            float sum = dot(row, row_scales, x + image * inputs, inputs);
            y[image * outputs + output] = clamp_min(sum + bias[output], min);
        }
}

/* Images as uint8: x = (byte - zero_point) * scale, within half a scale. `zero_point` stands for 0;
 * where no x is negative it is 0 itself. An image with a value that is not finite gets NaN for its
 * scale, and one whose range is below about 1e-36 is taken as zeros.
 *
 * x [images, height, width, channels]; bytes [images, padded_h, padded_w, channels]: the image
 * begins at row and column `before`, and the padding around it is `zero_point`. */
typedef struct {
    long images, height, width, channels, before, padded_h, padded_w;
} padded_image;

typedef struct { float min, max; } min_max;

INLINE void affine_params(const min_max *parts, long count, float *scale, int32_t *zero_point) {
    float low = 0, high = 0;
    int is_finite = 1;
    for (long i = 0; i < count; i++) {
        is_finite &= fabsf(parts[i].min) <= FLT_MAX && fabsf(parts[i].max) <= FLT_MAX;
        low = parts[i].min < low ? parts[i].min : low;
        high = parts[i].max > high ? parts[i].max : high;
    }
    float range = high / 255 - low / 255, inverse = 1 / range;
    int is_scaled = is_finite && inverse <= FLT_MAX;
    *scale = is_scaled ? range : is_finite ? 0 : NAN;
    *zero_point = is_scaled ? (int32_t)(0.5f - low * inverse) : 0;
}

/* The minimum and maximum are found by bits, which keeps NaN: with all bits but the sign inverted
 * where it is negative, the bits as signed integers are in the order of the floats, and NaN is at
 * both ends. */
#define QUANTIZE(NAME, TYPE, BITS, UNSIGNED, READ)                                                  \
    INLINE BITS NAME##_ordered(BITS bits) { return bits < 0 ? (BITS)(bits ^ UNSIGNED) : bits; }     \
                                                                                                    \
    INLINE float NAME##_value(BITS ordered) {                                                       \
        BITS bits = NAME##_ordered(ordered);                                                        \
        TYPE value;                                                                                 \
        memcpy(&value, &bits, sizeof value);                                                        \
        return READ(value);                                                                         \
    }                                                                                               \
                                                                                                    \
    INLINE min_max NAME##_min_max(const TYPE *x, long count) {                                      \
        BITS min = 0, max = 0;                                                                      \
        for (long i = 0; i < count; i++) {                                                          \
            BITS bits;                                                                              \
            memcpy(&bits, x + i, sizeof bits);                                                      \
            bits = NAME##_ordered(bits);                                                            \
            min = bits < min ? bits : min;                                                          \
            max = bits > max ? bits : max;                                                          \
        }                                                                                           \
        return (min_max){NAME##_value(min), NAME##_value(max)};                                     \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME##_row(const TYPE *restrict x, uint8_t *restrict bytes, long count,             \
                           float scale, int32_t zero_point) {                                       \
        float inverse = scale > 0 ? 1 / scale : 0, offset = (float)zero_point + 0.5f;               \
        for (long i = 0; i < count; i++) {                                                          \
            float byte = READ(x[i]) * inverse + offset;                                             \
            byte = byte > 0 ? byte : 0;                                                             \
            bytes[i] = (uint8_t)(int32_t)(byte < 255 ? byte : 255);                                 \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    /* Scale and zero point of one image, by all threads. */                                        \
    INLINE void NAME##_params(const TYPE *image, long count, float *scale, int32_t *zero_point,     \
                              int threads) {                                                        \
        min_max found[threads];                                                                     \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long part = 0; part < threads; part++) {                                               \
            long first = count * part / threads, last = count * (part + 1) / threads;               \
            found[part] = NAME##_min_max(image + first, last - first);                              \
        }                                                                                           \
        affine_params(found, threads, scale, zero_point);                                           \
    }                                                                                               \
                                                                                                    \
    void NAME(const TYPE *x, uint8_t *bytes, float *scales, int32_t *zero_points,                   \
              const padded_image *s, int threads) {                                                 \
        long line = s->width * s->channels, count = s->height * line;                               \
        long before = s->before * s->channels, padded_line = s->padded_w * s->channels;             \
        long shared = s->images < threads ? s->images : 0;                                          \
        for (long image = 0; image < shared; image++)                                               \
            NAME##_params(x + image * count, count, scales + image, zero_points + image,            \
                          threads);                                                                 \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long image = shared; image < s->images; image++) {                                     \
            min_max found = NAME##_min_max(x + image * count, count);                               \
            affine_params(&found, 1, scales + image, zero_points + image);                          \
        }                                                                                           \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long row = 0; row < s->images * s->padded_h; row++) {                                  \
            long image = row / s->padded_h, inside = row % s->padded_h - s->before;                 \
            uint8_t *to = bytes + row * padded_line;                                                \
            int is_inside = 0 <= inside && inside < s->height;                                      \
            if (!is_inside || line < padded_line) memset(to, zero_points[image], padded_line);      \
            if (is_inside)                                                                          \
                NAME##_row(x + image * count + inside * line, to + before, line, scales[image],     \
                           zero_points[image]);                                                     \
        }                                                                                           \
    }

QUANTIZE(quantize_f32, float, int32_t, 0x7fffffff, read_f32)
QUANTIZE(quantize_bf16, uint16_t, int16_t, 0x7fff, read_bf16)

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
