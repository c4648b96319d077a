/* Blocks of pixels as channels, for values of 16 bits. */
#include "kernels.h"

/* x [images, height, width, channels]; blocks [images, rows, columns, side, side, channels]: the
 * first block begins `top` rows above the image and `left` columns before it; outside are zeros. */
typedef struct {
    long images, height, width, channels, side, top, left, rows, columns;
} blocked_images;

/* `from` and `to` hold whole lines; the runs of one line of pixels go to blocks `step` apart. */
INLINE void copy_runs(const uint16_t *restrict from, uint16_t *restrict to, long count, long run,
                      long step) {
    for (long i = 0; i < count; i++) memcpy(to + i * step, from + i * run, run * sizeof *to);
}

void pixel_blocks(const uint16_t *x, uint16_t *blocks, const blocked_images *s, int threads) {
    long run = s->side * s->channels, step = s->side * run, line = s->width * s->channels;
    _Pragma("omp parallel for num_threads(threads) schedule(static)")
    for (long row = 0; row < s->images * s->rows * s->side; row++) {
        long block_row = row / s->side, y = block_row % s->rows * s->side + row % s->side - s->top;
        const uint16_t *from = x + (block_row / s->rows * s->height + y) * line;
        uint16_t *to = blocks + block_row * s->columns * step + row % s->side * run;
        int is_inside = 0 <= y && y < s->height;
        for (long column = 0; column < s->columns;) {
            long first = column * s->side - s->left;
            long whole = is_inside && first >= 0 ? (s->width - first) / s->side : 0;
            whole = smaller(whole, s->columns - column);
            if (whole > 0) {
                const uint16_t *runs = from + first * s->channels;
                if (run == 12) copy_runs(runs, to + column * step, whole, 12, step);
                else copy_runs(runs, to + column * step, whole, run, step);
                column += whole;
                continue;
            }
            for (long pixel = 0; pixel < s->side; pixel++)
                for (long channel = 0; channel < s->channels; channel++) {
                    long at = first + pixel;
                    to[column * step + pixel * s->channels + channel] =
                        is_inside && 0 <= at && at < s->width ? from[at * s->channels + channel] : 0;
                }
            column++;
        }
    }
}
