package dev.sequent.transformer.attention;

import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;

/**
 * Vectors of P channels in native memory, one per batch row, token and head; the channels of a vector are neighbours.
 *
 * @param memory starts at row 0, token 0, head 0 and reaches at least to the last vector's end
 * @param rowStride distance of batch rows, in elements
 * @param tokenStride distance of tokens, in elements
 * @param headStride distance of heads, in elements
 * @param dtype F32 or BF16
 */
record HeadsView(MemorySegment memory, long rowStride, long tokenStride, long headStride, DType dtype) {
    /** Vectors of F32. */
    HeadsView(MemorySegment memory, long rowStride, long tokenStride, long headStride) {
        this(memory, rowStride, tokenStride, headStride, DType.F32);
    }

    /** Index of the first element of a vector. */
    long index(int row, int token, int head) {
        return row * rowStride + token * tokenStride + head * headStride;
    }

    /** The memory of one vector of {@code width} elements. */
    MemorySegment vector(int row, int token, int head, int width) {
        return memory.asSlice(index(row, token, head) * dtype.bytes(), (long) width * dtype.bytes());
    }
}
