/* Activations as uint8, with a scale and a zero point for each image. */
#pragma once

#include "kernels.h"

/* Images as uint8: x = (byte - zero_point) * scale, within half a scale. `zero_point` stands for 0;
 * where no x is negative it is 0 itself. An image with a value that is not finite gets NaN for its
 * scale, and one whose range is below about 1e-36 is taken as zeros.
 *
 * x [images, height, width, groups * channels], or where it is planar [images, groups * channels,
 * height, width]; bytes [images, groups, padded_h, padded_w, channels], so that a row of the kernel of
 * a group lies contiguous: the image begins at row and column `before`, and the padding around it is
 * `zero_point`. */
typedef struct {
    long images, height, width, groups, channels, before, padded_h, padded_w;
    long is_planar;
} padded_image;

void quantize_f32(const float *x, uint8_t *bytes, float *scales, int32_t *zero_points,
                  const padded_image *s, int threads);
void quantize_bf16(const uint16_t *x, uint8_t *bytes, float *scales, int32_t *zero_points,
                   const padded_image *s, int threads);
