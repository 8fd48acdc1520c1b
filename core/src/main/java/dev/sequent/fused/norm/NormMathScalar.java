package dev.sequent.fused.norm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** {@link NormMath} in plain loops, for JVMs without the vector module. */
final class NormMathScalar implements NormMath {
    @Override
    public void apply(MemorySegment x, long xi, float shift, float factor, MemorySegment w, MemorySegment y, long yi, int n) {
        for (int i = 0; i < n; i++) {
            y.setAtIndex(JAVA_FLOAT, yi + i, (x.getAtIndex(JAVA_FLOAT, xi + i) - shift) * factor * w.getAtIndex(JAVA_FLOAT, i));
        }
    }

    @Override
    public void apply(MemorySegment x, long xi, float shift, float factor, MemorySegment w, MemorySegment b, MemorySegment y, long yi,
            int n) {
        for (int i = 0; i < n; i++) {
            float z = (x.getAtIndex(JAVA_FLOAT, xi + i) - shift) * factor;
            y.setAtIndex(JAVA_FLOAT, yi + i, z * w.getAtIndex(JAVA_FLOAT, i) + b.getAtIndex(JAVA_FLOAT, i));
        }
    }

    @Override
    public float weightedDot(MemorySegment g, long gi, MemorySegment w, MemorySegment x, long xi, float shift, int n) {
        double s = 0;
        for (int i = 0; i < n; i++) {
            s += (double) g.getAtIndex(JAVA_FLOAT, gi + i) * w.getAtIndex(JAVA_FLOAT, i) * (x.getAtIndex(JAVA_FLOAT, xi + i) - shift);
        }
        return (float) s;
    }

    @Override
    public void gradient(MemorySegment g, long gi, MemorySegment w, MemorySegment x, long xi, float shift, float factor, float offset,
            float slope, MemorySegment dx, long dxi, MemorySegment dw, long dwi, int n) {
        for (int i = 0; i < n; i++) {
            float gv = g.getAtIndex(JAVA_FLOAT, gi + i);
            float z = (x.getAtIndex(JAVA_FLOAT, xi + i) - shift) * factor;
            dx.setAtIndex(JAVA_FLOAT, dxi + i, factor * (gv * w.getAtIndex(JAVA_FLOAT, i) - offset - slope * z));
            dw.setAtIndex(JAVA_FLOAT, dwi + i, dw.getAtIndex(JAVA_FLOAT, dwi + i) + gv * z);
        }
    }
}
