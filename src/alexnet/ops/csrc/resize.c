#include "kernels.h"

#include <immintrin.h>

/* An RGB image resized to a square by the Lanczos filter, with the bits of Pillow's `resize`.
 *
 * As in Pillow, the weights are whole numbers of 22 bits after the point, each axis is resized in a pass of its own, and
 * a pass ends with whole numbers of 0 to 255. A pixel has four bytes, so that two pixels are a vector of eight sums; the
 * last byte of each is not used. The instructions are AVX2's. There is no OpenMP in it: images are decoded by threads of
 * their own. */
enum { LOBES = 3, POINT = 22, CHANNELS = 4, TAPS = 2, BYTES = 16, PIXELS = BYTES / CHANNELS };

/* What each resized pixel of an axis is the sum of: `count` pixels from `first` on, times weights. */
typedef struct { long first, count; } span;
typedef struct {
    span *spans;      /* [side] */
    int32_t *weights; /* [side, taps] */
    long taps;        /* weights after a span are 0 */
    long used;        /* of these, a multiple of TAPS: as many as the longest span has, or one more */
} axis;

INLINE long larger(long a, long b) { return a > b ? a : b; }

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
    *result = (axis){malloc((size_t)side * sizeof(span)), NULL, (most + TAPS - 1) / TAPS * TAPS, 0};
    result->weights = calloc((size_t)(side * result->taps), sizeof(int32_t));
    double *values = malloc((size_t)most * sizeof(double));
    int is_made = result->spans && result->weights && values;
    for (long i = 0; is_made && i < side; i++) {
        double center = start + ((double)i + 0.5) * scale;
        long first = larger((long)(center - support + 0.5), 0);
        long after = smaller((long)(center + support + 0.5), length);
        result->spans[i] = (span){first, after - first};
        result->used = larger(result->used, (after - first + TAPS - 1) / TAPS * TAPS);
        fill_weights(result->weights + i * result->taps, result->spans[i], center, shrinking, values);
    }
    free(values);
    return is_made;
}

static void free_axis(axis *a) {
    free(a->spans);
    free(a->weights);
}

INLINE __m256i times(const uint8_t *values, __m256i weights) {
    return _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)values)), weights);
}

INLINE __m256i rounded(__m256i sums) {
    return _mm256_srai_epi32(_mm256_add_epi32(sums, _mm256_set1_epi32(1 << (POINT - 1))), POINT);
}

/* Sixteen rounded sums, the first eight in `low`, as bytes; what is below 0 becomes 0, what is above 255 becomes 255. */
INLINE void write_bytes(__m256i low, __m256i high, uint8_t *to) {
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)to, bytes);
}

/* The low and the high half added. */
INLINE __m128i fold(__m256i sums) {
    return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

/* One row to `side` pixels, of which the last four are computed together, whether or not others were before.
 * `expanded` has each weight CHANNELS times. Reads up to `used` pixels after the row, and multiplies them by 0. */
static void resize_row(const uint8_t *row, const axis *a, const int32_t *expanded, long side, uint8_t *out) {
    long pitch = a->taps * CHANNELS;
    for (long group = 0; group < side; group += PIXELS) {
        long first = smaller(group, side - PIXELS);
        const int32_t *weights = expanded + first * pitch;
        const uint8_t *from[PIXELS];
        __m256i sums[PIXELS];
        for (int p = 0; p < PIXELS; p++) {
            from[p] = row + a->spans[first + p].first * CHANNELS;
            sums[p] = _mm256_setzero_si256();
        }
        for (long i = 0; i < a->used * CHANNELS; i += TAPS * CHANNELS)
            for (int p = 0; p < PIXELS; p++) {
                __m256i factors = _mm256_loadu_si256((const __m256i *)(weights + p * pitch + i));
                sums[p] = _mm256_add_epi32(sums[p], times(from[p] + i, factors));
            }
        write_bytes(rounded(_mm256_set_m128i(fold(sums[1]), fold(sums[0]))),
                    rounded(_mm256_set_m128i(fold(sums[3]), fold(sums[2]))), out + first * CHANNELS);
    }
}

/* Rows [from, until) of an image of `width` pixels, each to `side` pixels; 0 without memory. */
static int resize_rows(const uint8_t *image, long width, long from, long until, const axis *a, long side, uint8_t *out) {
    long count = side * a->taps * CHANNELS;
    int32_t *expanded = malloc((size_t)count * sizeof(int32_t));
    uint8_t *row = calloc((size_t)(width + a->used), CHANNELS);
    int has_memory = expanded && row;
    for (long i = 0; has_memory && i < count; i++) expanded[i] = a->weights[i / CHANNELS];
    for (long y = from; has_memory && y < until; y++) {
        memcpy(row, image + y * width * CHANNELS, (size_t)(width * CHANNELS));
        resize_row(row, a, expanded, side, out + (y - from) * side * CHANNELS);
    }
    free(row);
    free(expanded);
    return has_memory;
}

/* Columns of an image that begins with row `from`, `width` pixels wide, to `side` rows. */
static void resize_columns(const uint8_t *image, long width, long from, const axis *a, long side, uint8_t *out) {
    long stride = width * CHANNELS;
    for (long y = 0; y < side; y++) {
        const uint8_t *top = image + (a->spans[y].first - from) * stride;
        const int32_t *weights = a->weights + y * a->taps;
        for (long group = 0; group < stride; group += BYTES) {
            long x = smaller(group, stride - BYTES);
            __m256i low = _mm256_setzero_si256(), high = low;
            for (long i = 0; i < a->spans[y].count; i++) {
                __m256i weight = _mm256_set1_epi32(weights[i]);
                low = _mm256_add_epi32(low, times(top + i * stride + x, weight));
                high = _mm256_add_epi32(high, times(top + i * stride + x + BYTES / 2, weight));
            }
            write_bytes(rounded(low), rounded(high), out + y * stride + x);
        }
    }
}

/* An image of `width` pixels in a row to square [side, side, 4], by the weights of its two axes; 0 without memory. */
static int resize_box(const uint8_t *image, long width, const axis *rows, const axis *columns, long side,
                      int columns_first, uint8_t *square) {
    span last = columns->spans[side - 1];
    long from = columns_first ? 0 : columns->spans[0].first, until = last.first + last.count;
    uint8_t *between = malloc((size_t)((columns_first ? width : until - from) * side * CHANNELS));
    int done = between != NULL;
    if (done && columns_first) {
        resize_columns(image, width, 0, columns, side, between);
        done = resize_rows(between, width, 0, side, rows, side, square);
    } else if (done) {
        done = resize_rows(image, width, from, until, rows, side, between);
        if (done) resize_columns(between, side, from, columns, side, square);
    }
    free(between);
    return done;
}

/* image [height, width, 4], of which the box (left, upper, right, lower) is resized to out [side, side, 3]; width and side
 * are at least 4. The order of the passes is the caller's. Returns whether there was enough memory. */
int resize_lanczos(const uint8_t *image, long height, long width, const float *box, long side, int columns_first,
                   uint8_t *out) {
    axis rows = {0}, columns = {0};
    uint8_t *square = malloc((size_t)(side * side * CHANNELS));
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
