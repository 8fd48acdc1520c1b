package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** {@link TokenLoops} without vector instructions. */
final class ScalarTokenLoops implements TokenLoops {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    @Override
    public int padded(int count) {
        return count;
    }

    @Override
    public void silu(float[] y, int count) {
        for (int j = 0; j < count; j++) {
            y[j] = (float) (y[j] / (1 + Math.exp(-y[j])));
        }
    }

    @Override
    public void gate(float[] y, float[] z, int count) {
        for (int j = 0; j < count; j++) {
            y[j] *= (float) (z[j] / (1 + Math.exp(-z[j])));
        }
    }

    @Override
    public void softplus(float[] y, int count) {
        for (int j = 0; j < count; j++) {
            y[j] = softplus(y[j]);
        }
    }

    /** log(1 + e^x). */
    static float softplus(float x) {
        return (float) (Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))));
    }

    @Override
    public void select(int channels, int states, float[] step, float[] drive, MemorySegment aLog, float[] b, float[] c, MemorySegment h,
            float[] sums) {
        for (int e = 0; e < channels; e++) {
            sums[e] = 0;
            selectRest(e, 0, states, step, drive, aLog, b, c, h, sums);
        }
    }

    /** States from {@code from} on of one channel; adds to its sum. */
    static void selectRest(int e, int from, int states, float[] step, float[] drive, MemorySegment aLog, float[] b, float[] c,
            MemorySegment h, float[] sums) {
        for (int n = from; n < states; n++) {
            long i = (long) e * states + n;
            float decay = (float) Math.exp(-step[e] * Math.exp(aLog.getAtIndex(F32, i)));
            float next = Math.fma(decay, h.getAtIndex(F32, i), drive[e] * b[n]);
            h.setAtIndex(F32, i, next);
            sums[e] = Math.fma(next, c[n], sums[e]);
        }
    }

    @Override
    public void advance(int width, int states, float decay, float step, float[] x, float[] b, float[] c, MemorySegment h, float[] sums) {
        for (int p = 0; p < width; p++) {
            sums[p] = 0;
            advanceRest(p, 0, states, decay, step * x[p], b, c, h, sums);
        }
    }

    /** States from {@code from} on of one row; adds to its sum. */
    static void advanceRest(int p, int from, int states, float decay, float drive, float[] b, float[] c, MemorySegment h, float[] sums) {
        for (int n = from; n < states; n++) {
            long i = (long) p * states + n;
            float next = Math.fma(decay, h.getAtIndex(F32, i), drive * b[n]);
            h.setAtIndex(F32, i, next);
            sums[p] = Math.fma(next, c[n], sums[p]);
        }
    }
}
