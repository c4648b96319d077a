#include "kernels.h"

#include <immintrin.h>

/* An RGB image resized to a square by the Lanczos filter, with the bits of Pillow's `resize`.
 *
 * As in Pillow, the weights are whole numbers of 22 bits after the point, each axis is resized in a pass of its own, and
 * a pass ends with whole numbers of 0 to 255. There is no instruction that multiplies bytes by so long numbers and adds
 * them up, so a weight is cut into digits that such instructions take: three signed bytes where the CPU has VNNI, else
 * two words. The sums of the digits' products make the exact sum. A pixel has four bytes, of which the last is not used;
 * a vector has the bytes of TAPS pixels side by side for each of eight sums. There is no OpenMP in it: images are decoded
 * by threads of their own. */
enum { LOBES = 3, POINT = 22, CHANNELS = 4, TAPS = 4, BYTES = 32, LANES = 8, PIXELS = 4 };

#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define DOT_BYTES _mm256_dpbusd_epi32
#elif defined(__AVXVNNI__)
#define DOT_BYTES _mm256_dpbusd_avx_epi32
#endif

#ifdef DOT_BYTES
enum { DIGITS = 3, DIGIT_BITS = 8, VECTORS = DIGITS };
#else
enum { DIGITS = 2, DIGIT_BITS = 11, VECTORS = 2 * DIGITS };
#endif

/* Eight sums, by the digits of the weights. */
typedef struct { __m256i of_digit[DIGITS]; } sums;

/* What each resized pixel of an axis is the sum of: `count` pixels from `first` on, times weights. */
typedef struct { long first, count; } span;
typedef struct {
    span *spans;      /* [side] */
    int32_t *weights; /* [side, taps] */
    long taps;        /* a multiple of TAPS; weights after a span are 0 */
    long used;        /* of these, a multiple of TAPS that is enough for the longest span */
} axis;

INLINE long round_up(long n, long factor) { return (n + factor - 1) / factor * factor; }

static double sinc(double x) {
    x *= 3.14159265358979323846;
    return x == 0 ? 1 : sin(x) / x;
}

static double lanczos(double x) { return -LOBES <= x && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0; }

/* Fill the weights of one resized pixel whose center is at `center` of the axis. */
static void fill_weights(int32_t *weights, span at, double center, double shrinking, double *values) {
    double sum = 0;
    for (long i = 0; i < at.count; i++) {
        values[i] = lanczos(((double)(i + at.first) - center + 0.5) * (1 / shrinking));
        sum += values[i];
    }
    for (long i = 0; i < at.count; i++) {
        double weight = (sum != 0 ? values[i] / sum : values[i]) * (1 << POINT);
        weights[i] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
}

/* The axis of `length` pixels whose part from `start` to `end` is resized to `side`; 0 without memory. */
static int make_axis(axis *result, long length, float start, float end, long side) {
    double scale = (double)(end - start) / (double)side, shrinking = scale < 1 ? 1 : scale;
    double support = LOBES * shrinking;
    long most = (long)ceil(support) * 2 + 1;
    size_t count = (size_t)round_up(side, PIXELS); /* those after `side` are of no pixels */
    *result = (axis){calloc(count, sizeof(span)), NULL, round_up(most, TAPS), 0};
    result->weights = calloc(count * (size_t)result->taps, sizeof(int32_t));
    double *values = malloc((size_t)most * sizeof(double));
    int is_made = result->spans && result->weights && values;
    for (long i = 0; is_made && i < side; i++) {
        double center = start + ((double)i + 0.5) * scale;
        long first = larger((long)(center - support + 0.5), 0);
        long after = smaller((long)(center + support + 0.5), length);
        result->spans[i] = (span){first, after - first};
        result->used = larger(result->used, round_up(after - first, TAPS));
        fill_weights(result->weights + i * result->taps, result->spans[i], center, shrinking, values);
    }
    free(values);
    return is_made;
}

static void free_axis(axis *a) {
    free(a->spans);
    free(a->weights);
}

/* The digits of TAPS weights, as they are multiplied: for each vector the part of one sum. */
static void cut_weights(const int32_t *weights, int32_t *vectors) {
#ifdef DOT_BYTES
    int8_t digits[VECTORS][TAPS];
    for (int i = 0; i < TAPS; i++) {
        int8_t low = (int8_t)(weights[i] & 0xff);
        int32_t rest = (weights[i] - low) / 256;
        int8_t middle = (int8_t)(rest & 0xff);
        digits[0][i] = low, digits[1][i] = middle, digits[2][i] = (int8_t)((rest - middle) / 256);
    }
#else
    int16_t digits[VECTORS][TAPS / 2]; /* weights 0 and 2, then 1 and 3 */
    for (int i = 0; i < TAPS; i++) {
        int16_t low = (int16_t)(weights[i] & ((1 << DIGIT_BITS) - 1));
        digits[i % 2][i / 2] = low, digits[2 + i % 2][i / 2] = (int16_t)((weights[i] - low) / (1 << DIGIT_BITS));
    }
#endif
    memcpy(vectors, digits, sizeof digits);
}

INLINE sums no_sums(void) {
    sums s;
    for (int d = 0; d < DIGITS; d++) s.of_digit[d] = _mm256_setzero_si256();
    return s;
}

/* Add the products of TAPS bytes for each sum. */
INLINE void add_products(sums *s, __m256i bytes, const __m256i *weights) {
#ifdef DOT_BYTES
    for (int d = 0; d < DIGITS; d++) s->of_digit[d] = DOT_BYTES(s->of_digit[d], bytes, weights[d]);
#else
    __m256i even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xff)), odd = _mm256_srli_epi16(bytes, 8);
    for (int d = 0; d < DIGITS; d++) {
        __m256i of_even = _mm256_madd_epi16(even, weights[2 * d]), of_odd = _mm256_madd_epi16(odd, weights[2 * d + 1]);
        s->of_digit[d] = _mm256_add_epi32(s->of_digit[d], _mm256_add_epi32(of_even, of_odd));
    }
#endif
}

/* The sums, rounded. */
INLINE __m256i rounded(const sums *s) {
    __m256i total = _mm256_set1_epi32(1 << (POINT - 1));
    for (int d = 0; d < DIGITS; d++) total = _mm256_add_epi32(total, _mm256_slli_epi32(s->of_digit[d], d * DIGIT_BITS));
    return _mm256_srai_epi32(total, POINT);
}

/* One row to `side` pixels, four at a time; `out` has room for whole fours. Of each of two pixels, a vector has the bytes
 * of TAPS pixels by channel. Reads up to `used` pixels after the row, and multiplies them by 0. */
static void resize_row(const uint8_t *row, const axis *a, const __m256i *weights, long side, uint8_t *out) {
    const __m128i by_channel_of_one = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m256i by_channel = _mm256_broadcastsi128_si256(by_channel_of_one);
    for (long x = 0; x < side; x += PIXELS) {
        __m256i words[2];
        for (int pair = 0; pair < 2; pair++) {
            const uint8_t *first = row + a->spans[x + 2 * pair].first * CHANNELS;
            const uint8_t *second = row + a->spans[x + 2 * pair + 1].first * CHANNELS;
            sums s = no_sums();
            for (long i = 0; i < a->used * CHANNELS; i += TAPS * CHANNELS, weights += VECTORS) {
                __m256i pixels = _mm256_loadu2_m128i((const __m128i *)(second + i), (const __m128i *)(first + i));
                add_products(&s, _mm256_shuffle_epi8(pixels, by_channel), weights);
            }
            words[pair] = rounded(&s);
        }
        __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(words[0], words[1]), 0xd8);
        __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
        _mm_storeu_si128((__m128i *)(out + x * CHANNELS), bytes);
    }
}

/* The weights of a row, in the order in which `resize_row` reads them. */
static void cut_row_weights(const axis *a, long side, int32_t *cut) {
    for (long x = 0; x < round_up(side, PIXELS); x += 2)
        for (long i = 0; i < a->used; i += TAPS) {
            int32_t vectors[2][VECTORS];
            for (int p = 0; p < 2; p++) cut_weights(a->weights + (x + p) * a->taps + i, vectors[p]);
            for (int v = 0; v < VECTORS; v++)
                for (int lane = 0; lane < LANES; lane++) *cut++ = vectors[lane / CHANNELS][v];
        }
}

/* Rows [from, until) of an image of `width` pixels, each to `side` pixels; 0 without memory. `out` has room for PIXELS
 * more. */
static int resize_rows(const uint8_t *image, long width, long from, long until, const axis *a, long side, uint8_t *out) {
    size_t num_vectors = (size_t)(round_up(side, PIXELS) / 2 * (a->used / TAPS) * VECTORS);
    __m256i *weights = _mm_malloc(num_vectors * sizeof(__m256i), sizeof(__m256i));
    uint8_t *row = calloc((size_t)(width + a->used), CHANNELS);
    int has_memory = weights && row;
    if (has_memory) cut_row_weights(a, side, (int32_t *)weights);
    for (long y = from; has_memory && y < until; y++) {
        memcpy(row, image + y * width * CHANNELS, (size_t)(width * CHANNELS));
        resize_row(row, a, weights, side, out + (y - from) * side * CHANNELS);
    }
    free(row);
    _mm_free(weights);
    return has_memory;
}

/* The bytes of four rows, those of a column side by side: in vector v those of columns 4 v .. 4 v + 3, and of 16 more. */
INLINE void interleave(const uint8_t *const *rows, long x, __m256i *columns) {
    __m256i r[TAPS];
    for (int i = 0; i < TAPS; i++) r[i] = _mm256_loadu_si256((const __m256i *)(rows[i] + x));
    __m256i low[2] = {_mm256_unpacklo_epi8(r[0], r[1]), _mm256_unpacklo_epi8(r[2], r[3])};
    __m256i high[2] = {_mm256_unpackhi_epi8(r[0], r[1]), _mm256_unpackhi_epi8(r[2], r[3])};
    columns[0] = _mm256_unpacklo_epi16(low[0], low[1]), columns[1] = _mm256_unpackhi_epi16(low[0], low[1]);
    columns[2] = _mm256_unpacklo_epi16(high[0], high[1]), columns[3] = _mm256_unpackhi_epi16(high[0], high[1]);
}

/* 32 bytes of a resized row, from byte x on. */
INLINE void resize_bytes(const uint8_t *top, long stride, long x, span at, const __m256i *weights, uint8_t *out) {
    sums s[TAPS] = {no_sums(), no_sums(), no_sums(), no_sums()};
    for (long i = 0; i < at.count; i += TAPS, weights += VECTORS) {
        const uint8_t *rows[TAPS];
        __m256i columns[TAPS];
        for (int t = 0; t < TAPS; t++) rows[t] = top + smaller(i + t, at.count - 1) * stride;
        interleave(rows, x, columns);
        for (int c = 0; c < TAPS; c++) add_products(&s[c], columns[c], weights);
    }
    __m256i low = _mm256_packs_epi32(rounded(&s[0]), rounded(&s[1]));
    __m256i high = _mm256_packs_epi32(rounded(&s[2]), rounded(&s[3]));
    _mm256_storeu_si256((__m256i *)(out + x), _mm256_packus_epi16(low, high));
}

/* Columns of an image that begins with row `from`, `width` pixels wide, to `side` rows; 0 without memory. */
static int resize_columns(const uint8_t *image, long width, long from, const axis *a, long side, uint8_t *out) {
    long stride = width * CHANNELS;
    __m256i *weights = _mm_malloc((size_t)(a->used / TAPS * VECTORS) * sizeof(__m256i), sizeof(__m256i));
    int has_memory = weights != NULL;
    for (long y = 0; has_memory && y < side; y++) {
        for (long i = 0; i < a->used; i += TAPS) {
            int32_t vectors[VECTORS];
            cut_weights(a->weights + y * a->taps + i, vectors);
            for (int v = 0; v < VECTORS; v++) weights[i / TAPS * VECTORS + v] = _mm256_set1_epi32(vectors[v]);
        }
        const uint8_t *top = image + (a->spans[y].first - from) * stride;
        for (long x = 0; x < stride; x += BYTES)
            resize_bytes(top, stride, smaller(x, stride - BYTES), a->spans[y], weights, out + y * stride);
    }
    _mm_free(weights);
    return has_memory;
}

/* An image of `width` pixels in a row to square [side, side, 4], by the weights of its two axes; 0 without memory. */
static int resize_box(const uint8_t *image, long width, const axis *rows, const axis *columns, long side,
                      int columns_first, uint8_t *square) {
    span last = columns->spans[side - 1];
    long from = columns_first ? 0 : columns->spans[0].first, until = last.first + last.count;
    uint8_t *between = malloc((size_t)(((columns_first ? width : until - from) * side + PIXELS) * CHANNELS));
    int done = between != NULL;
    if (done && columns_first) {
        done = resize_columns(image, width, 0, columns, side, between) &&
               resize_rows(between, width, 0, side, rows, side, square);
    } else if (done) {
        done = resize_rows(image, width, from, until, rows, side, between) &&
               resize_columns(between, side, from, columns, side, square);
    }
    free(between);
    return done;
}

/* image [height, width, 4], of which the box (left, upper, right, lower) is resized to out [side, side, 3]; width and
 * side are at least 8. The order of the passes is the caller's. Returns whether there was enough memory. */
int resize_lanczos(const uint8_t *image, long height, long width, const float *box, long side, int columns_first,
                   uint8_t *out) {
    axis rows = {0}, columns = {0};
    uint8_t *square = malloc((size_t)((side * side + PIXELS) * CHANNELS));
    int done = square && make_axis(&rows, width, box[0], box[2], side) &&
               make_axis(&columns, height, box[1], box[3], side) &&
               resize_box(image, width, &rows, &columns, side, columns_first, square);
    for (long i = 0; done && i < side * side; i++)
        for (int c = 0; c < 3; c++) out[i * 3 + c] = square[i * CHANNELS + c];
    free(square);
    free_axis(&rows);
    free_axis(&columns);
    return done;
}
