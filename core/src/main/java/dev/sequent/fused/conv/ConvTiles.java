package dev.sequent.fused.conv;

import java.lang.foreign.MemorySegment;

/**
 * The inner loops of the causal convolution on a packed tile: rows of {@link #WIDTH} channels. A window of n rows of output has n + K - 1
 * rows of input, of which row i + k meets tap k for output row i. Stateless and thread-safe.
 */
interface ConvTiles {
    /** Channels of a tile: a multiple of every vector's lanes. */
    int WIDTH = 128;

    /** {@code out} = f(bias + taps over window), (rows, WIDTH); taps are (K, WIDTH). */
    void forward(int rows, int count, boolean silu, MemorySegment window, MemorySegment taps, MemorySegment bias, MemorySegment out);

    /** Copies rows; row i of each side begins at element i times its stride. */
    void move(int rows, MemorySegment source, long sourceStride, MemorySegment target, long targetStride);

    /**
     * Replaces {@code grad}, the gradient of the output, by that before f, and adds to {@code biasGrad}; {@code sums} is working memory
     * (rows, WIDTH).
     */
    void activationGradient(int rows, int count, boolean silu, MemorySegment window, MemorySegment taps, MemorySegment bias,
            MemorySegment sums, MemorySegment grad, MemorySegment biasGrad);

    /** Adds to the gradients of the window and of the taps, given the gradient before f. */
    void backward(int rows, int count, MemorySegment window, MemorySegment taps, MemorySegment grad, MemorySegment windowGrad,
            MemorySegment tapGrad);
}
