package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.LANES;
import static dev.sequent.backend.cpu.VectorMath.ORDER;
import static dev.sequent.backend.cpu.VectorMath.S;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** The kernels on the Vector API. This class loads only where the module jdk.incubator.vector is present. */
final class VectorKernels implements Kernels {
    private static final ValueLayout.OfByte B = ValueLayout.JAVA_BYTE;
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
    private static final int NARROWEST_VECTOR_BITS = 64;
    /** Bytes and shorts with as many lanes as S has, or null where such a vector would be too narrow to exist. */
    private static final VectorSpecies<Byte> BYTES = LANES * 8 < NARROWEST_VECTOR_BITS ? null
            : VectorSpecies.of(byte.class, VectorShape.forBitSize(LANES * 8));
    private static final VectorSpecies<Short> SHORTS = LANES * 16 < NARROWEST_VECTOR_BITS ? null
            : VectorSpecies.of(short.class, VectorShape.forBitSize(LANES * 16));

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
        VectorUnary.apply(op, x, xo, y, yo, n);
    }

    @Override
    public void binary(BinaryOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        if (!VectorBinary.apply(op, a, ao, b, bo, y, yo, n)) {
            scalar.binary(op, a, ao, b, bo, y, yo, n);
        }
    }

    @Override
    public void binaryScalar(BinaryOp op, MemorySegment x, long xo, float s, boolean reversed, MemorySegment y, long yo, int n) {
        if (!VectorBinary.applyScalar(op, x, xo, s, reversed, y, yo, n)) {
            scalar.binaryScalar(op, x, xo, s, reversed, y, yo, n);
        }
    }

    @Override
    public void compare(CompareOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        int done = 0;
        if (BYTES != null) {
            done = S.loopBound(n);
            switch (op) {
                case EQ -> equal(a, ao, b, bo, y, yo, done, false);
                case NE -> equal(a, ao, b, bo, y, yo, done, true);
                case LT -> less(a, ao, b, bo, y, yo, done);
                case LE -> lessOrEqual(a, ao, b, bo, y, yo, done);
                case GT -> less(b, bo, a, ao, y, yo, done);
                case GE -> lessOrEqual(b, bo, a, ao, y, yo, done);
            }
        }
        scalar.compare(op, a, ao + 4L * done, b, bo + 4L * done, y, yo + done, n - done);
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
        int done = 0;
        if (BYTES != null) {
            done = S.loopBound(n);
            selectVectors(c, co, a, ao, b, bo, y, yo, done);
        }
        scalar.select(c, co + done, a, ao + 4L * done, b, bo + 4L * done, y, yo + 4L * done, n - done);
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
        int done = 0;
        if (SHORTS != null && from == DType.BF16) {
            done = S.loopBound(n);
            widenVectors(x, xo, y, yo, done);
        }
        scalar.widen(from, x, xo + 2L * done, y, yo + 4L * done, n - done);
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
        int done = 0;
        if (SHORTS != null && to == DType.BF16) {
            done = S.loopBound(n);
            narrowVectors(x, xo, y, yo, done);
        }
        scalar.narrow(to, x, xo + 4L * done, y, yo + 2L * done, n - done);
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
            VectorReduce.accumulateSum(x, xo, stride, rows, y, yo, n);
            return;
        }
        BinaryOp combine = switch (op) {
            case PROD -> BinaryOp.MUL;
            case MAX -> BinaryOp.MAX;
            case MIN -> BinaryOp.MIN;
            case SUM -> BinaryOp.ADD;
        };
        for (int r = 0; r < rows; r++) {
            VectorBinary.apply(combine, y, yo, x, xo + r * stride, y, yo, n);
        }
    }

    @Override
    public void uniform(long seed, long first, MemorySegment y, long yo, int n) {
        scalar.uniform(seed, first, y, yo, n);
    }
}
