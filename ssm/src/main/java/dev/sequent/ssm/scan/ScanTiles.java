package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * The inner loops of the selective scan on a tile: some tokens of one block of {@link #width} channels, packed in a
 * {@link ScanScratch}. Stateless and thread-safe.
 *
 * <p>Segments that are named with a stride are rows of the operands (or padded copies of them): row t starts at element
 * {@code t * stride} and has {@link #width} elements. Rows of the scratch are numbered from 0 within the tile.
 */
interface ScanTiles {
    /** Largest product of |step size| and |log2(e) A| for which {@code bounded} may be set: keeps 2^x normal and finite. */
    float BOUND = 125;

    /** Channels of a block. */
    int width();

    /** Partial sums that {@link #replay} and {@link #reverse} keep for each entry of the gradients of B and C. */
    int lanes();

    /** Fills {@code step} and {@code drive} (step size, and step size times input); returns the largest |step size|, NaN if one is NaN. */
    float prepare(ScanScratch s, int rows, boolean softplus, MemorySegment delta, long deltaStride, MemorySegment u, long uStride);

    /** Fills {@code step} with the softplus of delta + bias. */
    void softplusSteps(ScanScratch s, int rows, MemorySegment delta, long deltaStride);

    /** Fills {@code step} with delta + bias. */
    void plainSteps(ScanScratch s, int rows, MemorySegment delta, long deltaStride);

    /** Largest magnitude of an element, NaN if one is NaN. */
    float largest(int rows, MemorySegment x, long stride);

    /**
     * Runs the recurrence over rows [from, to): updates {@code state}, writes D u (or, where that has been done, {@code partial}) and the
     * inner products of C and h to {@code out}.
     */
    void scan(ScanScratch s, int from, int to, StateRange range, boolean bounded, ScanLayout.Window step, ScanLayout.Window u,
            ScanLayout.Window partial, ScanLayout.Window out);

    /** Writes {@code out} SiLU(z). */
    void gate(ScanScratch s, int from, int to, MemorySegment z, long zStride, MemorySegment y, long yStride);

    /** Writes the output of rows [from, to): (out + D u), times SiLU(z) unless z is null. */
    void finish(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment z, long zStride,
            MemorySegment y, long yStride);

    /**
     * As {@link #prepare}, and fills {@code slope} (derivative of the step size's activation), {@code grad} (gradient of the
     * ungated output) and {@code gateGrad} (dy SiLU'(z), unless z is null).
     */
    float prepareBackward(ScanScratch s, int rows, boolean softplus, MemorySegment delta, long deltaStride, MemorySegment u, long uStride,
            MemorySegment z, long zStride, MemorySegment dy, long dyStride);

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

    /** Writes the gradients of u, delta and (unless null) z of rows [from, to), and adds to {@code skipGrad} and {@code biasGrad}. */
    void finishBackward(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment du, long duStride,
            MemorySegment dDelta, long dDeltaStride, MemorySegment dz, long dzStride);

    /** {@code target[i]} = sum of the {@link #lanes} of entry i. */
    void sumLanes(int count, MemorySegment source, MemorySegment target);

    /**
     * One token: {@code channels} rows of A and of the state in row-major order. Reads row 0 of {@code step} and {@code drive}, fills
     * row 0 of {@code out}. {@code before} (null for zero) and {@code after} may be the same memory.
     */
    void step(ScanScratch s, int channels, int states, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment before,
            MemorySegment after);
}
