/* Winograd's minimal filtering with 6 x 6 tiles, in channels-last memory.
 *
 * The same input transform serves 3 x 3 kernels (4 x 4 outputs a tile) and 5 x 5 kernels (2 x 2
 * outputs a tile), since the interpolation points 0, 1, -1, 2, -2 and infinity are the same. A
 * tile's 36 values go to 36 matrices [groups, tiles, channels / groups], which winograd.py
 * multiplies by the 36 matrices of transformed weights. Lavin and Gray 2016, "Fast algorithms for
 * convolutional neural networks", sections 4.1 and 4.2. */
#include "kernels.h"

enum { TILE = 6, LANES = 16 };

/* A memcpy of known length is one or two instructions; of any other, a call. */
INLINE void copy_lanes(float *restrict to, const float *restrict from, long lanes) {
    if (lanes == LANES) memcpy(to, from, LANES * sizeof(float));
    else memcpy(to, from, lanes * sizeof(float));
}

/* B^T d for six vectors that are `step` vectors apart. */
INLINE void input_transform(float (*restrict to)[LANES], float (*restrict from)[LANES], int step) {
    for (int l = 0; l < LANES; l++) {
        float d0 = from[0][l], d1 = from[step][l], d2 = from[2 * step][l];
        float d3 = from[3 * step][l], d4 = from[4 * step][l], d5 = from[5 * step][l];
        to[0][l] = 4 * d0 - 5 * d2 + d4;
        to[step][l] = d4 + d3 - 4 * (d2 + d1);
        to[2 * step][l] = d4 - d3 - 4 * (d2 - d1);
        to[3 * step][l] = d4 - d2 + 2 * (d3 - d1);
        to[4 * step][l] = d4 - d2 - 2 * (d3 - d1);
        to[5 * step][l] = 4 * d1 - 5 * d3 + d5;
    }
}

/* A^T m for six vectors: `outputs` (2 or 4) vectors. */
INLINE void output_transform(float (*restrict to)[LANES], float (*restrict from)[LANES], int step,
                             int outputs) {
    for (int l = 0; l < LANES; l++) {
        float m0 = from[0][l], m1 = from[step][l], m2 = from[2 * step][l];
        float m3 = from[3 * step][l], m4 = from[4 * step][l], m5 = from[5 * step][l];
        float plus12 = m1 + m2, minus12 = m1 - m2, plus34 = m3 + m4, minus34 = m3 - m4;
        to[0][l] = m0 + plus12 + plus34;
        if (outputs == 2) {
            to[step][l] = minus12 + 2 * minus34 + m5;
        } else {
            to[step][l] = minus12 + 2 * minus34;
            to[2 * step][l] = plus12 + 4 * plus34;
            to[3 * step][l] = minus12 + 8 * minus34 + m5;
        }
    }
}

/* x [images, height, width, groups * channels] to v [36, groups, tiles, channels], where there are
 * images * rows * columns tiles. */
void winograd_input(const float *x, float *v, long images, long height, long width, long groups,
                    long channels, long padding, long outputs, long rows, long columns,
                    int threads) {
    long tiles = images * rows * columns, all_channels = groups * channels;
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long tile = 0; tile < tiles; tile++) {
        long image = tile / (rows * columns), position = tile % (rows * columns);
        long top = position / columns * outputs - padding;
        long left = position % columns * outputs - padding;
        for (long group = 0; group < groups; group++)
            for (long c = 0; c < channels; c += LANES) {
                float in[TILE * TILE][LANES] = {{0}}, half[TILE * TILE][LANES];
                long lanes = channels - c < LANES ? channels - c : LANES;
                for (int i = 0; i < TILE; i++)
                    for (int j = 0; j < TILE; j++) {
                        long y = top + i, z = left + j;
                        if (y < 0 || y >= height || z < 0 || z >= width) continue;
                        const float *from = x + ((image * height + y) * width + z) * all_channels;
                        copy_lanes(in[i * TILE + j], from + group * channels + c, lanes);
                    }
                for (int j = 0; j < TILE; j++) input_transform(half + j, in + j, TILE);
                for (int i = 0; i < TILE; i++) input_transform(in + i * TILE, half + i * TILE, 1);
                for (int k = 0; k < TILE * TILE; k++)
                    copy_lanes(v + ((k * groups + group) * tiles + tile) * channels + c, in[k],
                               lanes);
            }
    }
}

/* m [36, groups, tiles, channels] to y [images, height, width, groups * channels], plus a bias. */
void winograd_output(const float *m, const float *bias, float *y, long images, long height,
                     long width, long groups, long channels, long outputs, long rows, long columns,
                     int threads) {
    long tiles = images * rows * columns, all_channels = groups * channels;
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long tile = 0; tile < tiles; tile++) {
        long image = tile / (rows * columns), position = tile % (rows * columns);
        long top = position / columns * outputs, left = position % columns * outputs;
        for (long group = 0; group < groups; group++)
            for (long c = 0; c < channels; c += LANES) {
                float in[TILE * TILE][LANES] = {{0}}, half[TILE * TILE][LANES];
                float out[TILE * TILE][LANES];
                long lanes = channels - c < LANES ? channels - c : LANES;
                for (int k = 0; k < TILE * TILE; k++)
                    copy_lanes(in[k], m + ((k * groups + group) * tiles + tile) * channels + c,
                               lanes);
                for (int j = 0; j < TILE; j++)
                    output_transform(half + j, in + j, TILE, (int)outputs);
                for (int i = 0; i < outputs; i++)
                    output_transform(out + i * TILE, half + i * TILE, 1, (int)outputs);
                for (long i = 0; i < outputs && top + i < height; i++)
                    for (long j = 0; j < outputs && left + j < width; j++) {
                        long first = group * channels + c;
                        long pixel = (image * height + top + i) * width + left + j;
                        float *to = y + pixel * all_channels;
                        const float *from = out[i * TILE + j];
                        for (long l = 0; l < lanes; l++)
                            to[first + l] = from[l] + bias[first + l];
                    }
            }
    }
}
