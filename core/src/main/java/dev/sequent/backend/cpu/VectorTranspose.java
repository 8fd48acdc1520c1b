package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.LANES;
import static dev.sequent.backend.cpu.VectorMath.ORDER;
import static dev.sequent.backend.cpu.VectorMath.S;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Transposition of square tiles through a buffer that stays in the first-level cache: written by rows, gathered by columns. */
final class VectorTranspose {
    private static final int[] COLUMN = new int[LANES];

    static {
        for (int i = 0; i < LANES; i++) {
            COLUMN[i] = i * LANES;
        }
    }

    private VectorTranspose() {}

    /** Target row j, element i becomes source row i, element j; {@code xs} and {@code ys} are the distances of rows in bytes. */
    static void tile(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, float[] buffer) {
        for (int i = 0; i < LANES; i++) {
            FloatVector.fromMemorySegment(S, x, xo + i * xs, ORDER).intoArray(buffer, i * LANES);
        }
        for (int j = 0; j < LANES; j++) {
            FloatVector.fromArray(S, buffer, j, COLUMN, 0).intoMemorySegment(y, yo + j * ys, ORDER);
        }
    }
}
