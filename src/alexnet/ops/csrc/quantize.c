/* Activations as uint8, with a scale and a zero point for each image. */
#include "kernels.h"

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
