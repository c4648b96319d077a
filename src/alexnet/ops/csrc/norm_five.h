/* Response norm of windows of five channels with beta = 3/4, as in the paper, by AVX-512: the channels of a pixel pass
 * through the registers, 16 at a time, and nothing between reading and writing them is stored.
 *
 * Values are float32 or, where their size is that of two bytes, bf16. */
#include "lanes.h"

/* LANES of `count` values at x[at], and zeros after them. */
INLINE __m512 read_lanes(const void *x, long at, long count, const size_t size) {
    __mmask16 lanes = first_lanes(count - at);
    if (size == sizeof(float)) return _mm512_maskz_loadu_ps(lanes, (const float *)x + at);
    __m256i halves = _mm256_maskz_loadu_epi16(lanes, (const uint16_t *)x + at);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* Rounds as `write_bf16`. */
INLINE void write_lanes(void *y, long at, long count, __m512 x, const size_t size) {
    __mmask16 lanes = first_lanes(count - at);
    if (size == sizeof(float)) {
        _mm512_mask_storeu_ps((float *)y + at, lanes, x);
        return;
    }
    __m512i own = _mm512_castps_si512(x), half = _mm512_set1_epi32(0x7fff);
    __m512i is_odd = _mm512_and_si512(_mm512_srli_epi32(own, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(own, half), is_odd), 16);
    __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    rounded = _mm512_mask_mov_epi32(rounded, is_nan, _mm512_set1_epi32(0x7fc0));
    _mm256_mask_storeu_epi16((uint16_t *)y + at, lanes, _mm512_cvtepi32_epi16(rounded));
}

/* As `clamp_min`, for a `min` of 0 or less: what follows the values stays 0. */
INLINE __m512 read_clamped(const void *x, long at, long count, float min, const size_t size) {
    __m512 values = read_lanes(x, at, count, size), least = _mm512_set1_ps(min);
    return _mm512_mask_mov_ps(values, _mm512_cmp_ps_mask(values, least, _CMP_LE_OQ), least);
}

INLINE __m512 newton_step(__m512 x, __m512 approx) {
    __m512 half = _mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(0.5f), x), approx);
    return _mm512_mul_ps(approx, _mm512_fnmadd_ps(half, approx, _mm512_set1_ps(1.5f)));
}

/* x ** -1/2 and x ** -3/4, both 0 where x is infinite. One step of Newton's method after the CPU's approximation of a
 * reciprocal root is nearly as exact as float32. */
typedef struct { __m512 half, three_quarters; } powers;

INLINE powers powers_of(__m512 x) {
    __m512 approx = _mm512_rsqrt14_ps(x);
    __mmask16 is_finite = _mm512_cmp_ps_mask(approx, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    __m512 root = _mm512_maskz_mov_ps(is_finite, newton_step(x, approx));
    __m512 next = newton_step(root, _mm512_rsqrt14_ps(root));
    __m512 three = _mm512_mul_ps(_mm512_mul_ps(root, root), next);
    return (powers){root, _mm512_maskz_mov_ps(is_finite, three)};
}

/* LANES values that begin at a place of two vectors beside each other. */
#define FROM(PLACE, FIRST, SECOND)                                                                  \
    _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(SECOND),                            \
                                            _mm512_castps_si512(FIRST), PLACE))

/* Of each value of `here` the sum with two on either side. */
INLINE __m512 sum_of_five(__m512 before, __m512 here, __m512 after) {
    __m512 left = _mm512_add_ps(FROM(14, before, here), FROM(15, before, here));
    __m512 right = _mm512_add_ps(FROM(1, here, after), FROM(2, here, after));
    return _mm512_add_ps(_mm512_add_ps(left, here), right);
}

/* y = x' * (k + alpha * sum of squares of x') ** -3/4, where x' = max(x, min). */
INLINE void norm_five(const void *x, void *y, long pixels, long channels, float alpha, float k,
                      float min, const size_t size, const size_t size_out) {
    __m512 factor = _mm512_set1_ps(alpha), constant = _mm512_set1_ps(k);
    for (long first = 0; first < pixels * channels; first += channels) {
        const char *in = (const char *)x + (size_t)first * size;
        char *out = (char *)y + (size_t)first * size_out;
        __m512 next = read_clamped(in, 0, channels, min, size), after = _mm512_mul_ps(next, next);
        __m512 here = _mm512_setzero_ps();
        for (long i = 0; i < channels; i += LANES) {
            __m512 value = next, before = here;
            here = after;
            next = read_clamped(in, i + LANES, channels, min, size);
            after = _mm512_mul_ps(next, next);
            __m512 sum = sum_of_five(before, here, after);
            powers scale = powers_of(_mm512_fmadd_ps(factor, sum, constant));
            write_lanes(out, i, channels, _mm512_mul_ps(value, scale.three_quarters), size_out);
        }
    }
}

/* Even and odd channels beside each other: bf16 becomes float32 by a shift or a mask, and a window of five is two pairs
 * and one value. `bits` are max(x, 0) of 32 channels, the others squares. */
typedef struct { __m512i bits; __m512 even, odd, pair; } squares;

INLINE __m512 even_of(__m512i bits) { return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)); }
INLINE __m512i odd_mask(void) { return _mm512_set1_epi32((int)0xffff0000u); }
INLINE __m512 odd_of(__m512i bits) { return _mm512_castsi512_ps(_mm512_and_si512(bits, odd_mask())); }

INLINE squares squares_of(const uint16_t *x, long at, long count) {
    __m512i read = _mm512_maskz_loadu_epi16(first_halves(count - at), x + at);
    __m512i from_minus_zero = _mm512_sub_epi16(read, _mm512_set1_epi16((short)0x8000));
    __mmask32 is_on = _mm512_cmpgt_epu16_mask(from_minus_zero, _mm512_set1_epi16(0x7f80)); /* or NaN */
    squares s = {.bits = _mm512_maskz_mov_epi16(is_on, read)};
    s.even = _mm512_mul_ps(even_of(s.bits), even_of(s.bits));
    s.odd = _mm512_mul_ps(odd_of(s.bits), odd_of(s.bits));
    s.pair = _mm512_add_ps(s.even, s.odd);
    return s;
}

/* x * base ** -3/4 to bf16, whose bits are the upper ones. NaN has no lower bits that could carry over. */
INLINE __m512i scaled(__m512 x, __m512 base) {
    __m512 root = _mm512_rsqrt14_ps(base);
    __mmask16 is_finite = _mm512_cmp_ps_mask(root, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    __m512 power = _mm512_mul_ps(_mm512_mul_ps(root, root), _mm512_rsqrt14_ps(root));
    __m512i own = _mm512_castps_si512(_mm512_mul_ps(x, _mm512_maskz_mov_ps(is_finite, power)));
    __m512i is_odd = _mm512_and_si512(_mm512_srli_epi32(own, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_add_epi32(own, _mm512_set1_epi32(0x7fff)), is_odd);
}

/* For inference: y = x' * (k + alpha * sum of squares of x') ** -3/4, where x' = max(x, 0), of bf16, by the CPU's
 * approximations of reciprocal roots as they are: that is an error of at most 2.5 * 2 ** -14, and rounding to bf16 has up
 * to 2 ** -8. */
INLINE void relu_norm_five(const uint16_t *x, uint16_t *y, long pixels, long channels, float alpha,
                           float k) {
    __m512 factor = _mm512_set1_ps(alpha), constant = _mm512_set1_ps(k), zero = _mm512_setzero_ps();
    for (long p = 0; p < pixels; p++, x += channels, y += channels) {
        squares before, here = {_mm512_setzero_si512(), zero, zero, zero};
        squares after = squares_of(x, 0, channels);
        for (long i = 0; i < channels; i += 2 * LANES) {
            before = here, here = after, after = squares_of(x, i + 2 * LANES, channels);
            __m512 even = _mm512_add_ps(FROM(15, before.pair, here.pair), here.pair);
            __m512 odd = _mm512_add_ps(here.pair, FROM(1, here.pair, after.pair));
            even = _mm512_add_ps(even, FROM(1, here.even, after.even));
            odd = _mm512_add_ps(odd, FROM(15, before.odd, here.odd));
            __m512i low = scaled(even_of(here.bits), _mm512_fmadd_ps(factor, even, constant));
            __m512i high = scaled(odd_of(here.bits), _mm512_fmadd_ps(factor, odd, constant));
            __m512i both = _mm512_or_si512(_mm512_srli_epi32(low, 16), _mm512_and_si512(high, odd_mask()));
            _mm512_mask_storeu_epi16(y + i, first_halves(channels - i), both);
        }
    }
}

/* The gradient w.r.t. x, where `grad` is that w.r.t. the norm of x, or of max(x, 0) where `has_relu`. A sum over terms
 * needs those of the next channels, so a gradient is written one step after its term is computed. */
INLINE void norm_five_backward(const void *x, const void *grad, void *grad_in, long pixels,
                               long channels, float alpha, float k, const int has_relu,
                               const size_t size, const size_t size_grad) {
    /* Without an offset the powers of what follows the channels, 0, would be infinite, and its terms NaN. */
    __m512 factor = _mm512_set1_ps(alpha), constant = _mm512_set1_ps(k == 0 ? FLT_MIN : k);
    __m512 slope = _mm512_set1_ps(-1.5f * alpha), zero = _mm512_setzero_ps();
    float min = has_relu ? 0 : -INFINITY;
    for (long first = 0; first < pixels * channels; first += channels) {
        const char *in = (const char *)x + (size_t)first * size;
        const char *in_grad = (const char *)grad + (size_t)first * size_grad;
        char *out = (char *)grad_in + (size_t)first * size;
        __m512 next = read_clamped(in, 0, channels, min, size), after = _mm512_mul_ps(next, next);
        __m512 value = zero, here = zero, direct = zero, term = zero, next_term = zero;
        for (long i = 0; i < channels + LANES; i += LANES) {
            __m512 last_value = value, last_direct = direct, before = here, last_term = term;
            value = next, here = after, term = next_term, next_term = zero;
            if (i < channels) {
                next = read_clamped(in, i + LANES, channels, min, size);
                after = _mm512_mul_ps(next, next);
                __m512 sum = sum_of_five(before, here, after);
                powers scale = powers_of(_mm512_fmadd_ps(factor, sum, constant));
                __m512 reciprocal = _mm512_mul_ps(scale.half, scale.half);
                direct = read_lanes(in_grad, i, channels, size_grad);
                direct = _mm512_mul_ps(direct, scale.three_quarters);
                next_term = _mm512_mul_ps(_mm512_mul_ps(direct, value), reciprocal);
            }
            if (i == 0) continue;
            __m512 indirect = _mm512_mul_ps(last_value, sum_of_five(last_term, term, next_term));
            __m512 result = _mm512_fmadd_ps(slope, indirect, last_direct);
            __mmask16 is_on = _mm512_cmp_ps_mask(last_value, zero, _CMP_NLE_UQ);
            if (has_relu) result = _mm512_maskz_mov_ps(is_on, result);
            write_lanes(out, i - LANES, channels, result, size);
        }
    }
}
