package dev.sequent.fused.optim;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** {@link OptimMath} in plain loops, for JVMs without the vector module. */
final class OptimMathScalar implements OptimMath {
    @Override
    public void adamw(AdamWStep c, MemorySegment p, MemorySegment g, MemorySegment m, MemorySegment v, long at, int n) {
        float rate1 = (float) (1 - c.beta1());
        float rate2 = (float) (1 - c.beta2());
        float eps = (float) c.eps();
        float keep = (float) c.keep();
        float step = (float) c.step();
        float root = (float) c.root();
        float scale = (float) c.scale();
        for (long i = at; i < at + n; i++) {
            float gv = g.getAtIndex(JAVA_FLOAT, i) * scale;
            float mv = m.getAtIndex(JAVA_FLOAT, i);
            float vv = v.getAtIndex(JAVA_FLOAT, i);
            mv += rate1 * (gv - mv);
            vv += rate2 * (gv * gv - vv);
            m.setAtIndex(JAVA_FLOAT, i, mv);
            v.setAtIndex(JAVA_FLOAT, i, vv);
            float update = step * mv / (root * (float) Math.sqrt(vv) + eps);
            p.setAtIndex(JAVA_FLOAT, i, keep * p.getAtIndex(JAVA_FLOAT, i) - update);
        }
    }

    @Override
    public void sgd(SgdStep c, MemorySegment p, MemorySegment g, MemorySegment b, long at, int n) {
        float rate = (float) c.learningRate();
        float momentum = (float) c.momentum();
        float decay = (float) c.decay();
        float scale = (float) c.scale();
        for (long i = at; i < at + n; i++) {
            float pv = p.getAtIndex(JAVA_FLOAT, i);
            float gv = scale * g.getAtIndex(JAVA_FLOAT, i) + decay * pv;
            float bv = momentum * b.getAtIndex(JAVA_FLOAT, i) + gv;
            b.setAtIndex(JAVA_FLOAT, i, bv);
            p.setAtIndex(JAVA_FLOAT, i, pv - rate * (c.nesterov() ? gv + momentum * bv : bv));
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
