package dev.sequent.transformer.position;

import java.lang.foreign.MemorySegment;

/** The rotation of one head. */
interface RotaryMath {
    /**
     * y = x turned by the angles of one table row.
     *
     * @param x the head's first channel
     * @param y receives the result
     * @param at start of the table row
     * @param half number of pairs
     * @param width P, channels of the head; those beyond 2 half are copied
     * @param sign 1, or -1 to rotate back
     */
    void rotate(MemorySegment x, MemorySegment y, RotaryTable table, int at, int half, int width, float sign);
}
