package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * An F32 tensor of (batch, token, feature) in native memory whose features are neighbours: a whole tensor, or a slice of the
 * features of a wider one, such as one half of a projection's result.
 *
 * @param segment starts at the element of batch 0, token 0, feature 0 and reaches at least to the last element
 * @param batchStride distance of sequences in elements
 * @param tokenStride distance of tokens in elements
 */
public record ScanRows(MemorySegment segment, long batchStride, long tokenStride) {
    /** A tensor without gaps of the given number of tokens and features. */
    public static ScanRows contiguous(MemorySegment segment, int tokens, int features) {
        return new ScanRows(segment, (long) tokens * features, features);
    }

    /** {@code count} tokens from {@code token} on of one sequence, from one feature on and reaching over {@code features} of them. */
    MemorySegment slice(int batch, int token, int count, int feature, int features) {
        long start = batch * batchStride + token * tokenStride + feature;
        return segment.asSlice(start * Float.BYTES, ((count - 1) * tokenStride + features) * Float.BYTES);
    }
}
