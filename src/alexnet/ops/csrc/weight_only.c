/* Fully connected layers with int8 weights and float32 inputs, for small batches. */
#include "kernels.h"

/* y [batch, outputs] = x [batch, inputs] times int8 weights, plus a bias, for small batches:
 * weights are read once, and each BLOCK weights of an output share a scale. `inputs` is a multiple
 * of BLOCK. Memory is the limit, so there are as few instructions as possible between two reads
 * (the sums stay a vector until an output is done), and weights are prefetched. */
enum { BLOCK = 64 };

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
