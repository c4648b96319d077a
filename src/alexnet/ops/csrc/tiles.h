/* The shapes of AMX's tiles, as `_tile_loadconfig` reads them. */
#pragma once

#include <immintrin.h>

enum { TILE_ROWS = 16, TILE_ROW_BYTES = 64, TILE_BYTES = TILE_ROWS * TILE_ROW_BYTES };

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

INLINE void load_tile_shapes(const tile_shapes *shapes) {
    __asm__ volatile("" ::: "memory"); /* gcc's intrinsic tells only of the first bytes */
    _tile_loadconfig(shapes);
}
