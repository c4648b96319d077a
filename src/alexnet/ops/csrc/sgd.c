#include "kernels.h"

/* One step of SGD of float32 weights with bf16 gradients, and the new weights in bf16:
 *
 *     velocity = momentum * velocity + (gradient + decay * weight);  weight = weight - lr * velocity */
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
