package dev.sequent.ssm.scan;

import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Partial gradients of the operands that several tasks share: B and C for every group of channels, A, D and the bias for every
 * sequence. Where there is one part only, it is the result itself.
 *
 * @param shape sizes of the scan
 * @param groups groups of channels
 */
record ScanWorkspace(ScanShape shape, int groups) {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    /** Sums that one task of a reduction forms. */
    private static final int REDUCTION = 1 << 14;

    private long rows() {
        return (long) shape.batch() * shape.tokens() * shape.states();
    }

    private long matrix() {
        return (long) shape.channels() * shape.states();
    }

    private long sharedRows() {
        return groups == 1 ? 0 : groups * rows();
    }

    private long matrixStart() {
        return 2 * sharedRows();
    }

    private long skipStart() {
        return matrixStart() + shape.batch() * matrix();
    }

    private long biasStart() {
        return skipStart() + (long) shape.batch() * shape.channels();
    }

    private long carryStart() {
        return shape.batch() == 1 ? matrixStart() : biasStart() + (long) shape.batch() * shape.channels();
    }

    long floats() {
        return carryStart() + shape.batch() * matrix();
    }

    /** Gradients of the state between windows, (B, E, N). */
    MemorySegment carries(MemorySegment memory) {
        return part(memory, carryStart(), shape.batch() * matrix());
    }

    private static MemorySegment part(MemorySegment memory, long start, long floats) {
        return memory.asSlice(start * Float.BYTES, floats * Float.BYTES);
    }

    private long rowStart(int batch, int token) {
        return ((long) batch * shape.tokens() + token) * shape.states();
    }

    MemorySegment bPart(MemorySegment memory, ScanGradients out, int group, int batch, int token, int rows) {
        long size = (long) rows * shape.states();
        return groups == 1 ? part(out.b(), rowStart(batch, token), size) : part(memory, group * rows() + rowStart(batch, token), size);
    }

    MemorySegment cPart(MemorySegment memory, ScanGradients out, int group, int batch, int token, int rows) {
        long size = (long) rows * shape.states();
        return groups == 1 ? part(out.c(), rowStart(batch, token), size)
                : part(memory, sharedRows() + group * rows() + rowStart(batch, token), size);
    }

    MemorySegment aPart(MemorySegment memory, ScanGradients out, int batch) {
        return shape.batch() == 1 ? out.a() : part(memory, matrixStart() + batch * matrix(), matrix());
    }

    MemorySegment skipPart(MemorySegment memory, ScanGradients out, int batch) {
        return shape.batch() == 1 ? out.skip() : part(memory, skipStart() + (long) batch * shape.channels(), shape.channels());
    }

    MemorySegment biasPart(MemorySegment memory, ScanGradients out, int batch) {
        return shape.batch() == 1 ? out.deltaBias() : part(memory, biasStart() + (long) batch * shape.channels(), shape.channels());
    }

    /** Adds the parts up, in ascending order. */
    void reduce(Parallel pool, MemorySegment memory, ScanGradients out) {
        if (groups > 1) {
            sum(pool, memory, 0, groups, rows(), out.b());
            sum(pool, memory, sharedRows(), groups, rows(), out.c());
        }
        if (shape.batch() > 1) {
            sum(pool, memory, matrixStart(), shape.batch(), matrix(), out.a());
            sum(pool, memory, skipStart(), shape.batch(), shape.channels(), out.skip());
            sum(pool, memory, biasStart(), shape.batch(), shape.channels(), out.deltaBias());
        }
    }

    static void sum(Parallel pool, MemorySegment memory, long start, int parts, long size, MemorySegment target) {
        if (target != null) {
            pool.forEach(Math.toIntExact(Math.ceilDiv(size, REDUCTION)), task -> {
                long from = (long) task * REDUCTION;
                int count = (int) Math.min(REDUCTION, size - from);
                sumPart(memory, start + from, parts, size, count, part(target, from, count));
            });
        }
    }

    private static void sumPart(MemorySegment memory, long start, int parts, long size, int count, MemorySegment target) {
        MemorySegment.copy(memory, start * Float.BYTES, target, 0, (long) count * Float.BYTES);
        for (int p = 1; p < parts; p++) {
            MemorySegment source = part(memory, start + p * size, count);
            for (int i = 0; i < count; i++) {
                target.setAtIndex(F32, i, target.getAtIndex(F32, i) + source.getAtIndex(F32, i));
            }
        }
    }
}
