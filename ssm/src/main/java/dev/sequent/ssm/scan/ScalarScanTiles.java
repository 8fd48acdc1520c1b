package dev.sequent.ssm.scan;

import dev.sequent.op.ScalarMath;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The loops of the selective scan without the Vector API: slow, and always available. */
final class ScalarScanTiles implements ScanTiles {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int W = 16;
    private static final double LN2 = Math.log(2);

    @Override
    public int width() {
        return W;
    }

    @Override
    public int lanes() {
        return 1;
    }

    private static float at(MemorySegment source, long index) {
        return source.getAtIndex(F32, index);
    }

    private static void put(MemorySegment target, long index, float value) {
        target.setAtIndex(F32, index, value);
    }

    private static void add(MemorySegment target, long index, float value) {
        target.setAtIndex(F32, index, target.getAtIndex(F32, index) + value);
    }

    /** exp(step A), given log2(e) A. */
    private static float decay(float step, float a) {
        return (float) Math.exp(step * (a * LN2));
    }

    @Override
    public float prepare(ScanScratch s, int rows, boolean softplus, MemorySegment delta, long deltaStride, MemorySegment u, long uStride) {
        float largest = 0;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j++) {
                float x = at(delta, t * deltaStride + j) + at(s.bias, j);
                float d = softplus ? (float) ScalarMath.softplus(x) : x;
                largest = Math.max(largest, Math.abs(d));
                put(s.step, t * W + j, d);
                put(s.drive, t * W + j, d * at(u, t * uStride + j));
            }
        }
        return largest;
    }

    @Override
    public void softplusSteps(ScanScratch s, int rows, MemorySegment delta, long deltaStride) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j++) {
                put(s.step, t * W + j, (float) ScalarMath.softplus(at(delta, t * deltaStride + j) + at(s.bias, j)));
            }
        }
    }

    @Override
    public void plainSteps(ScanScratch s, int rows, MemorySegment delta, long deltaStride) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j++) {
                put(s.step, t * W + j, at(delta, t * deltaStride + j) + at(s.bias, j));
            }
        }
    }

    @Override
    public float largest(int rows, MemorySegment x, long stride) {
        float largest = 0;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j++) {
                largest = Math.max(largest, Math.abs(at(x, t * stride + j)));
            }
        }
        return largest;
    }

    @Override
    public void scan(ScanScratch s, int from, int to, StateRange range, boolean bounded, ScanLayout.Window step, ScanLayout.Window u,
            ScanLayout.Window partial, ScanLayout.Window out) {
        int states = range.count();
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j++) {
                float d = at(step.segment(), t * step.stride() + j);
                float x = at(u.segment(), t * u.stride() + j);
                float y = range.isFirst() ? x * at(s.skip, j) : at(partial.segment(), t * partial.stride() + j);
                for (int n = range.from(); n < range.to(); n++) {
                    int i = n * W + j;
                    float h = decay(d, at(s.a, i)) * at(s.state, i) + d * x * at(s.b, t * states + n);
                    put(s.state, i, h);
                    y += h * at(s.c, t * states + n);
                }
                put(out.segment(), t * out.stride() + j, y);
            }
        }
    }

    @Override
    public void gate(ScanScratch s, int from, int to, MemorySegment z, long zStride, MemorySegment y, long yStride) {
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j++) {
                float gate = at(z, t * zStride + j);
                put(y, t * yStride + j, at(s.out, t * W + j) * (float) (gate * ScalarMath.sigmoid(gate)));
            }
        }
    }

    @Override
    public void finish(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment z, long zStride,
            MemorySegment y, long yStride) {
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j++) {
                float value = at(s.out, t * W + j) + at(s.skip, j) * at(u, t * uStride + j);
                if (z != null) {
                    float gate = at(z, t * zStride + j);
                    value *= (float) (gate * ScalarMath.sigmoid(gate));
                }
                put(y, t * yStride + j, value);
            }
        }
    }

    @Override
    public float prepareBackward(ScanScratch s, int rows, boolean softplus, MemorySegment delta, long deltaStride, MemorySegment u,
            long uStride,
            MemorySegment z, long zStride, MemorySegment dy, long dyStride) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j++) {
                int i = t * W + j;
                float g = at(dy, t * dyStride + j);
                put(s.slope, i, softplus ? (float) ScalarMath.sigmoid(at(delta, t * deltaStride + j) + at(s.bias, j)) : 1);
                if (z == null) {
                    put(s.grad, i, g);
                } else {
                    double gate = at(z, t * zStride + j);
                    double p = ScalarMath.sigmoid(gate);
                    put(s.grad, i, (float) (g * gate * p));
                    put(s.gateGrad, i, (float) (g * p * (1 + gate * ScalarMath.sigmoid(-gate))));
                }
            }
        }
        return prepare(s, rows, softplus, delta, deltaStride, u, uStride);
    }

    @Override
    public void replay(ScanScratch s, int from, int to, StateRange range, boolean bounded) {
        int states = range.count();
        int next = states * W;
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j++) {
                float y = at(s.out, t * W + j);
                for (int n = range.from(); n < range.to(); n++) {
                    int m = t * next + n * W + j;
                    float e = decay(at(s.step, t * W + j), at(s.a, n * W + j));
                    float h = e * at(s.before, m) + at(s.drive, t * W + j) * at(s.b, t * states + n);
                    put(s.decay, m, e);
                    put(s.before, m + next, h);
                    y += h * at(s.c, t * states + n);
                    add(s.cGrad, t * states + n, h * at(s.grad, t * W + j));
                }
                put(s.out, t * W + j, y);
            }
        }
    }

    @Override
    public void reverse(ScanScratch s, int from, int to, StateRange range) {
        int states = range.count();
        for (int t = to - 1; t >= from; t--) {
            for (int j = 0; j < W; j++) {
                float step = at(s.step, t * W + j);
                float drive = at(s.drive, t * W + j);
                float dDrive = at(s.driveGrad, t * W + j);
                float dStep = at(s.stepGrad, t * W + j);
                for (int n = range.from(); n < range.to(); n++) {
                    int i = n * W + j;
                    int m = t * states * W + i;
                    float g = at(s.carry, i) + at(s.grad, t * W + j) * at(s.c, t * states + n);
                    add(s.bGrad, t * states + n, g * drive);
                    dDrive += g * at(s.b, t * states + n);
                    float p = g * at(s.decay, m);
                    put(s.carry, i, p);
                    float q = p * at(s.before, m);
                    dStep += q * at(s.a, i);
                    add(s.aGrad, i, q * step);
                }
                put(s.driveGrad, t * W + j, dDrive);
                put(s.stepGrad, t * W + j, dStep);
            }
        }
    }

    @Override
    public void finishBackward(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment du, long duStride,
            MemorySegment dDelta, long dDeltaStride, MemorySegment dz, long dzStride) {
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j++) {
                int i = t * W + j;
                float x = at(u, t * uStride + j);
                float g = at(s.grad, i);
                float d = ((float) LN2 * at(s.stepGrad, i) + x * at(s.driveGrad, i)) * at(s.slope, i);
                put(du, t * duStride + j, at(s.driveGrad, i) * at(s.step, i) + g * at(s.skip, j));
                put(dDelta, t * dDeltaStride + j, d);
                add(s.skipGrad, j, g * x);
                add(s.biasGrad, j, d);
                if (dz != null) {
                    put(dz, t * dzStride + j, (at(s.out, i) + at(s.skip, j) * x) * at(s.gateGrad, i));
                }
            }
        }
    }

    @Override
    public void sumLanes(int count, MemorySegment source, MemorySegment target) {
        MemorySegment.copy(source, 0, target, 0, (long) count * Float.BYTES);
    }

    @Override
    public void step(ScanScratch s, int channels, int states, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment before,
            MemorySegment after) {
        for (int e = 0; e < channels; e++) {
            float y = 0;
            for (int n = 0; n < states; n++) {
                long i = (long) e * states + n;
                float h = before == null ? 0 : at(before, i);
                h = (float) Math.exp(at(s.step, e) * (double) at(a, i)) * h + at(s.drive, e) * at(b, n);
                put(after, i, h);
                y += h * at(c, n);
            }
            put(s.out, e, y);
        }
    }
}
