/* Bytes and what they stand for: layers that multiply bytes, and pictures as training and inference
 * want them. As in kernels.c, bits do not depend on the number of threads. */
#include "kernels.h"

enum { LANES = 16 };

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

void linear_int8(const float *x, const int8_t *weights, const float *scales, const float *bias,
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

/* What a layer that multiplies bytes needs before and after it. Before: every image as bytes, the
 * largest of its `numbers` at 255; what is negative is taken for 0. Without their sign, the bits of
 * numbers are in the order of the numbers. An image that holds a number that is not finite gets NaN
 * for a scale, and one whose numbers are all below 1e-36 is taken for zeros. After: the products
 * times their image's scale, plus the map's bias, and `least` where that is more. */
#define BYTES(NAME, TYPE, BITS, UNSIGNED, READ, WRITE)                                              \
    void to_bytes_##NAME(const TYPE *x, uint8_t *bytes, float *scales, long images, long numbers,   \
                         int threads) {                                                             \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long image = 0; image < images; image++) {                                             \
            const TYPE *from = x + image * numbers;                                                 \
            BITS most = 0;                                                                          \
            for (long i = 0; i < numbers; i++) {                                                    \
                BITS bits;                                                                          \
                memcpy(&bits, from + i, sizeof bits);                                               \
                bits &= UNSIGNED;                                                                   \
                most = bits > most ? bits : most;                                                   \
            }                                                                                       \
            TYPE largest;                                                                           \
            memcpy(&largest, &most, sizeof largest);                                                \
            float scale = READ(largest) / 255, inverse = 255 / READ(largest);                       \
            int is_finite = inverse > 0 && inverse <= FLT_MAX;                                      \
            scales[image] = is_finite ? scale : READ(largest) < 1 ? 0 : NAN;                        \
            for (long i = 0; i < numbers; i++) {                                                    \
                float value = READ(from[i]) * inverse + 0.5f;                                       \
                bytes[image * numbers + i] = (uint8_t)(int)(is_finite && value > 0 ? value : 0);    \
            }                                                                                       \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    void from_bytes_##NAME(TYPE *y, const float *scales, const float *bias, long images,            \
                           long pixels, long maps, float least, int threads) {                      \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long row = 0; row < images * pixels; row++) {                                          \
            float scale = scales[row / pixels];                                                     \
            TYPE *at = y + row * maps;                                                              \
            for (long i = 0; i < maps; i++)                                                         \
                at[i] = WRITE(at_least(READ(at[i]) * scale + bias[i], least));                      \
        }                                                                                           \
    }

BYTES(f32, float, uint32_t, 0x7fffffff, read_f32, write_f32)
BYTES(bf16, uint16_t, uint16_t, 0x7fff, read_bf16, write_bf16)

/* Training views of stored pictures, in one pass: crop, scale, mirror, colour, mean, divisor.
 *
 * pixels [images, stored, stored, 3]; place [images, 4]: x of a view's first column, step to the
 * next, y of its first row, step; shift [images, 3] is added to all its pixels; mean is a colour, or
 * a picture [side, side, 3]; views [images, side, side, 3]. Between pixels values are bilinear;
 * places lie in the picture or at most half a pixel outside, where the nearest pixel stands. */
typedef struct { long low, high; float share; } between;

INLINE between neighbours(float place, long stored) {
    float inside = fminf(fmaxf(place, 0), (float)(stored - 1));
    long low = (long)inside;
    return (between){low, low + 1 < stored ? low + 1 : low, inside - (float)low};
}

void views(const uint8_t *pixels, const float *place, const float *shift, const float *mean,
           const float *divisor, float *views, long images, long stored, long side,
           int has_mean_image, int threads) {
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long image = 0; image < images; image++) {
        const uint8_t *picture = pixels + image * stored * stored * 3;
        const float *at = place + image * 4, *colour = shift + image * 3;
        between columns[side];
        float line[stored * 3];
        for (long x = 0; x < side; x++) columns[x] = neighbours(at[0] + at[1] * (float)x, stored);
        for (long y = 0; y < side; y++) {
            between row = neighbours(at[2] + at[3] * (float)y, stored);
            const uint8_t *above = picture + row.low * stored * 3;
            const uint8_t *below = picture + row.high * stored * 3;
            for (long i = 0; i < stored * 3; i++) {
                float value = above[i];
                line[i] = value + row.share * ((float)below[i] - value);
            }
            float *view = views + (image * side + y) * side * 3;
            for (long x = 0; x < side; x++)
                for (int c = 0; c < 3; c++) {
                    float left = line[columns[x].low * 3 + c], right = line[columns[x].high * 3 + c];
                    float value = left + columns[x].share * (right - left);
                    float middle = has_mean_image ? mean[(y * side + x) * 3 + c] : mean[c];
                    view[x * 3 + c] = (value + colour[c] - middle) / divisor[c];
                }
        }
    }
}

/* Blocks of `side` x `side` pixels as channels, for a convolution whose stride is `side`:
 * x [images, height, width, channels] to y [images, rows, columns, side, side, channels], where the
 * first block begins `padding` pixels outside of the image and what is outside is zero. */
void to_blocks(const float *x, uint16_t *y, long images, long height, long width, long channels,
               long side, long padding, long rows, long columns, int threads) {
    long numbers = side * channels, whole = columns * numbers, before = padding * channels;
    long inside = whole - before < width * channels ? whole - before : width * channels;
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long line = 0; line < images * rows * side; line++) {
        long image = line / (rows * side), inner = line % side;
        long from = line / side % rows * side + inner - padding;
        uint16_t pixels[whole], *to = y + (line / side * columns * side + inner) * numbers;
        memset(pixels, 0, sizeof pixels);
        if (from >= 0 && from < height)
            for (long i = 0; i < inside; i++)
                pixels[before + i] = write_bf16(x[(image * height + from) * width * channels + i]);
        for (long column = 0; column < columns; column++)
            if (numbers == 12) memcpy(to + column * side * 12, pixels + column * 12, 24);
            else memcpy(to + column * side * numbers, pixels + column * numbers, numbers * 2);
    }
}
