package dev.sequent.transformer.position;

import dev.sequent.fused.Simd;
import java.lang.foreign.MemorySegment;

/** The rotation of one head in host memory, F32. Thread-safe. */
public interface RotaryMath {
    /** The rotation in vector instructions where those are wanted and there, else in plain loops. */
    static RotaryMath of(boolean vectorised) {
        return Simd.choose(vectorised, () -> new RotaryMathVector(), () -> new RotaryMathScalar());
    }

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
