#include "kernels.h"

/* Crops of stored images, resized and normalized, in one pass.
 *
 * pixels [images, stored, stored, 3]; the crop of `size` pixels begins at (top, left) and is mirrored if `is_mirrored`.
 * Both axes are resized by one filter: pixel i of the result is the sum of `taps` pixels of the crop from first[i] on,
 * times weights [side, taps]; first does not fall, and pixels after the crop are left out. mean [side, side, 3]; std [3];
 * crops [images, side, side, 3]. Sides of 4,096 pixels, the most that an image has, need 150 KB of the stack. */

/* The row from `pixel` on, `side` pixels of floats; `step` is that from pixel to pixel, in bytes. */
INLINE void resize_row(const uint8_t *pixel, long step, const int64_t *first, const float *weights, long taps, long size,
                       long side, float *row) {
    for (long x = 0; x < side; x++) {
        long count = smaller(taps, size - first[x]);
        float sums[3] = {0};
        for (long i = 0; i < count; i++)
            for (int c = 0; c < 3; c++)
                sums[c] = MULTIPLY_ADD((float)pixel[(first[x] + i) * step + c], weights[x * taps + i], sums[c]);
        memcpy(row + x * 3, sums, sizeof sums);
    }
}

void resize_crop_normalize(const uint8_t *pixels, const int64_t *first, const float *weights, const float *mean,
                           const float *std, float *crops, long images, long stored, long top, long left,
                           long is_mirrored, long size, long side, long taps, int threads) {
    long width = side * 3, step = is_mirrored ? -3 : 3;
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long n = 0; n < images; n++) {
        const uint8_t *corner = pixels + ((n * stored + top) * stored + left + (is_mirrored ? size - 1 : 0)) * 3;
        float rows[taps][width]; /* resized rows of the crop, each in the place of its number modulo taps */
        long done = 0;
        for (long y = 0; y < side; y++) {
            long end = smaller(first[y] + taps, size);
            for (done = done < first[y] ? first[y] : done; done < end; done++)
                resize_row(corner + done * stored * 3, step, first, weights, taps, size, side, rows[done % taps]);
            float *crop = crops + (n * side + y) * width;
            memset(crop, 0, (size_t)width * sizeof(float));
            for (long i = first[y]; i < end; i++) {
                const float *row = rows[i % taps];
                float weight = weights[y * taps + i - first[y]];
                for (long x = 0; x < width; x++) crop[x] = MULTIPLY_ADD(row[x], weight, crop[x]);
            }
            const float *center = mean + y * width;
            for (long x = 0; x < side; x++)
                for (int c = 0; c < 3; c++) crop[x * 3 + c] = (crop[x * 3 + c] - center[x * 3 + c]) / std[c];
        }
    }
}
