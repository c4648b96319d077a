/* Layers of bytes: of weights, and where the processor multiplies bytes of inputs too. As in
 * kernels.c, bits do not depend on the number of threads. */
#include "kernels.h"

/* y [batch, outputs] = x [batch, inputs] times weights of one byte, plus a bias, for small batches:
 * the weights are read once, and each block of BLOCK inputs of an output has a scale of its own.
 * `inputs` is a multiple of BLOCK. The memory is the limit, so as few instructions as possible stand
 * between two reads of it (the sums stay a vector until an output is done), and bytes are asked for
 * AHEAD of their use. */
enum { BLOCK = 64, AHEAD = 4096 };

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
typedef __m512 vector;
#define VECTOR(NAME) _mm512_##NAME
#define WIDENED(BYTES) \
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(BYTES))))
INLINE float total(vector sums) { return _mm512_reduce_add_ps(sums); }
#elif defined(__AVX2__) && defined(__FMA__)
typedef __m256 vector;
#define VECTOR(NAME) _mm256_##NAME
#define WIDENED(BYTES) \
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(BYTES))))
INLINE float total(vector sums) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
#endif

#ifdef VECTOR
INLINE float row_product(const int8_t *restrict row, const float *restrict scales,
                         const float *restrict x, long inputs) {
    vector sums = VECTOR(setzero_ps)();
    for (long first = 0; first < inputs; first += BLOCK) {
        vector block = VECTOR(setzero_ps)();
        __builtin_prefetch(row + first + AHEAD);
        for (long i = first; i < first + BLOCK; i += sizeof(vector) / 4)
            block = VECTOR(fmadd_ps)(WIDENED(row + i), VECTOR(loadu_ps)(x + i), block);
        sums = VECTOR(fmadd_ps)(block, VECTOR(set1_ps)(scales[first / BLOCK]), sums);
    }
    return total(sums);
}
#else
enum { LANES = 16 };

INLINE float row_product(const int8_t *restrict row, const float *restrict scales,
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

void int8_weight_only_linear(const float *x, const int8_t *weights, const float *scales, const float *bias,
                 float *y, long batch, long inputs, long outputs, float least, int threads) {
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long output = 0; output < outputs; output++)
        for (long image = 0; image < batch; image++) {
            const float *row_scales = scales + output * (inputs / BLOCK);
            const int8_t *row = weights + output * inputs;
            float sum = row_product(row, row_scales, x + image * inputs, inputs);
            y[image * outputs + output] = at_least(sum + bias[output], least);
        }
}

/* Images as bytes: number = (byte - zero) * scale, within half a scale. `zero` stands for 0; where no
 * number is negative it is 0 itself. An image that holds a number that is not finite gets NaN for its
 * scale, and one whose numbers span less than about 1e-36 is taken for zeros.
 *
 * x [images, height, width, channels] to bytes [images, tall, wide, channels]: the image begins at
 * row and column `before`, and around it is `zero`. */
typedef struct {
    long images, height, width, channels, before, tall, wide;
} frame;

typedef struct { float least, most; } extremes;

INLINE void find_code(const extremes *parts, long count, float *scale, int32_t *zero) {
    float low = 0, high = 0;
    int is_finite = 1;
    for (long i = 0; i < count; i++) {
        is_finite &= fabsf(parts[i].least) <= FLT_MAX && fabsf(parts[i].most) <= FLT_MAX;
        low = parts[i].least < low ? parts[i].least : low;
        high = parts[i].most > high ? parts[i].most : high;
    }
    float range = high / 255 - low / 255, inverse = 1 / range;
    int is_code = is_finite && inverse <= FLT_MAX;
    *scale = is_code ? range : is_finite ? 0 : NAN;
    *zero = is_code ? (int32_t)(0.5f - low * inverse) : 0;
}

/* The bits of numbers, below the sign turned over where they are negative, are in the order of the
 * numbers, and NaN is at their ends. */
#define TO_BYTES(NAME, TYPE, BITS, UNSIGNED, READ)                                                  \
    INLINE BITS NAME##_in_order(BITS bits) { return bits < 0 ? (BITS)(bits ^ UNSIGNED) : bits; }    \
                                                                                                    \
    INLINE float NAME##_number(BITS place) {                                                        \
        BITS bits = NAME##_in_order(place);                                                         \
        TYPE number;                                                                                \
        memcpy(&number, &bits, sizeof number);                                                      \
        return READ(number);                                                                        \
    }                                                                                               \
                                                                                                    \
    INLINE extremes NAME##_extremes(const TYPE *x, long numbers) {                                  \
        BITS least = 0, most = 0;                                                                   \
        for (long i = 0; i < numbers; i++) {                                                        \
            BITS bits;                                                                              \
            memcpy(&bits, x + i, sizeof bits);                                                      \
            bits = NAME##_in_order(bits);                                                           \
            least = bits < least ? bits : least;                                                    \
            most = bits > most ? bits : most;                                                       \
        }                                                                                           \
        return (extremes){NAME##_number(least), NAME##_number(most)};                               \
    }                                                                                               \
                                                                                                    \
    INLINE void NAME##_row(const TYPE *restrict x, uint8_t *restrict bytes, long numbers,           \
                           float scale, int32_t zero) {                                             \
        float inverse = scale > 0 ? 1 / scale : 0, middle = (float)zero + 0.5f;                     \
        for (long i = 0; i < numbers; i++) {                                                        \
            float byte = READ(x[i]) * inverse + middle;                                             \
            byte = byte > 0 ? byte : 0;                                                             \
            bytes[i] = (uint8_t)(int32_t)(byte < 255 ? byte : 255);                                 \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    /* One image's code, which all threads look for. */                                             \
    INLINE void NAME##_code(const TYPE *image, long numbers, float *scale, int32_t *zero,           \
                            int threads) {                                                          \
        extremes found[threads];                                                                    \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long part = 0; part < threads; part++) {                                               \
            long first = numbers * part / threads, last = numbers * (part + 1) / threads;           \
            found[part] = NAME##_extremes(image + first, last - first);                             \
        }                                                                                           \
        find_code(found, threads, scale, zero);                                                     \
    }                                                                                               \
                                                                                                    \
    void NAME(const TYPE *x, uint8_t *bytes, float *scales, int32_t *zeros, const frame *f,         \
              int threads) {                                                                        \
        long line = f->width * f->channels, numbers = f->height * line;                             \
        long before = f->before * f->channels, all = f->wide * f->channels;                         \
        long shared = f->images < threads ? f->images : 0;                                          \
        for (long image = 0; image < shared; image++)                                               \
            NAME##_code(x + image * numbers, numbers, scales + image, zeros + image, threads);      \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long image = shared; image < f->images; image++) {                                     \
            extremes found = NAME##_extremes(x + image * numbers, numbers);                         \
            find_code(&found, 1, scales + image, zeros + image);                                    \
        }                                                                                           \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long row = 0; row < f->images * f->tall; row++) {                                      \
            long image = row / f->tall, inside = row % f->tall - f->before;                         \
            uint8_t *to = bytes + row * all;                                                        \
            int is_inside = 0 <= inside && inside < f->height;                                      \
            if (!is_inside || line < all) memset(to, zeros[image], all);                            \
            if (is_inside)                                                                          \
                NAME##_row(x + image * numbers + inside * line, to + before, line, scales[image],   \
                           zeros[image]);                                                           \
        }                                                                                           \
    }

TO_BYTES(to_bytes_f32, float, int32_t, 0x7fffffff, read_f32)
TO_BYTES(to_bytes_bf16, uint16_t, int16_t, 0x7fff, read_bf16)

/* Products of bytes: one instruction adds four of them to each of SUMS sums. A block of outputs is
 * two vectors of sums; a tile is as many PLACES as leave a register to each of them. The compiler's
 * own name for the instruction makes it copy every sum, at half the speed. */
#if defined(__AVX512VNNI__)
#define SUMS 16
#define PLACES 14
#define ADD_PRODUCTS(TO, BYTES, WEIGHTS) \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(TO) : "v"(BYTES), "v"(WEIGHTS))
#elif defined(__AVXVNNI__)
#define SUMS 8
#define PLACES 6
#define ADD_PRODUCTS(TO, BYTES, WEIGHTS) \
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(TO) : "x"(BYTES), "x"(WEIGHTS))
#else
#define SUMS 0
#endif

enum { WIDE = 2 * SUMS };

/* Outputs of a block; 0 where the processor does not multiply bytes. */
long output_block(void) { return WIDE; }

#if SUMS
typedef int32_t vector_of_sums __attribute__((vector_size(4 * SUMS)));

/* What one output reads: `rows` rows of `runs` runs of bytes. A run is `words` words of four bytes;
 * what it reads beyond its end, at most three bytes, has weights of 0. */
typedef struct { long rows, runs, words, row_bytes, run_bytes; } window;

INLINE void tile(const uint8_t *x, long step, window w, const int8_t *weights, const int places,
                 int32_t (*sums)[WIDE]) {
    vector_of_sums sum[PLACES][2];
    _Pragma("GCC unroll 14")
    for (int p = 0; p < places; p++) sum[p][0] = sum[p][1] = (vector_of_sums){0};
    for (long row = 0; row < w.rows; row++)
        for (long run = 0; run < w.runs; run++) {
            const uint8_t *at = x + row * w.row_bytes + run * w.run_bytes;
            for (long word = 0; word < w.words; word++, at += 4, weights += 4 * WIDE) {
                vector_of_sums near, far;
                memcpy(&near, weights, sizeof near);
                memcpy(&far, weights + sizeof near, sizeof far);
                __builtin_prefetch(weights + AHEAD);
                __builtin_prefetch(weights + AHEAD + sizeof near);
                _Pragma("GCC unroll 14")
                for (int p = 0; p < places; p++) {
                    int32_t four;
                    memcpy(&four, at + p * step, 4);
                    vector_of_sums bytes = four - (vector_of_sums){0};
                    ADD_PRODUCTS(sum[p][0], bytes, near);
                    ADD_PRODUCTS(sum[p][1], bytes, far);
                }
            }
        }
    _Pragma("GCC unroll 14")
    for (int p = 0; p < places; p++) { /* as wholes they would never be in registers */
        vector_of_sums near = sum[p][0], far = sum[p][1];
        memcpy(sums[p], &near, sizeof near);
        memcpy(sums[p] + SUMS, &far, sizeof far);
    }
}

/* The sums of `places` outputs whose windows begin `step` bytes apart, for a block of outputs. */
static __attribute__((noinline)) void tile_of(long places, const uint8_t *x, long step, window w,
                                              const int8_t *weights, int32_t (*sums)[WIDE]) {
#define TILE(N) case N: tile(x, step, w, weights, N, sums); break;
    switch (places) {
        TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if PLACES == 14
        TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)
#endif
    }
}

INLINE long parts_of(long whole, long part) { return (whole + part - 1) / part; }

/* A layer: weights in blocks (int8.py), with a scale and a sum for every output. */
typedef struct {
    const int8_t *weights;
    const float *scales;
    const int32_t *sums;
    const float *bias;
} layer;

/* The block of outputs that begins at `output`. */
INLINE layer block_of(layer l, long block, long block_bytes, long output) {
    const int8_t *weights = l.weights + block * block_bytes;
    return (layer){weights, l.scales + output, l.sums + output, l.bias + output};
}

/* bytes [images, height, width, channels] with their border; y [images, rows, columns, outputs]. */
typedef struct {
    long images, height, width, channels, rows, columns, outputs, groups;
    long kernel_rows, kernel_columns, row_stride, column_stride;
} convolution;

INLINE window window_of(const convolution *c) {
    long line = c->width * c->channels, run = c->channels / c->groups;
    if (c->groups == 1)
        return (window){c->kernel_rows, 1, parts_of(c->kernel_columns * run, 4), line, 0};
    return (window){c->kernel_rows, c->kernel_columns, parts_of(run, 4), line, c->channels};
}

#define PRODUCTS(NAME, TYPE, WRITE)                                                                 \
    INLINE void NAME##_numbers(const int32_t *sums, TYPE *y, long outputs, float scale,             \
                               int32_t zero, layer l, float least) {                                \
        for (long i = 0; i < outputs; i++) {                                                        \
            float sum = (float)(sums[i] - zero * l.sums[i]);                                        \
            y[i] = WRITE(at_least(sum * (scale * l.scales[i]) + l.bias[i], least));                 \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    /* One row of `outputs` maps. */                                                                \
    INLINE void NAME##_row(const uint8_t *x, TYPE *y, const convolution *c, window w, layer l,      \
                           long outputs, float scale, int32_t zero, float least) {                  \
        long step = c->column_stride * c->channels, tiles = parts_of(c->columns, PLACES);           \
        for (long i = 0; i < tiles; i++) {                                                          \
            int32_t sums[PLACES][WIDE];                                                             \
            long column = c->columns * i / tiles, places = c->columns * (i + 1) / tiles - column;   \
            tile_of(places, x + column * step, step, w, l.weights, sums);                           \
            for (long p = 0; p < places; p++)                                                       \
                NAME##_numbers(sums[p], y + (column + p) * c->outputs, outputs, scale, zero, l,     \
                               least);                                                              \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    void conv_##NAME(const uint8_t *x, const float *scales, const int32_t *zeros,                   \
                     const int8_t *weights, const float *weight_scales,                             \
                     const int32_t *weight_sums, const float *bias, TYPE *y,                        \
                     const convolution *c, float least, int threads) {                              \
        layer l = {weights, weight_scales, weight_sums, bias};                                      \
        window w = window_of(c);                                                                    \
        long group_outputs = c->outputs / c->groups, group_inputs = c->channels / c->groups;        \
        long group_blocks = parts_of(group_outputs, WIDE), blocks = group_blocks * c->groups;       \
        long block_bytes = w.rows * w.runs * w.words * 4 * WIDE;                                    \
        long tall = c->images * blocks * c->rows / (4 * threads);                                   \
        tall = tall < 1 ? 1 : tall > PLACES ? PLACES : tall;                                        \
        long parts = parts_of(c->rows, tall);                                                       \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long item = 0; item < c->images * blocks * parts; item++) {                            \
            long image = item / parts / blocks, block = item / parts % blocks;                      \
            long first = item % parts * tall, last = first + tall;                                  \
            long group = block / group_blocks, inner = block % group_blocks * WIDE;                 \
            long output = group * group_outputs + inner, left = group_outputs - inner;              \
            const uint8_t *from = x + image * c->height * w.row_bytes + group * group_inputs;       \
            TYPE *to = y + image * c->rows * c->columns * c->outputs + output;                      \
            for (long row = first; row < last && row < c->rows; row++)                              \
                NAME##_row(from + row * c->row_stride * w.row_bytes,                                \
                           to + row * c->columns * c->outputs, c, w,                                \
                           block_of(l, block, block_bytes, output), left < WIDE ? left : WIDE,      \
                           scales[image], zeros[image], least);                                     \
        }                                                                                           \
    }

PRODUCTS(bytes_f32, float, write_f32)
PRODUCTS(bytes_bf16, uint16_t, write_bf16)

/* bytes [images, inputs]; y [images, outputs]. */
void int8_linear(const uint8_t *x, const float *scales, const int32_t *zeros, const int8_t *weights,
                  const float *weight_scales, const int32_t *weight_sums, const float *bias,
                  float *y, long images, long inputs, long outputs, float least, int threads) {
    layer l = {weights, weight_scales, weight_sums, bias};
    window w = {1, 1, parts_of(inputs, 4), 0, 0};
    long tiles = parts_of(images, PLACES);
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long block = 0; block < parts_of(outputs, WIDE); block++) {
        long output = block * WIDE, left = outputs - output;
        layer inner = block_of(l, block, w.words * 4 * WIDE, output);
        for (long i = 0; i < tiles; i++) {
            int32_t sums[PLACES][WIDE];
            long image = images * i / tiles, places = images * (i + 1) / tiles - image;
            tile_of(places, x + image * inputs, inputs, w, inner.weights, sums);
            for (long p = image; p < image + places; p++)
                bytes_f32_numbers(sums[p - image], y + p * outputs + output,
                                  left < WIDE ? left : WIDE, scales[p], zeros[p], inner, least);
        }
    }
}
#endif
