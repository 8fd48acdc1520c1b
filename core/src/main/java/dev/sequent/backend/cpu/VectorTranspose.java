package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.LANES;
import static dev.sequent.backend.cpu.VectorMath.ORDER;
import static dev.sequent.backend.cpu.VectorMath.S;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * Transposition through a buffer that stays in the first-level cache: written by rows, gathered by columns. A buffer holds {@link #SIDE}
 * pieces of source rows, each some cache lines long, so that both matrices are walked through in runs that the memory system foresees.
 */
final class VectorTranspose {
    /** Rows and columns of a block: a multiple of the lanes, whatever their number. */
    static final int SIDE = 64;

    private static final int[] COLUMN = new int[LANES];

    static {
        for (int i = 0; i < LANES; i++) {
            COLUMN[i] = i * SIDE;
        }
    }

    private VectorTranspose() {}

    /** Elements of a buffer. */
    static int elements() {
        return SIDE * SIDE;
    }

    /**
     * Element i of target row j becomes element j of source row i, for j below {@code n} and i below {@code m}, both multiples of the lanes
     * and at most {@link #SIDE}; {@code xs} and {@code ys} are the distances of rows in bytes.
     */
    static void block(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int n, int m, float[] buffer) {
        for (int i = 0; i < m; i++) {
            MemorySegment row = x.asSlice(xo + i * xs, n * 4L);
            for (int j = 0; j < n; j += LANES) {
                FloatVector.fromMemorySegment(S, row, j * 4L, ORDER).intoArray(buffer, i * SIDE + j);
            }
        }
        for (int j = 0; j < n; j++) {
            MemorySegment row = y.asSlice(yo + j * ys, m * 4L);
            for (int i = 0; i < m; i += LANES) {
                FloatVector.fromArray(S, buffer, i * SIDE + j, COLUMN, 0).intoMemorySegment(row, i * 4L, ORDER);
            }
        }
    }
}
