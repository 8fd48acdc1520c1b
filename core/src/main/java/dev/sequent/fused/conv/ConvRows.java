package dev.sequent.fused.conv;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A (batch, token, channel) tensor of floats in native memory whose channels are neighbours.
 *
 * @param segment starts at the first element
 * @param batchStride distance of sequences in elements
 * @param tokenStride distance of tokens in elements
 */
record ConvRows(MemorySegment segment, long batchStride, long tokenStride) {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    private long offset(int batch, int token, int channel) {
        return (batch * batchStride + token * tokenStride + channel) * Float.BYTES;
    }

    /** This tensor from one element on. */
    MemorySegment from(int batch, int token, int channel) {
        return segment.asSlice(offset(batch, token, channel));
    }

    void load(int batch, int token, int channel, int columns, MemorySegment target, long at) {
        MemorySegment.copy(segment, offset(batch, token, channel), target, at, (long) columns * Float.BYTES);
    }

    void store(int batch, int token, int channel, int columns, MemorySegment source, long at) {
        MemorySegment.copy(source, at, segment, offset(batch, token, channel), (long) columns * Float.BYTES);
    }

    void zero(int batch, int token, int channel, int columns) {
        segment.asSlice(offset(batch, token, channel), (long) columns * Float.BYTES).fill((byte) 0);
    }

    /** Adds a row of this tensor to {@code target}. */
    void add(int batch, int token, int channel, int columns, MemorySegment target, long at) {
        long from = offset(batch, token, channel);
        for (int j = 0; j < columns; j++) {
            long to = at + (long) j * Float.BYTES;
            target.set(F32, to, target.get(F32, to) + segment.get(F32, from + (long) j * Float.BYTES));
        }
    }

    /** Columns [channel, channel + columns) of (channels, count) as rows of {@code width}. */
    static void transpose(MemorySegment source, int channel, int columns, int count, MemorySegment target, int width) {
        for (int j = 0; j < columns; j++) {
            for (int k = 0; k < count; k++) {
                target.setAtIndex(F32, (long) k * width + j, source.getAtIndex(F32, (long) (channel + j) * count + k));
            }
        }
    }

    /** The reverse of {@link #transpose}. */
    static void transposeBack(MemorySegment source, int width, MemorySegment target, int channel, int columns, int count) {
        for (int j = 0; j < columns; j++) {
            for (int k = 0; k < count; k++) {
                target.setAtIndex(F32, (long) (channel + j) * count + k, source.getAtIndex(F32, (long) k * width + j));
            }
        }
    }
}
