package dev.sequent.ssm.scan;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.LongFunction;

/**
 * Working memory of one thread: a tile of R tokens, W channels and N states, and what a group of G neighbouring blocks of channels
 * keeps from tile to tile. Every part starts at a multiple of 64 bytes.
 *
 * <p>{@link #select} chooses the block to which the fields that are not final belong.
 */
final class ScanScratch {
    private static final long ALIGNMENT = 64;

    /** Step size, and step size times input, (R, W). */
    final MemorySegment step;
    final MemorySegment drive;
    /** Inner products of C and the state, (R, W). */
    final MemorySegment out;
    /** B and C of the tile, (R, N). */
    final MemorySegment b;
    final MemorySegment c;
    /** Padded copies of operands at the end of the channels, (R, W). */
    final MemorySegment[] staging = new MemorySegment[4];

    /** Current block: log2(e) A and the state, (N, W); bias of the step size and D, (W). */
    MemorySegment a;
    MemorySegment state;
    MemorySegment bias;
    MemorySegment skip;

    // For the backward pass only; null otherwise.

    /**
     * Derivative of the step size's activation, gradient of the ungated output, dy SiLU'(z), and the gradients of drive and step, (R, W).
     */
    final MemorySegment slope;
    final MemorySegment grad;
    final MemorySegment gateGrad;
    final MemorySegment driveGrad;
    final MemorySegment stepGrad;
    /** exp(step A), (R, N, W), and the state before every token, (R + 1, N, W). */
    final MemorySegment decay;
    final MemorySegment before;
    /** Partial sums of the gradients of B and C, (R, N, lanes). */
    final MemorySegment bGrad;
    final MemorySegment cGrad;
    /** Current block: gradient of the state times its decay, gradient of A, (N, W); gradients of D and of the bias, (W). */
    MemorySegment carry;
    MemorySegment aGrad;
    MemorySegment skipGrad;
    MemorySegment biasGrad;

    private final int rows;
    private final int states;
    private final int width;
    private final int blocks;
    private final boolean backward;
    private final MemorySegment perBlock;
    private final long perBlockFloats;
    private final float[] largestA;

    ScanScratch(LongFunction<MemorySegment> allocator, int rows, int states, int width, int lanes, int blocks, boolean backward) {
        this.rows = rows;
        this.states = states;
        this.width = width;
        this.blocks = blocks;
        this.backward = backward;
        long tile = (long) rows * width;
        long matrix = (long) states * width;
        step = take(allocator, tile);
        drive = take(allocator, tile);
        out = take(allocator, tile);
        b = take(allocator, (long) rows * states);
        c = take(allocator, (long) rows * states);
        for (int i = 0; i < staging.length; i++) {
            staging[i] = take(allocator, tile);
        }
        slope = backward ? take(allocator, tile) : null;
        grad = backward ? take(allocator, tile) : null;
        gateGrad = backward ? take(allocator, tile) : null;
        driveGrad = backward ? take(allocator, tile) : null;
        stepGrad = backward ? take(allocator, tile) : null;
        decay = backward ? take(allocator, rows * matrix) : null;
        before = backward ? take(allocator, (rows + 1) * matrix) : null;
        bGrad = backward ? take(allocator, (long) rows * states * lanes) : null;
        cGrad = backward ? take(allocator, (long) rows * states * lanes) : null;
        perBlockFloats = (backward ? 4 : 2) * (matrix + width);
        perBlock = take(allocator, perBlockFloats * blocks);
        largestA = new float[blocks];
    }

    /** The allocator of scratch memory outside tests: released when the thread that owns the scratch, and with it the scratch, is gone. */
    static MemorySegment allocate(long bytes) {
        return Arena.ofAuto().allocate(bytes, ALIGNMENT);
    }

    boolean fits(int rows, int states, int width, int blocks, boolean backward) {
        return this.rows == rows && this.states == states && this.width == width && this.blocks >= blocks && (this.backward || !backward);
    }

    /** Makes block {@code index} of the group the current one. */
    void select(int index) {
        long matrix = (long) states * width;
        long at = index * perBlockFloats;
        a = part(at, matrix);
        state = part(at + matrix, matrix);
        bias = part(at + 2 * matrix, width);
        skip = part(at + 2 * matrix + width, width);
        if (backward) {
            at += 2 * (matrix + width);
            carry = part(at, matrix);
            aGrad = part(at + matrix, matrix);
            skipGrad = part(at + 2 * matrix, width);
            biasGrad = part(at + 2 * matrix + width, width);
        }
    }

    /** Largest |log2(e) A| of a block of the group, NaN if one is NaN. */
    float largestA(int index) {
        return largestA[index];
    }

    void largestA(int index, float value) {
        largestA[index] = value;
    }

    private MemorySegment part(long start, long floats) {
        return perBlock.asSlice(start * Float.BYTES, floats * Float.BYTES);
    }

    private static MemorySegment take(LongFunction<MemorySegment> allocator, long floats) {
        return allocator.apply(floats * Float.BYTES);
    }
}
