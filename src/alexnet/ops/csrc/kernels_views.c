#include "kernels.h"

/* Training views of stored pictures, in one pass: crop, scale, mirror, colour, mean, divisor.
 *
 * pixels [images, stored, stored, 3]; place [images, 4]: x of a view's first column, step to the
 * next, y of its first row, step; shift [images, 3] is added to all its pixels; mean is a colour, or
 * a picture [side, side, 3]; views [images, side, side, 3]. Between pixels values are bilinear;
 * places lie in the picture or at most half a pixel outside, where the nearest pixel stands. */
typedef struct { long low, high; float share; } between;

INLINE between neighbours(float place, long stored) {
    float inside = fminf(fmaxf(place, 0), (float)(stored - 1));
    long low = (long)inside;
    return (between){low, low + 1 < stored ? low + 1 : low, inside - (float)low};
}

void views(const uint8_t *pixels, const float *place, const float *shift, const float *mean,
           const float *divisor, float *views, long images, long stored, long side,
           int has_mean_image, int threads) {
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long image = 0; image < images; image++) {
        const uint8_t *picture = pixels + image * stored * stored * 3;
        const float *at = place + image * 4, *colour = shift + image * 3;
        between columns[side];
        float line[stored * 3];
        for (long x = 0; x < side; x++) columns[x] = neighbours(at[0] + at[1] * (float)x, stored);
        for (long y = 0; y < side; y++) {
            between row = neighbours(at[2] + at[3] * (float)y, stored);
            const uint8_t *above = picture + row.low * stored * 3;
            const uint8_t *below = picture + row.high * stored * 3;
            for (long i = 0; i < stored * 3; i++) {
                float value = above[i];
                line[i] = value + row.share * ((float)below[i] - value);
            }
            float *view = views + (image * side + y) * side * 3;
            for (long x = 0; x < side; x++)
                for (int c = 0; c < 3; c++) {
                    float left = line[columns[x].low * 3 + c], right = line[columns[x].high * 3 + c];
                    float value = left + columns[x].share * (right - left);
                    float middle = has_mean_image ? mean[(y * side + x) * 3 + c] : mean[c];
                    view[x * 3 + c] = (value + colour[c] - middle) / divisor[c];
                }
        }
    }
}
