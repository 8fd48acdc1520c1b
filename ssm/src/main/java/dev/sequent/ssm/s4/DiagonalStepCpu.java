package dev.sequent.ssm.s4;

import static dev.sequent.ssm.s4.DiagonalScanCpu.part;

import dev.sequent.mixer.SequenceInfo;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The recurrence of {@link DiagonalScanCpu} for one token, as decoding needs it. States are neighbours along their pairs here, as tensors
 * have them, so that nothing is packed; a task is a range of channels, whose coefficients stay in the nearest cache while they are made and
 * used. They are made anew for every token: they never belong to earlier parameters. Thread-safe: no state.
 */
final class DiagonalStepCpu {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    /** Pairs that a task treats, about: their coefficients are 24 KB. */
    private static final int PAIRS = 512;

    private final Parallel pool;
    private final DiagonalTiles tiles;
    private final int width;

    DiagonalStepCpu(Parallel pool, DiagonalTiles tiles) {
        this.pool = pool;
        this.tiles = tiles;
        this.width = tiles.width();
    }

    /** Sizes of a task, and its working memory: coefficients, inputs and shares of all pairs, and states where they do not fill vectors. */
    private final class Plan {
        final DiagonalShape shape;
        /** Channels of a task: as few as make whole vectors, or a multiple. */
        final int channels;
        final int tasks;
        /** Pairs of a task in whole vectors. */
        final int count;

        Plan(DiagonalShape shape) {
            this.shape = shape;
            int least = width;
            while (least > 1 && least / 2 * shape.pairs() % width == 0) {
                least /= 2;
            }
            channels = Math.min(shape.channels(), Math.max(1, PAIRS / shape.pairs() / least) * least);
            tasks = Math.ceilDiv(shape.channels(), channels);
            count = Math.ceilDiv(channels * shape.pairs(), width) * width;
        }

        long floats() {
            return (DiagonalTiles.FIELDS + 4L) * count + width;
        }

        MemorySegment fields(MemorySegment memory) {
            return part(memory, 0, (long) DiagonalTiles.FIELDS * count);
        }

        /** An array of a task; there is room for a vector behind each. */
        MemorySegment array(MemorySegment memory, int index) {
            return part(memory, (long) index * count, count + width);
        }
    }

    /** F32 elements of the working memory of {@link #run}. */
    long floats(DiagonalShape shape) {
        Plan p = new Plan(shape);
        return p.tasks * p.floats();
    }

    /**
     * One token; the states are overwritten where they lie.
     *
     * @param in operands, except the initial states
     * @param y receives the output, (B, 1, E)
     * @param stateRe real part of the state, (B, E, P)
     * @param stateIm its imaginary part
     * @param memory {@link #floats} elements, overwritten
     */
    void run(DiagonalInputs in, MemorySegment y, MemorySegment stateRe, MemorySegment stateIm, MemorySegment memory) {
        Plan p = new Plan(in.shape());
        pool.forEach(p.tasks, task -> {
            MemorySegment own = part(memory, task * p.floats(), p.floats());
            int first = task * p.channels;
            int channels = Math.min(p.shape.channels() - first, p.channels);
            coefficients(in, p, own, first, channels);
            for (int b = 0; b < p.shape.batch(); b++) {
                row(in, p, own, b, first, channels, y, stateRe, stateIm);
            }
        });
    }

    private void coefficients(DiagonalInputs in, Plan p, MemorySegment own, int first, int channels) {
        int pairs = p.shape.pairs();
        int size = channels * pairs;
        long start = (long) first * pairs;
        tiles.spread(part(in.logStep(), first, channels), channels, pairs, p.array(own, DiagonalTiles.STEP));
        part(p.array(own, DiagonalTiles.S_RE), 0, size).copyFrom(part(in.logDecay(), start, size));
        part(p.array(own, DiagonalTiles.S_IM), 0, size).copyFrom(part(in.frequency(), start, size));
        tiles.parts(part(in.c(), 2 * start, 2L * size), size, p.array(own, DiagonalTiles.C_RE), p.array(own, DiagonalTiles.C_IM));
        int vectors = Math.ceilDiv(size, width) * width;
        for (int field = DiagonalTiles.C_RE; size < vectors && field <= DiagonalTiles.STEP; field++) {
            part(own, (long) field * p.count + size, vectors - size).fill((byte) 0);
        }
        tiles.discretise(p.fields(own), p.count, 0, vectors, in.bilinear());
    }

    private void row(DiagonalInputs in, Plan p, MemorySegment own, int b, int first, int channels, MemorySegment y, MemorySegment stateRe,
            MemorySegment stateIm) {
        int size = channels * p.shape.pairs();
        long channel = (long) b * p.shape.channels() + first;
        MemorySegment out = part(y, channel, channels);
        if (in.has(b, 0, SequenceInfo.SKIP)) {
            out.fill((byte) 0);
            return;
        }
        MemorySegment re = part(stateRe, channel * p.shape.pairs(), size);
        MemorySegment im = part(stateIm, channel * p.shape.pairs(), size);
        if (in.has(b, 0, SequenceInfo.RESET)) {
            re.fill((byte) 0);
            im.fill((byte) 0);
        }
        MemorySegment u = part(in.u(), channel, channels);
        MemorySegment shares = p.array(own, DiagonalTiles.FIELDS + 1);
        tiles.spread(u, channels, p.shape.pairs(), p.array(own, DiagonalTiles.FIELDS));
        if (size % width == 0) {
            tiles.step(p.fields(own), p.count, size, p.array(own, DiagonalTiles.FIELDS), re, im, shares);
        } else {
            stepBeside(p, own, size, re, im, shares);
        }
        tiles.sums(shares, channels, p.shape.pairs(), out);
        for (int e = 0; e < channels; e++) {
            float direct = in.skip().getAtIndex(F32, first + e) * u.getAtIndex(F32, e);
            out.setAtIndex(F32, e, direct + out.getAtIndex(F32, e));
        }
    }

    /** Of states that end within a vector, which are copied for that. */
    private void stepBeside(Plan p, MemorySegment own, int size, MemorySegment re, MemorySegment im, MemorySegment shares) {
        int vectors = Math.ceilDiv(size, width) * width;
        MemorySegment wholeRe = part(p.array(own, DiagonalTiles.FIELDS + 2), 0, vectors);
        MemorySegment wholeIm = part(p.array(own, DiagonalTiles.FIELDS + 3), 0, vectors);
        part(wholeRe, size, vectors - size).fill((byte) 0);
        part(wholeIm, size, vectors - size).fill((byte) 0);
        part(wholeRe, 0, size).copyFrom(re);
        part(wholeIm, 0, size).copyFrom(im);
        tiles.step(p.fields(own), p.count, vectors, p.array(own, DiagonalTiles.FIELDS), wholeRe, wholeIm, shares);
        re.copyFrom(part(wholeRe, 0, size));
        im.copyFrom(part(wholeIm, 0, size));
    }
}
