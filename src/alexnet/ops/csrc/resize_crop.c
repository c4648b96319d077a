#include "kernels.h"

/* Crops of stored images, resized, shifted in color and normalized, in one pass.
 *
 * pixels [images, stored, stored, 3]; boxes [images, 4] of `size` pixels and shifts [images, 3] as in crop_normalize.c,
 * but at whole pixels, with steps of 1 or -1. Both axes are resized by one filter: pixel i of the result is the sum of
 * `taps` pixels of the crop from first[i] on, times weights [side, taps]; first does not fall, and pixels after the crop
 * are left out. mean [side, side, 3]; std [3]; crops [images, side, side, 3]. Sides of 4,096 pixels, the most that an
 * image has, need 150 KB of the stack. */

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

void resize_crop_normalize(const uint8_t *pixels, const float *boxes, const float *shifts, const int64_t *first,
                           const float *weights, const float *mean, const float *std, float *crops, long images,
                           long stored, long size, long side, long taps, int threads) {
    long width = side * 3;
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long n = 0; n < images; n++) {
        const float *box = boxes + n * 4, *shift = shifts + n * 3;
        const uint8_t *corner = pixels + ((n * stored + (long)box[2]) * stored + (long)box[0]) * 3;
        long column_step = (long)box[1] * 3, row_step = (long)box[3] * stored * 3;
        float rows[taps][width]; /* resized rows of the crop, each in the place of its number modulo taps */
        long done = 0;
        for (long y = 0; y < side; y++) {
            long end = smaller(first[y] + taps, size);
            for (done = done < first[y] ? first[y] : done; done < end; done++)
                resize_row(corner + done * row_step, column_step, first, weights, taps, size, side, rows[done % taps]);
            float *crop = crops + (n * side + y) * width;
            memset(crop, 0, (size_t)width * sizeof(float));
            for (long i = first[y]; i < end; i++) {
                const float *row = rows[i % taps];
                float weight = weights[y * taps + i - first[y]];
                for (long x = 0; x < width; x++) crop[x] = MULTIPLY_ADD(row[x], weight, crop[x]);
            }
            const float *center = mean + y * width;
            for (long x = 0; x < side; x++)
                for (int c = 0; c < 3; c++) crop[x * 3 + c] = (crop[x * 3 + c] + shift[c] - center[x * 3 + c]) / std[c];
        }
    }
}
