package dev.sequent.fused.optim;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.sequent.fused.LaneSum;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** {@link OptimMath} in vector instructions: runs sliced first, offsets derived from an int, a masked step for the rest. */
final class OptimMathVector implements OptimMath {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = S.length();
    private static final VectorSpecies<Double> D = DoubleVector.SPECIES_PREFERRED;
    /** Floats that fill a vector of doubles. */
    private static final VectorSpecies<Float> HALF = VectorSpecies.of(float.class, VectorShape.forBitSize(D.vectorBitSize() / 2));
    private static final int HALF_LANES = HALF.length();
    private static final long HALF_BYTES = HALF.vectorByteSize();

    private static MemorySegment row(MemorySegment x, long index, int n) {
        return x.asSlice(index << 2, (long) n << 2);
    }

    @Override
    public void adamw(AdamWStep c, MemorySegment ps, MemorySegment gs, MemorySegment ms, MemorySegment vs, long at, int n) {
        MemorySegment p = row(ps, at, n);
        MemorySegment g = row(gs, at, n);
        MemorySegment m = row(ms, at, n);
        MemorySegment v = row(vs, at, n);
        FloatVector rate1 = FloatVector.broadcast(S, (float) (1 - c.beta1()));
        FloatVector rate2 = FloatVector.broadcast(S, (float) (1 - c.beta2()));
        FloatVector keep = FloatVector.broadcast(S, (float) c.keep());
        float scale = (float) c.scale();
        float step = (float) -c.step();
        float root = (float) c.root();
        float eps = (float) c.eps();
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector gv = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN).mul(scale);
            FloatVector mv = FloatVector.fromMemorySegment(S, m, o, LITTLE_ENDIAN);
            FloatVector vv = FloatVector.fromMemorySegment(S, v, o, LITTLE_ENDIAN);
            mv = gv.sub(mv).fma(rate1, mv);
            vv = gv.mul(gv).sub(vv).fma(rate2, vv);
            mv.intoMemorySegment(m, o, LITTLE_ENDIAN);
            vv.intoMemorySegment(v, o, LITTLE_ENDIAN);
            FloatVector update = mv.mul(step).div(vv.sqrt().fma(root, eps));
            FloatVector.fromMemorySegment(S, p, o, LITTLE_ENDIAN).fma(keep, update).intoMemorySegment(p, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            adamwTail(c, p, g, m, v, i, n);
        }
    }

    /** The last, incomplete vector of {@link #adamw}; a method of its own, since C1 cannot compile a method with both parts in it. */
    private static void adamwTail(AdamWStep c, MemorySegment p, MemorySegment g, MemorySegment m, MemorySegment v, int i, int n) {
        long o = (long) i << 2;
        VectorMask<Float> k = S.indexInRange(i, n);
        FloatVector gv = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN, k).mul((float) c.scale());
        FloatVector mv = FloatVector.fromMemorySegment(S, m, o, LITTLE_ENDIAN, k);
        FloatVector vv = FloatVector.fromMemorySegment(S, v, o, LITTLE_ENDIAN, k);
        mv = gv.sub(mv).fma(FloatVector.broadcast(S, (float) (1 - c.beta1())), mv);
        vv = gv.mul(gv).sub(vv).fma(FloatVector.broadcast(S, (float) (1 - c.beta2())), vv);
        mv.intoMemorySegment(m, o, LITTLE_ENDIAN, k);
        vv.intoMemorySegment(v, o, LITTLE_ENDIAN, k);
        FloatVector update = mv.mul((float) -c.step()).div(vv.sqrt().fma((float) c.root(), (float) c.eps()));
        FloatVector.fromMemorySegment(S, p, o, LITTLE_ENDIAN, k).fma(FloatVector.broadcast(S, (float) c.keep()), update)
                .intoMemorySegment(p, o, LITTLE_ENDIAN, k);
    }

    @Override
    public void sgd(SgdStep c, MemorySegment ps, MemorySegment gs, MemorySegment bs, long at, int n) {
        MemorySegment p = row(ps, at, n);
        MemorySegment g = row(gs, at, n);
        MemorySegment b = row(bs, at, n);
        FloatVector momentum = FloatVector.broadcast(S, (float) c.momentum());
        FloatVector decay = FloatVector.broadcast(S, (float) c.decay());
        FloatVector rate = FloatVector.broadcast(S, (float) -c.learningRate());
        // the step is along a gv + k bv: the velocity itself, or Nesterov's look ahead
        float a = c.nesterov() ? 1 : 0;
        float k = c.nesterov() ? (float) c.momentum() : 1;
        float scale = (float) c.scale();
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector pv = FloatVector.fromMemorySegment(S, p, o, LITTLE_ENDIAN);
            FloatVector gv = pv.fma(decay, FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN).mul(scale));
            FloatVector bv = FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN).fma(momentum, gv);
            bv.intoMemorySegment(b, o, LITTLE_ENDIAN);
            gv.mul(a).add(bv.mul(k)).fma(rate, pv).intoMemorySegment(p, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector pv = FloatVector.fromMemorySegment(S, p, o, LITTLE_ENDIAN, m);
            FloatVector gv = pv.fma(decay, FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN, m).mul(scale));
            FloatVector bv = FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN, m).fma(momentum, gv);
            bv.intoMemorySegment(b, o, LITTLE_ENDIAN, m);
            gv.mul(a).add(bv.mul(k)).fma(rate, pv).intoMemorySegment(p, o, LITTLE_ENDIAN, m);
        }
    }

    @Override
    public double sumSquares(MemorySegment gs, long at, int n) {
        MemorySegment g = row(gs, at, n);
        DoubleVector s0 = DoubleVector.zero(D);
        DoubleVector s1 = s0;
        int i = 0;
        for (; i <= n - 2 * HALF_LANES; i += 2 * HALF_LANES) {
            long o = (long) i << 2;
            DoubleVector a = (DoubleVector) FloatVector.fromMemorySegment(HALF, g, o, LITTLE_ENDIAN)
                .convertShape(VectorOperators.F2D, D, 0);
            DoubleVector b = (DoubleVector) FloatVector.fromMemorySegment(HALF, g, o + HALF_BYTES, LITTLE_ENDIAN)
                .convertShape(VectorOperators.F2D, D, 0);
            s0 = a.fma(a, s0);
            s1 = b.fma(b, s1);
        }
        for (; i < n; i += HALF_LANES) {
            DoubleVector a = (DoubleVector) FloatVector
                .fromMemorySegment(HALF, g, (long) i << 2, LITTLE_ENDIAN, HALF.indexInRange(i, n))
                .convertShape(VectorOperators.F2D, D, 0);
            s0 = a.fma(a, s0);
        }
        return LaneSum.of(s0.add(s1));
    }
}
