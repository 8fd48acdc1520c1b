package dev.sequent.ssm.scan;

import dev.sequent.fused.RowMath;
import dev.sequent.fused.Rows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * Partial gradients of the operands that several tasks share: B and C for every group of channels, A, D and the bias for every
 * sequence. Where there is one part only, it is the result itself.
 *
 * @param shape sizes of the scan
 * @param groups groups of channels
 */
record ScanWorkspace(ScanShape shape, int groups) {
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
    void reduce(Parallel pool, RowMath math, MemorySegment memory, ScanGradients out) {
        if (groups > 1) {
            sum(pool, math, memory, 0, groups, rows(), out.b());
            sum(pool, math, memory, sharedRows(), groups, rows(), out.c());
        }
        if (shape.batch() > 1) {
            sum(pool, math, memory, matrixStart(), shape.batch(), matrix(), out.a());
            sum(pool, math, memory, skipStart(), shape.batch(), shape.channels(), out.skip());
            sum(pool, math, memory, biasStart(), shape.batch(), shape.channels(), out.deltaBias());
        }
    }

    private static void sum(Parallel pool, RowMath math, MemorySegment memory, long start, int parts, long size, MemorySegment target) {
        if (target != null) {
            Rows.sumParts(pool, math, memory, start, parts, size, target);
        }
    }
}
