package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.LANES;
import static dev.sequent.backend.cpu.VectorMath.ORDER;
import static dev.sequent.backend.cpu.VectorMath.S;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.Philox;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** The kernels on the Vector API. This class loads only where the module jdk.incubator.vector is present. */
final class VectorKernels implements Kernels {
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
    private static final int NARROWEST_VECTOR_BITS = 64;
    /** Bytes and shorts with as many lanes as S has, or null where such a vector would be too narrow to exist. */
    private static final VectorSpecies<Byte> BYTES = LANES * 8 < NARROWEST_VECTOR_BITS ? null
            : VectorSpecies.of(byte.class, VectorShape.forBitSize(LANES * 8));
    private static final VectorSpecies<Short> SHORTS = LANES * 16 < NARROWEST_VECTOR_BITS ? null
            : VectorSpecies.of(short.class, VectorShape.forBitSize(LANES * 16));

    private static final ValueLayout.OfFloat F = ValueLayout.JAVA_FLOAT_UNALIGNED;
    /** Rows of more elements are copied by the library, which needs longer to start. */
    private static final int LONG_ROW = 1_024;
    private static final VectorShuffle<Float> BACKWARDS = VectorShuffle.iota(S, LANES - 1, -1, false);
    /** Positions in the edge memory: operands at 0 and here, the result last. */
    private static final long SECOND = LANES * 4L;
    private static final long RESULT = LANES * 8L;

    /** Room for the rest of a row that does not fill a vector, padded to one. */
    private final ThreadLocal<MemorySegment> edge = ThreadLocal.withInitial(
            () -> Arena.ofAuto().allocate(LANES * 12L, NativeMemory.ALIGNMENT));
    private final ThreadLocal<float[]> tile = ThreadLocal.withInitial(() -> new float[VectorTranspose.elements()]);
    private final ScalarKernels scalar = new ScalarKernels("no vector form");

    @Override
    public String description() {
        return S.vectorBitSize() + "-bit vector kernels";
    }

    @Override
    public boolean vectorised() {
        return true;
    }

    @Override
    public void unary(UnaryOp op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        unaryRow(op, x, xo, y, yo, n);
        if (op == UnaryOp.SIN || op == UnaryOp.COS) {
            for (int i = 0; i < n; i++) {
                if (!(Math.abs(x.get(F, xo + 4L * i)) <= VectorMath.MAX_ANGLE)) {
                    scalar.unary(op, x, xo + 4L * i, y, yo + 4L * i, 1);
                }
            }
        }
    }

    private void unaryRow(UnaryOp op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        int whole = S.loopBound(n);
        if (whole > 0) {
            VectorUnary.apply(op, x, xo, y, yo, whole);
        }
        if (whole == n) {
            return;
        }
        if (overlaps(whole, x, xo, y, yo)) {
            long last = (n - LANES) * 4L;
            VectorUnary.apply(op, x, xo + last, y, yo + last, LANES);
            return;
        }
        MemorySegment e = edge.get();
        MemorySegment.copy(x, xo + whole * 4L, e, 0, (n - whole) * 4L);
        VectorUnary.apply(op, e, 0, e, RESULT, LANES);
        MemorySegment.copy(e, RESULT, y, yo + whole * 4L, (n - whole) * 4L);
    }

    /**
     * Whether the rest of a row may be computed by a last vector that overlaps the one before: not in rows of less than a vector, and not
     * in place, where the overlap would be computed twice.
     */
    private static boolean overlaps(int whole, MemorySegment x, long xo, MemorySegment y, long yo) {
        return whole > 0 && x.address() + xo != y.address() + yo;
    }

    @Override
    public void binary(BinaryOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        if (!VectorBinary.supports(op)) {
            scalar.binary(op, a, ao, b, bo, y, yo, n);
            return;
        }
        int whole = S.loopBound(n);
        if (whole > 0) {
            VectorBinary.apply(op, a, ao, b, bo, y, yo, whole);
        }
        if (whole == n) {
            return;
        }
        if (overlaps(whole, a, ao, y, yo) && overlaps(whole, b, bo, y, yo)) {
            long last = (n - LANES) * 4L;
            VectorBinary.apply(op, a, ao + last, b, bo + last, y, yo + last, LANES);
            return;
        }
        MemorySegment e = edge.get();
        MemorySegment.copy(a, ao + whole * 4L, e, 0, (n - whole) * 4L);
        MemorySegment.copy(b, bo + whole * 4L, e, SECOND, (n - whole) * 4L);
        VectorBinary.apply(op, e, 0, e, SECOND, e, RESULT, LANES);
        MemorySegment.copy(e, RESULT, y, yo + whole * 4L, (n - whole) * 4L);
    }

    @Override
    public void binaryScalar(BinaryOp op, MemorySegment x, long xo, float s, boolean reversed, MemorySegment y, long yo, int n) {
        if (op == BinaryOp.POW && s == 2 && !reversed) {
            unary(UnaryOp.SQUARE, x, xo, y, yo, n);
            return;
        }
        if (!VectorBinary.supports(op)) {
            scalar.binaryScalar(op, x, xo, s, reversed, y, yo, n);
            return;
        }
        int whole = S.loopBound(n);
        if (whole > 0) {
            VectorBinary.applyScalar(op, x, xo, s, reversed, y, yo, whole);
        }
        if (whole == n) {
            return;
        }
        if (overlaps(whole, x, xo, y, yo)) {
            long last = (n - LANES) * 4L;
            VectorBinary.applyScalar(op, x, xo + last, s, reversed, y, yo + last, LANES);
            return;
        }
        MemorySegment e = edge.get();
        MemorySegment.copy(x, xo + whole * 4L, e, 0, (n - whole) * 4L);
        VectorBinary.applyScalar(op, e, 0, s, reversed, e, RESULT, LANES);
        MemorySegment.copy(e, RESULT, y, yo + whole * 4L, (n - whole) * 4L);
    }

    @Override
    public void compare(CompareOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        if (BYTES == null || n < LANES) {
            scalar.compare(op, a, ao, b, bo, y, yo, n);
            return;
        }
        int whole = S.loopBound(n);
        compareVectors(op, a, ao, b, bo, y, yo, whole);
        if (whole < n) {
            long last = n - LANES;
            compareVectors(op, a, ao + last * 4, b, bo + last * 4, y, yo + last, LANES);
        }
    }

    private static void compareVectors(CompareOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        switch (op) {
            case EQ -> equal(a, ao, b, bo, y, yo, n, false);
            case NE -> equal(a, ao, b, bo, y, yo, n, true);
            case LT -> less(a, ao, b, bo, y, yo, n);
            case LE -> lessOrEqual(a, ao, b, bo, y, yo, n);
            case GT -> less(b, bo, a, ao, y, yo, n);
            case GE -> lessOrEqual(b, bo, a, ao, y, yo, n);
        }
    }

    private static void equal(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n, boolean not) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n);
        ByteVector hit = ByteVector.broadcast(BYTES, (byte) (not ? 0 : 1));
        ByteVector miss = ByteVector.broadcast(BYTES, (byte) (not ? 1 : 0));
        for (int i = 0; i < n; i += LANES) {
            VectorMask<Float> m = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER)
                    .compare(VectorOperators.EQ, FloatVector.fromMemorySegment(S, r, i * 4L, ORDER));
            miss.blend(hit, m.cast(BYTES)).intoMemorySegment(t, i, ORDER);
        }
    }

    private static void less(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n);
        for (int i = 0; i < n; i += LANES) {
            VectorMask<Float> m = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER)
                    .compare(VectorOperators.LT, FloatVector.fromMemorySegment(S, r, i * 4L, ORDER));
            ByteVector.zero(BYTES).blend((byte) 1, m.cast(BYTES)).intoMemorySegment(t, i, ORDER);
        }
    }

    private static void lessOrEqual(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n);
        for (int i = 0; i < n; i += LANES) {
            VectorMask<Float> m = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER)
                    .compare(VectorOperators.LE, FloatVector.fromMemorySegment(S, r, i * 4L, ORDER));
            ByteVector.zero(BYTES).blend((byte) 1, m.cast(BYTES)).intoMemorySegment(t, i, ORDER);
        }
    }

    @Override
    public void select(MemorySegment c, long co, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        if (BYTES == null || n < LANES) {
            scalar.select(c, co, a, ao, b, bo, y, yo, n);
            return;
        }
        int whole = S.loopBound(n);
        selectVectors(c, co, a, ao, b, bo, y, yo, whole);
        if (whole < n) {
            long last = n - LANES;
            selectVectors(c, co + last, a, ao + last * 4, b, bo + last * 4, y, yo + last * 4, LANES);
        }
    }

    private static void selectVectors(MemorySegment c, long co, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y,
            long yo, int n) {
        MemorySegment q = c.asSlice(co, n);
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            VectorMask<Float> m = ByteVector.fromMemorySegment(BYTES, q, i, ORDER).compare(VectorOperators.NE, (byte) 0).cast(S);
            FloatVector.fromMemorySegment(S, r, i * 4L, ORDER).blend(FloatVector.fromMemorySegment(S, s, i * 4L, ORDER), m)
                    .intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    @Override
    public void fill(float value, MemorySegment y, long yo, int n) {
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector v = FloatVector.broadcast(S, value);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            v.intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            v.intoMemorySegment(t, i * 4L, ORDER, S.indexInRange(i, n));
        }
    }

    @Override
    public void widen(DType from, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        if (SHORTS == null || n < LANES || from == DType.F16) {
            scalar.widen(from, x, xo, y, yo, n);
            return;
        }
        if (from == DType.BOOL) {
            if (BYTES == null) {
                scalar.widen(from, x, xo, y, yo, n);
                return;
            }
            int whole = S.loopBound(n);
            ones(x, xo, y, yo, whole);
            if (whole < n) {
                ones(x, xo + n - LANES, y, yo + (n - LANES) * 4L, LANES);
            }
            return;
        }
        int whole = S.loopBound(n);
        widenVectors(x, xo, y, yo, whole);
        if (whole < n) {
            long last = n - LANES;
            widenVectors(x, xo + last * 2, y, yo + last * 4, LANES);
        }
    }

    private static void ones(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            VectorMask<Float> m = ByteVector.fromMemorySegment(BYTES, s, i, ORDER).compare(VectorOperators.NE, (byte) 0).cast(S);
            FloatVector.zero(S).blend(1f, m).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void widenVectors(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 2L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            IntVector v = (IntVector) ShortVector.fromMemorySegment(SHORTS, s, i * 2L, ORDER)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0);
            v.lanewise(VectorOperators.LSHL, 16).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    @Override
    public void narrow(DType to, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        if (SHORTS == null || n < LANES || to != DType.BF16) {
            scalar.narrow(to, x, xo, y, yo, n);
            return;
        }
        int whole = S.loopBound(n);
        narrowVectors(x, xo, y, yo, whole);
        if (whole < n) {
            long last = n - LANES;
            narrowVectors(x, xo + last * 4, y, yo + last * 2, LANES);
        }
    }

    private static void narrowVectors(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 2L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector f = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            IntVector bits = f.reinterpretAsInts();
            IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).lanewise(VectorOperators.AND, 1);
            IntVector rounded = bits.add(odd).add(0x7FFF);
            // rounding could carry a NaN into an infinity; it keeps its sign and payload and becomes quiet instead
            IntVector nan = bits.lanewise(VectorOperators.OR, 0x400000);
            IntVector v = rounded.blend(nan, f.compare(VectorOperators.NE, f).cast(INTS)).lanewise(VectorOperators.LSHR, 16);
            ((ShortVector) v.convertShape(VectorOperators.I2S, SHORTS, 0)).intoMemorySegment(t, i * 2L, ORDER);
        }
    }

    @Override
    public void reduceRows(ReduceOp op, MemorySegment x, long xo, long stride, int rows, int n, MemorySegment y, long yo) {
        if (!VectorReduce.rows(op, x, xo, stride, rows, n, y, yo)) {
            scalar.reduceRows(op, x, xo, stride, rows, n, y, yo);
        }
    }

    @Override
    public void accumulateRows(ReduceOp op, MemorySegment x, long xo, long stride, int rows, MemorySegment y, long yo, int n) {
        if (op == ReduceOp.SUM) {
            int r = VectorReduce.accumulateSum(x, xo, stride, rows, y, yo, n);
            for (; r < rows; r++) {
                binary(BinaryOp.ADD, y, yo, x, xo + r * stride, y, yo, n);
            }
            return;
        }
        BinaryOp combine = switch (op) {
            case PROD -> BinaryOp.MUL;
            case MAX -> BinaryOp.MAX;
            case MIN -> BinaryOp.MIN;
            case SUM -> BinaryOp.ADD;
        };
        for (int r = 0; r < rows; r++) {
            binary(combine, y, yo, x, xo + r * stride, y, yo, n);
        }
    }

    @Override
    public void transpose(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int n, int m) {
        float[] buffer = tile.get();
        int high = S.loopBound(m);
        int wide = S.loopBound(n);
        for (int j = 0; j < wide; j += VectorTranspose.SIDE) {
            int columns = Math.min(VectorTranspose.SIDE, wide - j);
            for (int i = 0; i < high; i += VectorTranspose.SIDE) {
                VectorTranspose.block(x, xo + i * xs + 4L * j, xs, y, yo + j * ys + 4L * i, ys, columns, Math.min(VectorTranspose.SIDE,
                        high - i), buffer);
            }
        }
        scalar.transpose(x, xo + 4L * wide, xs, y, yo + wide * ys, ys, n - wide, high);
        scalar.transpose(x, xo + high * xs, xs, y, yo + 4L * high, ys, n, m - high);
    }

    @Override
    public void copyRows(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int rows, int n) {
        if (n > LONG_ROW) {
            scalar.copyRows(x, xo, xs, y, yo, ys, rows, n);
        } else if (n >= LANES) {
            copyWideRows(x, xo, xs, y, yo, ys, rows, n);
        } else {
            copyNarrowRows(x, xo, xs, y, yo, ys, rows, n);
        }
    }

    /** The last vector of a row overlaps the one before. */
    private static void copyWideRows(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int rows, int n) {
        int last = n - LANES;
        for (int r = 0; r < rows; r++) {
            MemorySegment s = x.asSlice(xo + r * xs, n * 4L);
            MemorySegment t = y.asSlice(yo + r * ys, n * 4L);
            for (int i = 0; i < last; i += LANES) {
                FloatVector.fromMemorySegment(S, s, i * 4L, ORDER).intoMemorySegment(t, i * 4L, ORDER);
            }
            FloatVector.fromMemorySegment(S, s, last * 4L, ORDER).intoMemorySegment(t, last * 4L, ORDER);
        }
    }

    private static void copyNarrowRows(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int rows, int n) {
        VectorMask<Float> m = S.indexInRange(0, n);
        for (int r = 0; r < rows; r++) {
            FloatVector.fromMemorySegment(S, x, xo + r * xs, ORDER, m).intoMemorySegment(y, yo + r * ys, ORDER, m);
        }
    }

    @Override
    public void reverse(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        int whole = S.loopBound(n);
        reverseVectors(x, xo, y, yo, whole);
        scalar.reverse(x, xo - whole * 4L, y, yo + whole * 4L, n - whole);
    }

    private static void reverseVectors(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo - n * 4L + 4, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector.fromMemorySegment(S, s, (n - LANES - i) * 4L, ORDER).rearrange(BACKWARDS).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    @Override
    public void expand(MemorySegment x, long xo, long row, boolean repeat, int rows, int n, MemorySegment y, long yo) {
        int whole = repeat && n <= LANES ? rows - LANES : 0;
        if (whole > 0) {
            repeatRows(x, xo, row, whole, n, y, yo);
        }
        int done = Math.max(0, whole);
        scalar.expand(x, xo + done * row, row, repeat, rows - done, n, y, yo + 4L * done * n);
    }

    /** Each vector reaches into the rows after its own, which are written later. */
    private static void repeatRows(MemorySegment x, long xo, long row, int rows, int n, MemorySegment y, long yo) {
        MemorySegment s = x.asSlice(xo);
        MemorySegment t = y.asSlice(yo);
        for (int r = 0; r < rows; r++) {
            FloatVector.broadcast(S, s.get(F, r * row)).intoMemorySegment(t, r * n * 4L, ORDER);
        }
    }

    @Override
    public void uniform(long seed, long first, MemorySegment y, long yo, int n) {
        int head = Math.min(n, (int) (-first & Philox.WORDS - 1));
        int batches = (n - head) / VectorPhilox.BATCH;
        int tail = head + batches * VectorPhilox.BATCH;
        scalar.uniform(seed, first, y, yo, head);
        VectorPhilox.batches(seed, first + head >> 2, y, yo + 4L * head, batches);
        scalar.uniform(seed, first + tail, y, yo + 4L * tail, n - tail);
    }
}
