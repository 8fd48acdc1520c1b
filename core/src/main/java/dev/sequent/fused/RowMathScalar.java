package dev.sequent.fused;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** {@link RowMath} in plain loops, for JVMs without the vector module. */
final class RowMathScalar implements RowMath {
    @Override
    public float sum(MemorySegment a, long ai, int n) {
        double s = 0;
        for (int i = 0; i < n; i++) {
            s += a.getAtIndex(JAVA_FLOAT, ai + i);
        }
        return (float) s;
    }

    @Override
    public float sumSquares(MemorySegment a, long ai, float shift, int n) {
        double s = 0;
        for (int i = 0; i < n; i++) {
            double d = a.getAtIndex(JAVA_FLOAT, ai + i) - shift;
            s += d * d;
        }
        return (float) s;
    }

    @Override
    public float dot(MemorySegment a, long ai, MemorySegment b, long bi, int n) {
        double s = 0;
        for (int i = 0; i < n; i++) {
            s += (double) a.getAtIndex(JAVA_FLOAT, ai + i) * b.getAtIndex(JAVA_FLOAT, bi + i);
        }
        return (float) s;
    }

    @Override
    public float max(MemorySegment a, long ai, int n) {
        float m = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < n; i++) {
            float v = a.getAtIndex(JAVA_FLOAT, ai + i);
            m = v > m ? v : m;
        }
        return m;
    }

    @Override
    public void add(MemorySegment a, long ai, MemorySegment b, long bi, MemorySegment y, long yi, int n) {
        for (int i = 0; i < n; i++) {
            y.setAtIndex(JAVA_FLOAT, yi + i, a.getAtIndex(JAVA_FLOAT, ai + i) + b.getAtIndex(JAVA_FLOAT, bi + i));
        }
    }

    @Override
    public void scale(MemorySegment a, long ai, float factor, MemorySegment y, long yi, int n) {
        for (int i = 0; i < n; i++) {
            y.setAtIndex(JAVA_FLOAT, yi + i, a.getAtIndex(JAVA_FLOAT, ai + i) * factor);
        }
    }

    @Override
    public double sumExp(MemorySegment a, long ai, float shift, int n) {
        double s = 0;
        for (int i = 0; i < n; i++) {
            s += Math.exp(a.getAtIndex(JAVA_FLOAT, ai + i) - shift);
        }
        return s;
    }

    @Override
    public double exp(MemorySegment a, long ai, float shift, MemorySegment y, long yi, int n) {
        double s = 0;
        for (int i = 0; i < n; i++) {
            float e = (float) Math.exp(a.getAtIndex(JAVA_FLOAT, ai + i) - shift);
            y.setAtIndex(JAVA_FLOAT, yi + i, e);
            s += e;
        }
        return s;
    }

    @Override
    public void mulShifted(MemorySegment a, long ai, MemorySegment b, long bi, float shift, MemorySegment y, long yi, int n) {
        for (int i = 0; i < n; i++) {
            y.setAtIndex(JAVA_FLOAT, yi + i, a.getAtIndex(JAVA_FLOAT, ai + i) * (b.getAtIndex(JAVA_FLOAT, bi + i) - shift));
        }
    }
}
