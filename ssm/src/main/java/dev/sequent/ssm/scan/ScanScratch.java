package dev.sequent.ssm.scan;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.LongFunction;

/**
 * Working memory of one thread: what a task's G neighbouring blocks of W channels and N states keep from tile to tile, and a tile of R
 * tokens. Parts start at multiples of 64 bytes.
 *
 * <p>Operands that need an activation are copied for a panel of up to {@link #PANEL} neighbouring blocks at once: long runs of memory,
 * which the processor fetches ahead, where the rows of one block would be short and far apart. Panels are (R, {@link #stride}).
 *
 * <p>{@link #select} chooses the block to which the fields that are not final belong.
 */
final class ScanScratch {
    /** Most blocks of a panel, a multiple of those whose shares are summed at once. */
    static final int PANEL = 12;
    private static final long ALIGNMENT = 64;
    /** Elements between rows of a panel, so that they do not all fall into the same sets of the first-level cache. */
    private static final int GAP = 16;

    /** Distance of rows of panels. */
    final int stride;
    /** Panels: step sizes, inputs, gates and outputs; in the backward pass outputs of one block, (R, W). */
    final MemorySegment steps;
    final MemorySegment inputs;
    final MemorySegment gates;
    final MemorySegment outs;
    /** B and C of the tile, (R, N). */
    final MemorySegment b;
    final MemorySegment c;

    /** First blocks of the current panel: bias of the step size, (G W). */
    MemorySegment bias;
    /** Current block: step sizes, inputs, gates and outputs. */
    ScanLayout.Window step;
    ScanLayout.Window input;
    ScanLayout.Window gate;
    ScanLayout.Window out;
    /** Current block: log2(e) A and the state, (N, W); D, (W). */
    MemorySegment a;
    MemorySegment state;
    MemorySegment skip;

    // For the backward pass only; null otherwise.

    /** Panels: derivatives of the step size's activation, and gradients of the ungated output. */
    final MemorySegment slopes;
    final MemorySegment grads;
    /** Gradients of step size times input, and of the step size in the decay, of one block, (R, W). */
    final MemorySegment driveGrad;
    final MemorySegment stepGrad;
    /** exp(step A), (R, N, W), and the state before every token, (R + 1, N, W). */
    final MemorySegment decay;
    final MemorySegment before;
    /** Partial sums of the gradients of B and C, (R, N, lanes). */
    final MemorySegment bGrad;
    final MemorySegment cGrad;
    /** Current block: rows of the panels. */
    ScanLayout.Window slope;
    ScanLayout.Window grad;
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
    private final MemorySegment biases;
    private final MemorySegment perBlock;
    private final long perBlockFloats;
    private final float[] largestA;

    ScanScratch(LongFunction<MemorySegment> allocator, int rows, int states, int width, int lanes, int blocks, boolean backward) {
        this.rows = rows;
        this.states = states;
        this.width = width;
        this.blocks = blocks;
        this.backward = backward;
        stride = Math.min(PANEL, blocks) * width + GAP;
        long panel = (long) rows * stride;
        long tile = (long) rows * width;
        long matrix = (long) states * width;
        steps = take(allocator, panel);
        inputs = take(allocator, panel);
        gates = take(allocator, panel);
        outs = take(allocator, backward ? tile : panel);
        b = take(allocator, (long) rows * states);
        c = take(allocator, (long) rows * states);
        slopes = backward ? take(allocator, panel) : null;
        grads = backward ? take(allocator, panel) : null;
        driveGrad = backward ? take(allocator, tile) : null;
        stepGrad = backward ? take(allocator, tile) : null;
        decay = backward ? take(allocator, rows * matrix) : null;
        before = backward ? take(allocator, (rows + 1) * matrix) : null;
        bGrad = backward ? take(allocator, (long) rows * states * lanes) : null;
        cGrad = backward ? take(allocator, (long) rows * states * lanes) : null;
        biases = take(allocator, (long) blocks * width);
        perBlockFloats = backward ? 4 * matrix + 3L * width : 2 * matrix + width;
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

    /** Makes block {@code index} of the task the current one, in a panel that starts at its block {@code panel}. */
    void select(int index, int panel) {
        long matrix = (long) states * width;
        long at = index * perBlockFloats;
        a = part(perBlock, at, matrix);
        state = part(perBlock, at + matrix, matrix);
        skip = part(perBlock, at + 2 * matrix, width);
        bias = part(biases, (long) panel * width, (long) (blocks - panel) * width);
        step = window(steps, index - panel);
        input = window(inputs, index - panel);
        gate = window(gates, index - panel);
        out = backward ? new ScanLayout.Window(outs, width) : window(outs, index - panel);
        if (backward) {
            at += 2 * matrix + width;
            carry = part(perBlock, at, matrix);
            aGrad = part(perBlock, at + matrix, matrix);
            skipGrad = part(perBlock, at + 2 * matrix, width);
            biasGrad = part(perBlock, at + 2 * matrix + width, width);
            slope = window(slopes, index - panel);
            grad = window(grads, index - panel);
        }
    }

    /** Bias of the step size of a block, (W). */
    MemorySegment bias(int index) {
        return part(biases, (long) index * width, width);
    }

    /** Largest |log2(e) A| of a block of the task, NaN if one is NaN. */
    float largestA(int index) {
        return largestA[index];
    }

    void largestA(int index, float value) {
        largestA[index] = value;
    }

    private ScanLayout.Window window(MemorySegment panel, int index) {
        return new ScanLayout.Window(panel.asSlice((long) index * width * Float.BYTES), stride);
    }

    private static MemorySegment part(MemorySegment memory, long start, long floats) {
        return memory.asSlice(start * Float.BYTES, floats * Float.BYTES);
    }

    private static MemorySegment take(LongFunction<MemorySegment> allocator, long floats) {
        return allocator.apply(floats * Float.BYTES);
    }
}
