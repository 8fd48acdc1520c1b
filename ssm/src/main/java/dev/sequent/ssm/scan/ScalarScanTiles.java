package dev.sequent.ssm.scan;

import dev.sequent.fused.RowMath;
import dev.sequent.op.ScalarMath;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.DoubleUnaryOperator;

/** The loops of the selective scan without the Vector API: slow, and always available. */
final class ScalarScanTiles implements ScanTiles {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int W = 16;
    private static final double LN2 = Math.log(2);

    @Override
    public RowMath rowMath() {
        return RowMath.of(false);
    }

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

    private static void activate(ScanScratch s, int rows, int columns, DoubleUnaryOperator activation) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j++) {
                int i = t * s.stride + j;
                put(s.steps, i, (float) activation.applyAsDouble(at(s.steps, i) + at(s.bias, j)));
            }
        }
    }

    @Override
    public void plainSteps(ScanScratch s, int rows, int columns) {
        activate(s, rows, columns, x -> x);
    }

    @Override
    public void softplusSteps(ScanScratch s, int rows, int columns) {
        activate(s, rows, columns, ScalarMath::softplus);
    }

    @Override
    public void softplusSlopes(ScanScratch s, int rows, int columns) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j++) {
                int i = t * s.stride + j;
                put(s.slopes, i, (float) ScalarMath.sigmoid(at(s.steps, i) + at(s.bias, j)));
            }
        }
        softplusSteps(s, rows, columns);
    }

    @Override
    public void gate(ScanScratch s, int rows, int columns) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j++) {
                int i = t * s.stride + j;
                float z = at(s.gates, i);
                put(s.outs, i, at(s.outs, i) * (float) (z * ScalarMath.sigmoid(z)));
            }
        }
    }

    @Override
    public void gateSlopes(ScanScratch s, int rows, int columns) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j++) {
                int i = t * s.stride + j;
                float g = at(s.grads, i);
                double z = at(s.gates, i);
                double p = ScalarMath.sigmoid(z);
                put(s.grads, i, (float) (g * z * p));
                put(s.gates, i, (float) (g * p * (1 + z * ScalarMath.sigmoid(-z))));
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
    public void replay(ScanScratch s, int from, int to, StateRange range, boolean bounded) {
        int states = range.count();
        int next = states * W;
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j++) {
                float step = at(s.step.segment(), t * s.stride + j);
                float drive = step * at(s.input.segment(), t * s.stride + j);
                float grad = at(s.grad.segment(), t * s.stride + j);
                float y = at(s.out.segment(), t * W + j);
                for (int n = range.from(); n < range.to(); n++) {
                    int m = t * next + n * W + j;
                    float e = decay(step, at(s.a, n * W + j));
                    float h = e * at(s.before, m) + drive * at(s.b, t * states + n);
                    put(s.decay, m, e);
                    put(s.before, m + next, h);
                    y += h * at(s.c, t * states + n);
                    add(s.cGrad, t * states + n, h * grad);
                }
                put(s.out.segment(), t * W + j, y);
            }
        }
    }

    @Override
    public void reverse(ScanScratch s, int from, int to, StateRange range) {
        int states = range.count();
        for (int t = to - 1; t >= from; t--) {
            for (int j = 0; j < W; j++) {
                float step = at(s.step.segment(), t * s.stride + j);
                float drive = step * at(s.input.segment(), t * s.stride + j);
                float grad = at(s.grad.segment(), t * s.stride + j);
                float dDrive = at(s.driveGrad, t * W + j);
                float dStep = at(s.stepGrad, t * W + j);
                for (int n = range.from(); n < range.to(); n++) {
                    int i = n * W + j;
                    int m = t * states * W + i;
                    float g = at(s.carry, i) + grad * at(s.c, t * states + n);
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
    public void finishBackward(ScanScratch s, int from, int to, boolean gated) {
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j++) {
                int i = t * W + j;
                int r = t * s.stride + j;
                float x = at(s.input.segment(), r);
                float g = at(s.grad.segment(), r);
                float d = ((float) LN2 * at(s.stepGrad, i) + x * at(s.driveGrad, i)) * at(s.slope.segment(), r);
                if (gated) {
                    put(s.gate.segment(), r, (at(s.out.segment(), i) + at(s.skip, j) * x) * at(s.gate.segment(), r));
                }
                put(s.input.segment(), r, at(s.driveGrad, i) * at(s.step.segment(), r) + g * at(s.skip, j));
                put(s.step.segment(), r, d);
                add(s.skipGrad, j, g * x);
                add(s.biasGrad, j, d);
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
            float step = at(s.step.segment(), e);
            float x = at(s.input.segment(), e);
            float y = at(s.skip, e) * x;
            for (int n = 0; n < states; n++) {
                long i = (long) e * states + n;
                float h = before == null ? 0 : at(before, i);
                h = (float) Math.exp(step * (double) at(a, i)) * h + step * x * at(b, n);
                put(after, i, h);
                y += h * at(c, n);
            }
            put(s.out.segment(), e, y);
        }
    }
}
