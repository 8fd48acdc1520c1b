package dev.sequent.ssm.scan;

import dev.sequent.fused.RowMath;
import java.lang.foreign.MemorySegment;

/**
 * The inner loops of the selective scan on a tile: some tokens of one block of {@link #width} channels, or of a panel of several blocks,
 * in a {@link ScanScratch}. Stateless and thread-safe.
 *
 * <p>Row t of a {@link ScanLayout.Window} starts at element {@code t * stride} and has {@link #width} elements. Loops over panels go over
 * the first {@code columns} columns, a multiple of {@link #width}.
 */
interface ScanTiles {
    /** Largest product of |step size| and |log2(e) A| for which {@code bounded} may be set: keeps 2^x normal and finite. */
    float BOUND = 125;

    /** Channels of a block. */
    int width();

    /** Partial sums that {@link #replay} and {@link #reverse} keep for each entry of the gradients of B and C. */
    int lanes();

    /** Adds the bias to the panel of step sizes. */
    void plainSteps(ScanScratch s, int rows, int columns);

    /** Adds the bias to the panel of step sizes and takes its softplus. */
    void softplusSteps(ScanScratch s, int rows, int columns);

    /** As {@link #softplusSteps}, and fills the panel of slopes. */
    void softplusSlopes(ScanScratch s, int rows, int columns);

    /** Multiplies the panel of outputs by SiLU(gate). */
    void gate(ScanScratch s, int rows, int columns);

    /** Multiplies the panel of gradients by SiLU(gate), and replaces gates by dy SiLU'(gate). */
    void gateSlopes(ScanScratch s, int rows, int columns);

    /** Largest magnitude of an element, NaN if one is NaN. */
    float largest(int rows, MemorySegment x, long stride);

    /**
     * Runs the recurrence over rows [from, to): updates {@code state}, writes D u (or, where that has been done, {@code partial}) and the
     * inner products of C and h to {@code out}.
     */
    void scan(ScanScratch s, int from, int to, StateRange range, boolean bounded, ScanLayout.Window step, ScanLayout.Window u,
            ScanLayout.Window partial, ScanLayout.Window out);

    /**
     * Runs the recurrence over rows [from, to) again, from the state in {@code before} row {@code from}; fills {@code decay},
     * {@code before} rows (from, to], adds to {@code out}, and to the lanes of the gradient of C.
     */
    void replay(ScanScratch s, int from, int to, StateRange range, boolean bounded);

    /**
     * Runs the adjoint recurrence over rows [from, to) backward: updates {@code carry} (decay times the gradient of the state) and
     * {@code aGrad}, and adds to {@code driveGrad}, {@code stepGrad} and the lanes of the gradient of B.
     */
    void reverse(ScanScratch s, int from, int to, StateRange range);

    /**
     * Replaces rows [from, to) of {@code gate} (if {@code gated}), {@code input} and {@code step} by the gradients of gate, input and
     * delta; adds to {@code skipGrad} and {@code biasGrad}.
     */
    void finishBackward(ScanScratch s, int from, int to, boolean gated);

    /** {@code target[i]} = sum of the {@link #lanes} of entry i. */
    void sumLanes(int count, MemorySegment source, MemorySegment target);

    /**
     * One token: {@code channels} rows of A and of the state in row-major order. Reads row 0 of {@code step} and {@code input}, fills
     * row 0 of {@code out}. {@code before} (null for zero) and {@code after} may be the same memory.
     */
    void step(ScanScratch s, int channels, int states, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment before,
            MemorySegment after);

    /** Additions of rows, for sums of partial gradients. */
    RowMath rowMath();
}
