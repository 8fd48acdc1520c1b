package dev.sequent.ssm.s4;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Working memory of one thread for a tile of R tokens of one block of W channels. Every part starts at a multiple of 64 bytes. */
final class DiagonalScratch {
    private static final long ALIGNMENT = 64;

    /** Inputs, gradients of the outputs, and results, (R, W). */
    final MemorySegment u;
    final MemorySegment dy;
    final MemorySegment out;
    /** D of the block, (W). */
    final MemorySegment skip;
    /** States of a quad before every token, (R, 4, 2, W). */
    final MemorySegment history;

    /** Memory that is released when the thread that owns the scratch, and with it the scratch, is gone. */
    DiagonalScratch(int rows, int width) {
        long tile = (long) rows * width * Float.BYTES;
        u = allocate(tile);
        dy = allocate(tile);
        out = allocate(tile);
        skip = allocate((long) width * Float.BYTES);
        history = allocate(2L * DiagonalTiles.QUAD * tile);
    }

    private static MemorySegment allocate(long bytes) {
        return Arena.ofAuto().allocate(bytes, ALIGNMENT);
    }
}
