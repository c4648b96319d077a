#include "kernels.h"

/* Crop, resize, flip, color shift and normalization of stored images, in one pass.
 *
 * pixels [images, stored, stored, 3]; boxes [images, 4]: x of a crop's first column, the step to
 * the next column, y of its first row, the step to the next row; shifts [images, 3] is added to
 * every pixel; mean [3], or [side, side, 3]; std [3]; crops [images, side, side, 3]. Between pixels
 * the values are bilinear. A box lies in the image, or at most half a pixel outside it, where the
 * nearest pixel is taken. */
typedef struct { long low, high; float weight; } lerp;

INLINE lerp lerp_at(float position, long stored) {
    float inside = fminf(fmaxf(position, 0), (float)(stored - 1));
    long low = (long)inside;
    return (lerp){low, low + 1 < stored ? low + 1 : low, inside - (float)low};
}

void crop_normalize(const uint8_t *pixels, const float *boxes, const float *shifts,
                    const float *mean, const float *std, float *crops, long images, long stored,
                    long side, long has_mean_image, int threads) {
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long n = 0; n < images; n++) {
        const uint8_t *image = pixels + n * stored * stored * 3;
        const float *box = boxes + n * 4, *shift = shifts + n * 3;
        lerp columns[side];
        float line[stored * 3];
        for (long x = 0; x < side; x++) columns[x] = lerp_at(box[0] + box[1] * (float)x, stored);
        for (long y = 0; y < side; y++) {
            lerp row = lerp_at(box[2] + box[3] * (float)y, stored);
            const uint8_t *above = image + row.low * stored * 3;
            const uint8_t *below = image + row.high * stored * 3;
            for (long i = 0; i < stored * 3; i++) {
                float value = above[i];
                line[i] = value + row.weight * ((float)below[i] - value);
            }
            float *crop = crops + (n * side + y) * side * 3;
            for (long x = 0; x < side; x++)
                for (int c = 0; c < 3; c++) {
                    float left = line[columns[x].low * 3 + c], right = line[columns[x].high * 3 + c];
                    float value = left + columns[x].weight * (right - left);
                    float center = has_mean_image ? mean[(y * side + x) * 3 + c] : mean[c];
                    crop[x * 3 + c] = (value + shift[c] - center) / std[c];
                }
        }
    }
}

/* As crop_normalize, for crops that are rotated or sheared: matrices [images, 3, 3] map (column,
 * row, 1) of a pixel of a crop to one of the stored image. What lies outside of it gets the color
 * fill [3] instead. */
void affine_crop_normalize(const uint8_t *pixels, const float *matrices, const float *fill,
                           const float *shifts, const float *mean, const float *std, float *crops,
                           long images, long stored, long side, long has_mean_image, int threads) {
    float end = (float)stored - 0.5f;
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long n = 0; n < images; n++) {
        const uint8_t *image = pixels + n * stored * stored * 3;
        const float *m = matrices + n * 9, *shift = shifts + n * 3;
        float *crop = crops + n * side * side * 3;
        for (long y = 0; y < side; y++)
            for (long x = 0; x < side; x++, crop += 3) {
                float column = m[0] * (float)x + m[1] * (float)y + m[2];
                float row = m[3] * (float)x + m[4] * (float)y + m[5];
                int is_inside = column >= -0.5f && column <= end && row >= -0.5f && row <= end;
                lerp across = lerp_at(column, stored), down = lerp_at(row, stored);
                const uint8_t *above = image + down.low * stored * 3;
                const uint8_t *below = image + down.high * stored * 3;
                long left = across.low * 3, right = across.high * 3;
                const float *center = has_mean_image ? mean + (y * side + x) * 3 : mean;
                for (int c = 0; c < 3; c++) {
                    float high = above[left + c], low = below[left + c];
                    high += across.weight * ((float)above[right + c] - high);
                    low += across.weight * ((float)below[right + c] - low);
                    float value = is_inside ? high + down.weight * (low - high) : fill[c];
                    crop[c] = (value + shift[c] - center[c]) / std[c];
                }
            }
    }
}
