/* bf16 gradients: their norm, and steps of optimizers. */
#include "kernels.h"

enum { PARTIAL_SUMS = 64 };

/* The sum of squares of each block of `block` values. */
void squares_bf16(const uint16_t *values, float *sums, long count, long block, int threads) {
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long b = 0; b < ceil_div(count, block); b++) {
        long i = b * block, last = smaller(i + block, count);
        float partial[PARTIAL_SUMS] = {0}, sum = 0;
        for (; i + PARTIAL_SUMS <= last; i += PARTIAL_SUMS)
            for (long j = 0; j < PARTIAL_SUMS; j++) {
                float value = read_bf16(values[i + j]);
                partial[j] = MULTIPLY_ADD(value, value, partial[j]);
            }
        for (; i < last; i++) sum += read_bf16(values[i]) * read_bf16(values[i]);
        for (long j = 0; j < PARTIAL_SUMS; j++) sum += partial[j];
        sums[b] = sum;
    }
}

/* Steps of optimizers of float32 weights with bf16 gradients, which also write the new weights in bf16. */

/* velocity = momentum * velocity + (gradient + decay * weight);  weight = weight - lr * velocity */
void sgd_bf16(float *restrict weights, float *restrict velocities, const uint16_t *restrict gradients,
              uint16_t *restrict copies, long count, float lr, float momentum, float decay, int threads) {
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long i = 0; i < count; i++) {
        float gradient = MULTIPLY_ADD(decay, weights[i], read_bf16(gradients[i]));
        float velocity = MULTIPLY_ADD(momentum, velocities[i], gradient);
        float weight = MULTIPLY_ADD(-lr, velocity, weights[i]);
        velocities[i] = velocity;
        weights[i] = weight;
        copies[i] = write_bf16(weight);
    }
}

/* Adam: the weight is first multiplied by `kept` (AdamW), and decay * weight is added to the gradient (Adam).
 *
 *     mean = mean + rest1 * (gradient - mean);  square = beta2 * square + rest2 * gradient ** 2
 *     weight = weight - lr * mean / (root(square) / root2 + eps)
 *
 * rest1 and rest2 are 1 - beta1 and 1 - beta2, lr is divided by 1 - beta1 ** step, and root2 is root(1 - beta2 ** step). */
void adam_bf16(float *restrict weights, float *restrict means, float *restrict squares,
               const uint16_t *restrict gradients, uint16_t *restrict copies, long count, float lr, float rest1,
               float beta2, float rest2, float eps, float root2, float kept, float decay, int threads) {
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long i = 0; i < count; i++) {
        float weight = weights[i] * kept, gradient = MULTIPLY_ADD(decay, weight, read_bf16(gradients[i]));
        float mean = MULTIPLY_ADD(rest1, gradient - means[i], means[i]);
        float square = MULTIPLY_ADD(rest2 * gradient, gradient, beta2 * squares[i]);
        weight -= lr * mean / (sqrtf(square) / root2 + eps);
        means[i] = mean;
        squares[i] = square;
        weights[i] = weight;
        copies[i] = write_bf16(weight);
    }
}
