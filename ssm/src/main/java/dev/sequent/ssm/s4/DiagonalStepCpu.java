package dev.sequent.ssm.s4;

import static dev.sequent.ssm.s4.DiagonalScanCpu.part;

import dev.sequent.mixer.SequenceInfo;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The recurrence of {@link DiagonalScanCpu} for one token, as decoding needs it. States are neighbours along their pairs here, as tensors
 * have them, so that nothing is packed; a task is a range of channels. Thread-safe: no state.
 */
final class DiagonalStepCpu {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    /** Pairs that a task treats. */
    private static final int PAIRS = 2048;

    private final Parallel pool;
    private final DiagonalTiles tiles;
    private final int width;

    DiagonalStepCpu(Parallel pool, DiagonalTiles tiles) {
        this.pool = pool;
        this.tiles = tiles;
        this.width = tiles.width();
    }

    /** Channels of a task of {@link #run}. */
    private static int channels(DiagonalShape shape) {
        return Math.max(1, Math.min(shape.channels(), PAIRS / shape.pairs()));
    }

    /** Length of an array of coefficients of a task of {@link #run}, with room for a vector behind. */
    private int count(DiagonalShape shape) {
        return (Math.ceilDiv(channels(shape) * shape.pairs(), width) + 1) * width;
    }

    /** F32 elements of the working memory of {@link #run}. */
    long floats(DiagonalShape shape) {
        return (long) Math.ceilDiv(shape.channels(), channels(shape)) * DiagonalTiles.FIELDS * count(shape);
    }

    /**
     * One token: the states are read and written where they lie.
     *
     * @param memory {@link #floats} elements, overwritten
     */
    void run(DiagonalInputs in, MemorySegment y, MemorySegment stateRe, MemorySegment stateIm, MemorySegment memory) {
        int channels = channels(in.shape());
        int count = count(in.shape());
        pool.forEach(Math.ceilDiv(in.shape().channels(), channels), task -> {
            MemorySegment fields = part(memory, (long) task * DiagonalTiles.FIELDS * count, (long) DiagonalTiles.FIELDS * count);
            int first = task * channels;
            int last = Math.min(in.shape().channels(), first + channels);
            coefficients(in, fields, count, first, last);
            for (int b = 0; b < in.shape().batch(); b++) {
                for (int e = first; e < last; e++) {
                    channel(in, fields, count, b, e, first, y, stateRe, stateIm);
                }
            }
        });
    }

    private void coefficients(DiagonalInputs in, MemorySegment fields, int count, int first, int last) {
        int pairs = in.shape().pairs();
        fields.fill((byte) 0);
        long start = (long) first * pairs * Float.BYTES;
        long bytes = (long) (last - first) * pairs * Float.BYTES;
        MemorySegment.copy(in.logDecay(), start, fields, (long) DiagonalTiles.S_RE * count * Float.BYTES, bytes);
        MemorySegment.copy(in.frequency(), start, fields, (long) DiagonalTiles.S_IM * count * Float.BYTES, bytes);
        for (int e = first; e < last; e++) {
            float step = in.logStep().getAtIndex(F32, e);
            for (int n = 0; n < pairs; n++) {
                int i = (e - first) * pairs + n;
                long source = 2 * ((long) e * pairs + n);
                fields.setAtIndex(F32, DiagonalTiles.STEP * count + i, step);
                fields.setAtIndex(F32, DiagonalTiles.C_RE * count + i, in.c().getAtIndex(F32, source));
                fields.setAtIndex(F32, DiagonalTiles.C_IM * count + i, in.c().getAtIndex(F32, source + 1));
            }
        }
        tiles.discretise(fields, count, in.bilinear());
    }

    private void channel(DiagonalInputs in, MemorySegment fields, int count, int b, int e, int first, MemorySegment y,
            MemorySegment stateRe, MemorySegment stateIm) {
        int pairs = in.shape().pairs();
        long channel = (long) b * in.shape().channels() + e;
        boolean hasState = in.stateRe() != null && !in.has(b, 0, SequenceInfo.RESET);
        MemorySegment re = hasState ? part(in.stateRe(), channel * pairs, pairs) : null;
        MemorySegment im = hasState ? part(in.stateIm(), channel * pairs, pairs) : null;
        MemorySegment afterRe = part(stateRe, channel * pairs, pairs);
        MemorySegment afterIm = part(stateIm, channel * pairs, pairs);
        if (!in.has(b, 0, SequenceInfo.SKIP)) {
            float u = in.u().getAtIndex(F32, channel);
            float value = tiles.step(fields, count, (e - first) * pairs, pairs, u, re, im, afterRe, afterIm);
            y.setAtIndex(F32, channel, in.skip().getAtIndex(F32, e) * u + value);
            return;
        }
        y.setAtIndex(F32, channel, 0f);
        if (hasState) {
            afterRe.copyFrom(re);
            afterIm.copyFrom(im);
        } else {
            afterRe.fill((byte) 0);
            afterIm.fill((byte) 0);
        }
    }
}
