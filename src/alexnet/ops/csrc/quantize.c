#include "quantize.h"

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

/* About as many bytes are rounded before their groups part. */
enum { SOME_BYTES = 4096 };

/* From [channels, count] to [count, channels]. */
INLINE void interleave(const uint8_t *restrict planes, uint8_t *restrict pixels, long count,
                       const long channels) {
    for (long i = 0; i < count; i++)
        for (long c = 0; c < channels; c++) pixels[i * channels + c] = planes[c * count + i];
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
    /* A row of a planar image, of one group. */                                                    \
    INLINE void NAME##_planar_row(const TYPE *image, uint8_t *to, const padded_image *s, long row,  \
                                  float scale, int32_t zero_point) {                                \
        long some = larger(1, SOME_BYTES / s->channels);                                            \
        uint8_t planes[some * s->channels];                                                         \
        for (long first = 0; first < s->width; first += some) {                                     \
            long count = smaller(s->width - first, some);                                           \
            const TYPE *from = image + row * s->width + first;                                      \
            for (long c = 0; c < s->channels; c++, from += s->height * s->width)                    \
                NAME##_row(from, planes + c * count, count, scale, zero_point);                     \
            if (s->channels == 3) interleave(planes, to + first * 3, count, 3);                     \
            else interleave(planes, to + first * s->channels, count, s->channels);                  \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    /* A row of the padded image, of every group. */                                                \
    INLINE void NAME##_padded_row(const TYPE *image, uint8_t *bytes, const padded_image *s,         \
                                  long row, float scale, int32_t zero_point) {                      \
        long all = s->groups * s->channels, line = s->padded_w * s->channels;                       \
        long inside = row - s->before, is_inside = 0 <= inside && inside < s->height;               \
        for (long group = 0; group < s->groups; group++)                                            \
            if (!is_inside || s->width < s->padded_w)                                               \
                memset(bytes + (group * s->padded_h + row) * line, zero_point, line);               \
        if (!is_inside) return;                                                                     \
        if (s->is_planar) {                                                                         \
            for (long group = 0; group < s->groups; group++)                                        \
                NAME##_planar_row(image + group * s->channels * s->height * s->width,               \
                                  bytes + (group * s->padded_h + row) * line                        \
                                      + s->before * s->channels,                                    \
                                  s, inside, scale, zero_point);                                    \
            return;                                                                                 \
        }                                                                                           \
        const TYPE *from = image + inside * s->width * all;                                         \
        uint8_t *to = bytes + row * line + s->before * s->channels;                                 \
        if (s->groups == 1) {                                                                       \
            NAME##_row(from, to, s->width * all, scale, zero_point);                                \
            return;                                                                                 \
        }                                                                                           \
        long some = larger(1, SOME_BYTES / all);                                                    \
        uint8_t pixels[some * all];                                                                 \
        for (long first = 0; first < s->width; first += some) {                                     \
            long count = smaller(s->width - first, some);                                           \
            NAME##_row(from + first * all, pixels, count * all, scale, zero_point);                 \
            for (long i = 0; i < count * s->groups; i++)                                            \
                memcpy(to + i % s->groups * s->padded_h * line                                      \
                          + (first + i / s->groups) * s->channels,                                  \
                       pixels + i * s->channels, s->channels);                                      \
        }                                                                                           \
    }                                                                                               \
                                                                                                    \
    void NAME(const TYPE *x, uint8_t *bytes, float *scales, int32_t *zero_points,                   \
              const padded_image *s, int threads) {                                                 \
        long count = s->height * s->width * s->groups * s->channels, rows = s->padded_h;            \
        long padded_count = s->groups * rows * s->padded_w * s->channels;                           \
        /* fewer images than threads each by all threads, others each by one */                     \
        long shared = s->images < threads ? s->images : 0;                                          \
        for (long image = 0; image < shared; image++)                                               \
            NAME##_params(x + image * count, count, scales + image, zero_points + image,            \
                          threads);                                                                 \
        _Pragma("omp parallel for num_threads(threads) schedule(static)")                           \
        for (long i = 0; i < shared * rows; i++) {                                                  \
            long image = i / rows;                                                                  \
            NAME##_padded_row(x + image * count, bytes + image * padded_count, s, i % rows,         \
                              scales[image], zero_points[image]);                                   \
        }                                                                                           \
        _Pragma("omp parallel for num_threads(threads) schedule(static) if (shared < s->images)")   \
        for (long image = shared; image < s->images; image++) {                                     \
            min_max found = NAME##_min_max(x + image * count, count);                               \
            affine_params(&found, 1, scales + image, zero_points + image);                          \
            for (long row = 0; row < rows; row++)                                                   \
                NAME##_padded_row(x + image * count, bytes + image * padded_count, s, row,          \
                                  scales[image], zero_points[image]);                               \
        }                                                                                           \
    }

QUANTIZE(quantize_f32, float, int32_t, 0x7fffffff, read_f32)
QUANTIZE(quantize_bf16, uint16_t, int16_t, 0x7fff, read_bf16)
