/* What all kernels share: reading and writing float32 and bf16, and the clamp. bf16 is the upper half of a float32.
 *
 * Every kernel computes in float32 and divides its work into parts that do not depend on each
 * other, so the bits of a result do not depend on the number of threads. */
#pragma once

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* A ReLU where `min` is 0, the identity where it is minus infinity. NaN stays NaN, -0 becomes 0. */
INLINE float clamp_min(float x, float min) { return x <= min ? min : x; }

/* a * b + c, rounded once where the CPU can. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define MULTIPLY_ADD fmaf
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

/* How far ahead weights are fetched that are read once. */
enum { PREFETCH_BYTES = 4096 };

INLINE long smaller(long a, long b) { return a < b ? a : b; }
INLINE long larger(long a, long b) { return a > b ? a : b; }
INLINE long ceil_div(long a, long b) { return (a + b - 1) / b; }

INLINE float read_f32(float x) { return x; }
INLINE float write_f32(float x) { return x; }

INLINE float read_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* Rounds to nearest, ties to even; NaN stays NaN. */
INLINE uint16_t write_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (uint16_t)(x == x ? rounded : 0x7fc0u);
}
