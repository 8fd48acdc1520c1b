package dev.sequent.fused.optim;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** {@link OptimMath} in plain loops, for JVMs without the vector module. */
final class OptimMathScalar implements OptimMath {
    @Override
    public void adamw(AdamWStep c, MemorySegment p, MemorySegment g, MemorySegment m, MemorySegment v, long at, int n) {
        for (long i = at; i < at + n; i++) {
            float gv = g.getAtIndex(JAVA_FLOAT, i) * c.scale();
            float mv = m.getAtIndex(JAVA_FLOAT, i);
            float vv = v.getAtIndex(JAVA_FLOAT, i);
            mv += (1 - c.beta1()) * (gv - mv);
            vv += (1 - c.beta2()) * (gv * gv - vv);
            m.setAtIndex(JAVA_FLOAT, i, mv);
            v.setAtIndex(JAVA_FLOAT, i, vv);
            float update = c.step() * mv / (c.root() * (float) Math.sqrt(vv) + c.eps());
            p.setAtIndex(JAVA_FLOAT, i, c.keep() * p.getAtIndex(JAVA_FLOAT, i) - update);
        }
    }

    @Override
    public void sgd(SgdStep c, MemorySegment p, MemorySegment g, MemorySegment b, long at, int n) {
        for (long i = at; i < at + n; i++) {
            float pv = p.getAtIndex(JAVA_FLOAT, i);
            float gv = c.scale() * g.getAtIndex(JAVA_FLOAT, i) + c.decay() * pv;
            float bv = c.momentum() * b.getAtIndex(JAVA_FLOAT, i) + gv;
            b.setAtIndex(JAVA_FLOAT, i, bv);
            p.setAtIndex(JAVA_FLOAT, i, pv - c.learningRate() * (c.nesterov() ? gv + c.momentum() * bv : bv));
        }
    }

    @Override
    public double sumSquares(MemorySegment g, long at, int n) {
        double s = 0;
        for (long i = at; i < at + n; i++) {
            double gv = g.getAtIndex(JAVA_FLOAT, i);
            s += gv * gv;
        }
        return s;
    }
}
