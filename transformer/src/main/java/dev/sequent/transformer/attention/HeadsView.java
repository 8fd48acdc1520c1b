package dev.sequent.transformer.attention;

import java.lang.foreign.MemorySegment;

/**
 * F32 vectors of P channels in native memory, one per batch row, token and head; the channels of a vector are neighbours.
 *
 * @param memory starts at row 0, token 0, head 0 and reaches at least to the last vector's end
 * @param rowStride distance of batch rows, in floats
 * @param tokenStride distance of tokens, in floats
 * @param headStride distance of heads, in floats
 */
record HeadsView(MemorySegment memory, long rowStride, long tokenStride, long headStride) {
    /** Index of the first float of a vector. */
    long index(int row, int token, int head) {
        return row * rowStride + token * tokenStride + head * headStride;
    }
}
