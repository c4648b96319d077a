/* Sums of the products of windows with packed weights, by AMX's tiles of 16 pixels x 16 outputs, after
 * windows.h. What includes this defines TILE_PRODUCT, the instruction that adds the product of a tile of
 * 16 pixels x 64 bytes with one of 64 bytes x 16 outputs, and STRIPS, three: of so many strips sums are
 * computed at a time.
 *
 * The tiles 0 to 2 are sums. Three of the eight tiles stay free: where a core's other thread uses tiles,
 * too, there are few registers for them, and each product that needs all eight waits for the one before
 * (docs/performance.md). */
#include "tiles.h"

#define WINDOW_INPUTS 3
#define WINDOW_WEIGHTS 4

INLINE void shape_tiles(long pixels, long words) {
    tile_shapes shapes = {.palette = 1};
    for (int tile = 0; tile <= WINDOW_WEIGHTS; tile++) {
        shapes.rows[tile] = (uint8_t)(tile == WINDOW_WEIGHTS ? words : pixels);
        shapes.row_bytes[tile] = (uint16_t)(tile == WINDOW_INPUTS ? 4 * words : TILE_ROW_BYTES);
    }
    load_tile_shapes(&shapes);
}

INLINE void release_tiles(void) { _tile_release(); }

/* Loading inputs is cheaper than loading weights, unless their pixels lie across lines of the cache. */
INLINE long strips_at_a_time(long step) { return step % TILE_ROW_BYTES ? 1 : STRIPS; }

/* BODY for each step of the window, at a byte `at` of the inputs. */
#define EACH_STEP(BODY)                                                                             \
    for (long row = 0; row < w.rows; row++)                                                         \
        for (long i = 0, at = row * w.row_bytes; i < w.steps; i++, at += 4 * w.words) {             \
            BODY                                                                                    \
            weights += w.words * 4 * OUTPUTS;                                                       \
        }

/* The sums of one vector of outputs or both for the pixels of a strip. */
INLINE void strip_sums(const strip *s, long step, window w, const int8_t *weights, const int both,
                       uint32_t *sums) {
    _tile_zero(0);
    if (both) _tile_zero(1);
    EACH_STEP({
        _tile_loadd(WINDOW_INPUTS, s->x + at, step);
        _tile_loadd(WINDOW_WEIGHTS, weights, 4 * OUTPUTS);
        TILE_PRODUCT(0, WINDOW_INPUTS, WINDOW_WEIGHTS);
        if (both) {
            _tile_loadd(WINDOW_WEIGHTS, weights + 4 * VECTOR, 4 * OUTPUTS);
            TILE_PRODUCT(1, WINDOW_INPUTS, WINDOW_WEIGHTS);
        }
    })
    _tile_stored(0, sums, 4 * OUTPUTS);
    if (both) _tile_stored(1, sums + VECTOR, 4 * OUTPUTS);
}

/* Those of one vector of outputs for two or three strips. */
INLINE void vector_sums(const strip *strips, const int three, long step, window w,
                        const int8_t *weights, uint32_t *sums) {
    _tile_zero(0);
    _tile_zero(1);
    if (three) _tile_zero(2);
    EACH_STEP({
        _tile_loadd(WINDOW_WEIGHTS, weights, 4 * OUTPUTS);
        _tile_loadd(WINDOW_INPUTS, strips[0].x + at, step);
        TILE_PRODUCT(0, WINDOW_INPUTS, WINDOW_WEIGHTS);
        _tile_loadd(WINDOW_INPUTS, strips[1].x + at, step);
        TILE_PRODUCT(1, WINDOW_INPUTS, WINDOW_WEIGHTS);
        if (three) {
            _tile_loadd(WINDOW_INPUTS, strips[2].x + at, step);
            TILE_PRODUCT(2, WINDOW_INPUTS, WINDOW_WEIGHTS);
        }
    })
    _tile_stored(0, sums, 4 * OUTPUTS);
    _tile_stored(1, sums + PIXELS * OUTPUTS, 4 * OUTPUTS);
    if (three) _tile_stored(2, sums + 2 * PIXELS * OUTPUTS, 4 * OUTPUTS);
}

/* The sums [strips, PIXELS, OUTPUTS] of the first `outputs` outputs of a block, for the pixels of `count`
 * strips, for whose size the tiles are shaped. */
static __attribute__((noinline)) void sums_of(const strip *strips, long count, long pixels,
                                              long step, window w, const void *packed,
                                              long outputs, uint32_t *sums) {
    const int8_t *weights = packed;
    (void)pixels;
    if (count == 1) {
        if (outputs > VECTOR) strip_sums(strips, step, w, weights, 1, sums);
        else strip_sums(strips, step, w, weights, 0, sums);
        return;
    }
    for (long i = 0; i < outputs; i += VECTOR) {
        if (count == 3) vector_sums(strips, 1, step, w, weights + 4 * i, sums + i);
        else vector_sums(strips, 0, step, w, weights + 4 * i, sums + i);
    }
}
