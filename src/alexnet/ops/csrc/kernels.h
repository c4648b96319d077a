/* What all kernels share: number formats, and what is computed of one number. bf16 is the upper half
 * of a float32. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* A ReLU where `least` is 0, nothing where it is minus infinity. A NaN stays one, -0 becomes 0. */
INLINE float at_least(float x, float least) { return x <= least ? least : x; }

INLINE float read_f32(float x) { return x; }
INLINE float write_f32(float x) { return x; }

INLINE float read_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* Rounds to nearest, ties to even; a NaN stays one. */
INLINE uint16_t write_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (uint16_t)(x == x ? rounded : 0x7fc0u);
}
