package dev.sequent.fused.glu;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.sequent.fused.VectorExp;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** {@link SwigluMath} in vector instructions: rows sliced first, offsets derived from an int, a masked step for the rest of a row. */
final class SwigluMathVector implements SwigluMath {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = S.length();

    private static MemorySegment row(MemorySegment x, long index, int n) {
        return x.asSlice(index << 2, (long) n << 2);
    }

    @Override
    public void forward(MemorySegment gs, long gi, MemorySegment us, long ui, MemorySegment ys, long yi, int n) {
        MemorySegment g = row(gs, gi, n);
        MemorySegment u = row(us, ui, n);
        MemorySegment y = row(ys, yi, n);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector gv = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN);
            FloatVector uv = FloatVector.fromMemorySegment(S, u, o, LITTLE_ENDIAN);
            gv.mul(sigmoid(gv)).mul(uv).intoMemorySegment(y, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector gv = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN, m);
            FloatVector uv = FloatVector.fromMemorySegment(S, u, o, LITTLE_ENDIAN, m);
            gv.mul(sigmoid(gv)).mul(uv).intoMemorySegment(y, o, LITTLE_ENDIAN, m);
        }
    }

    @Override
    public void backward(MemorySegment dys, long dyi, MemorySegment gs, long gi, MemorySegment us, long ui, MemorySegment dgs, long dgi,
            MemorySegment dus, long dui, int n) {
        MemorySegment dy = row(dys, dyi, n);
        MemorySegment g = row(gs, gi, n);
        MemorySegment u = row(us, ui, n);
        MemorySegment dg = row(dgs, dgi, n);
        MemorySegment du = row(dus, dui, n);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector d = FloatVector.fromMemorySegment(S, dy, o, LITTLE_ENDIAN);
            FloatVector gv = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN);
            FloatVector uv = FloatVector.fromMemorySegment(S, u, o, LITTLE_ENDIAN);
            FloatVector s = sigmoid(gv);
            FloatVector silu = gv.mul(s);
            d.mul(silu).intoMemorySegment(du, o, LITTLE_ENDIAN);
            // silu' = s + silu (1 - s)
            silu.fma(s.neg().add(1f), s).mul(d).mul(uv).intoMemorySegment(dg, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector d = FloatVector.fromMemorySegment(S, dy, o, LITTLE_ENDIAN, m);
            FloatVector gv = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN, m);
            FloatVector uv = FloatVector.fromMemorySegment(S, u, o, LITTLE_ENDIAN, m);
            FloatVector s = sigmoid(gv);
            FloatVector silu = gv.mul(s);
            d.mul(silu).intoMemorySegment(du, o, LITTLE_ENDIAN, m);
            silu.fma(s.neg().add(1f), s).mul(d).mul(uv).intoMemorySegment(dg, o, LITTLE_ENDIAN, m);
        }
    }

    /** 1 / (1 + e^-x) by t = e^-|x|, which cannot overflow: 1 / (1 + t) for x >= 0, t / (1 + t) below; 2 ulp. */
    private static FloatVector sigmoid(FloatVector x) {
        FloatVector t = VectorExp.exp(x.abs().neg());
        FloatVector numerator = t.blend(1f, x.compare(VectorOperators.GE, 0f));
        return numerator.div(t.add(1f));
    }
}
