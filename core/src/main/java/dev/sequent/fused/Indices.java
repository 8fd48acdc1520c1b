package dev.sequent.fused;

import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * An I32 or I64 index tensor in native memory, read as {@code long}.
 *
 * @param segment the indices, contiguous
 * @param wide whether they are I64
 */
public record Indices(MemorySegment segment, boolean wide) {
    /** Index number {@code i}. */
    public long at(long i) {
        return wide ? segment.getAtIndex(ValueLayout.JAVA_LONG, i) : segment.getAtIndex(ValueLayout.JAVA_INT, i);
    }

    /**
     * Checks that all of the first {@code count} indices are below {@code bound}, and not negative unless {@code allowNegative}.
     *
     * @throws ShapeException naming the first index that is not
     */
    public void check(String op, int count, long bound, boolean allowNegative) {
        for (int i = 0; i < count; i++) {
            long index = at(i);
            if (index >= bound || index < 0 && !allowNegative) {
                throw new ShapeException(op, "indices in [0, " + bound + ")", index + " at position " + i);
            }
        }
    }
}
