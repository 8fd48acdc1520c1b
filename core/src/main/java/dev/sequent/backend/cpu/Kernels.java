package dev.sequent.backend.cpu;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.Philox;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;

/**
 * Loops over rows of F32 numbers in native memory, on one thread. A row is a segment, the position of its first element in bytes, and
 * a count; outputs may not overlap inputs, except that they may be the same row. Segments are always native, never backed by the heap.
 */
interface Kernels {
    /** What the kernels use of the machine, in a few words. */
    String description();

    /** Whether these kernels use vector instructions. */
    boolean vectorised();

    /** {@code y[i] = op(x[i])}. */
    void unary(UnaryOp op, MemorySegment x, long xo, MemorySegment y, long yo, int n);

    /** {@code y[i] = op(a[i], b[i])}. */
    void binary(BinaryOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n);

    /** {@code y[i] = op(x[i], s)}, or {@code op(s, x[i])} when reversed. */
    void binaryScalar(BinaryOp op, MemorySegment x, long xo, float s, boolean reversed, MemorySegment y, long yo, int n);

    /** {@code y[i] = op(a[i], b[i])} as bytes 0 and 1. */
    void compare(CompareOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n);

    /** {@code y[i] = c[i] != 0 ? a[i] : b[i]} for a condition in bytes. */
    void select(MemorySegment c, long co, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n);

    /** {@code y[i] = value}. */
    void fill(float value, MemorySegment y, long yo, int n);

    /** BF16, F16 or BOOL to F32. */
    void widen(DType from, MemorySegment x, long xo, MemorySegment y, long yo, int n);

    /** F32 to BF16 or F16, rounded to nearest even. */
    void narrow(DType to, MemorySegment x, long xo, MemorySegment y, long yo, int n);

    /** {@code y[r] = op over x[r][0..n)} for rows that are {@code stride} bytes apart. */
    void reduceRows(ReduceOp op, MemorySegment x, long xo, long stride, int rows, int n, MemorySegment y, long yo);

    /** {@code y[i] = op(y[i], op over r of x[r][i])} for rows that are {@code stride} bytes apart. */
    void accumulateRows(ReduceOp op, MemorySegment x, long xo, long stride, int rows, MemorySegment y, long yo, int n);

    /**
     * Transposes a block of elements of four bytes: element i of target row j becomes element j of source row i, for i below {@code m}
     * and j below {@code n}. Rows are {@code xs} and {@code ys} bytes apart.
     */
    void transpose(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int n, int m);

    /** Copies {@code rows} rows of {@code n} elements of four bytes; rows are {@code xs} and {@code ys} bytes apart. */
    void copyRows(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int rows, int n);

    /** Copies {@code n} elements of four bytes in the opposite order; {@code xo} is the position of the first one, which lies last. */
    void reverse(MemorySegment x, long xo, MemorySegment y, long yo, int n);

    /**
     * Copies {@code rows} short rows, {@code row} bytes apart, to rows without gaps: each one {@code n} elements of four bytes, or one
     * element repeated {@code n} times.
     */
    void expand(MemorySegment x, long xo, long row, boolean repeat, int rows, int n, MemorySegment y, long yo);

    /** Elements {@code first + i} of the uniform stream of {@link Philox}. */
    void uniform(long seed, long first, MemorySegment y, long yo, int n);
}
