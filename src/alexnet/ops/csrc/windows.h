/* Windows of inputs under the kernels of a layer, in the order in which they are multiplied.
 *
 * What includes this defines VECTOR, the number of outputs in a vector of sums, and PIXELS, the largest
 * number of output pixels in a strip. */

/* A block of outputs is two vectors of sums. */
enum { OUTPUTS = 2 * VECTOR };

/* The inputs of one output pixel: `rows` rows of contiguous bytes, `row_bytes` apart. A row is read
 * in `steps` steps of `words` words of four bytes, of which a step has STEP_WORDS at most. */
typedef struct { long rows, steps, words, row_bytes; } window;

enum { STEP_WORDS = 16 };

/* Bytes of the packed weights of a block of outputs. */
INLINE long block_bytes(window w) { return w.rows * w.steps * w.words * 4 * OUTPUTS; }

/* Output pixels whose windows begin equally far apart: the first byte of the first one's window, and
 * where their outputs are. */
typedef struct { const uint8_t *x; long first; } strip;

/* `count` strips of `size` pixels, the `parts` of each of several lines of `pixels` pixels. They
 * overlap where their size does not divide a line. */
typedef struct { long pixels, parts, size, count; } cut;

INLINE cut cut_lines(long lines, long pixels) {
    long parts = ceil_div(pixels, PIXELS);
    return (cut){pixels, parts, ceil_div(pixels, parts), lines * parts};
}

/* Strip `i`, where the windows of a line begin `line_bytes` after those of the line before, and those
 * of a pixel `step` bytes. */
INLINE strip strip_of(const cut *c, long i, const uint8_t *x, long line_bytes, long step) {
    long line = i / c->parts, first = smaller(i % c->parts * c->size, c->pixels - c->size);
    return (strip){x + line * line_bytes + first * step, line * c->pixels + first};
}

/* How many of the strips that are left are computed next, so that the last is not left alone. */
INLINE long strips_now(long left, long at_a_time) {
    return ceil_div(left, ceil_div(left, at_a_time));
}
