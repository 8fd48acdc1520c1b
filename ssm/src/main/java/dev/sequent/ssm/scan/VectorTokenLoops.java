package dev.sequent.ssm.scan;

import dev.sequent.fused.LaneSum;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * {@link TokenLoops} in the Vector API. Exponentials are those of {@link VectorScanTiles}, written out where they are used because the
 * compiler does not inline helpers into such loops.
 */
final class VectorTokenLoops implements TokenLoops {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int L = S.length();
    private static final ByteOrder LE = ByteOrder.nativeOrder();
    private static final float MAGIC = 12582912f;
    private static final float LOG2E = 1.44269504088896340736f;
    private static final float C1 = 0.6931472149680372f;
    private static final float C2 = 0.24022652782875056f;
    private static final float C3 = 0.05550310551000378f;
    private static final float C4 = 0.00961769297504919f;
    private static final float C5 = 0.0013406643903511178f;
    private static final float C6 = 0.00015594677500509606f;
    private static final float A1 = 0.66666317f;
    private static final float A2 = 0.4002491f;
    private static final float A3 = 0.279606f;
    private static final float A4 = 0.28178334f;
    private static final int MAGNITUDE = 0x7fffffff;
    private static final int LARGEST_EXPONENT = Float.floatToRawIntBits(87.3f);
    private static final float LOWEST = -126;
    private static final float HIGHEST = Math.nextDown(128f);

    @Override
    public int padded(int count) {
        return Math.ceilDiv(count, L) * L;
    }

    @Override
    public void silu(float[] y, int count) {
        for (int j = 0; j < count; j += L) {
            FloatVector x = FloatVector.fromArray(S, y, j);
            sigmoid(x).mul(x).intoArray(y, j);
        }
    }

    @Override
    public void gate(float[] y, float[] z, int count) {
        for (int j = 0; j < count; j += L) {
            FloatVector x = FloatVector.fromArray(S, z, j);
            sigmoid(x).mul(x).mul(FloatVector.fromArray(S, y, j)).intoArray(y, j);
        }
    }

    /** 1 / (1 + e^-x), by e^-|x|. */
    private static FloatVector sigmoid(FloatVector x) {
        FloatVector m = x.reinterpretAsInts().and(MAGNITUDE).min(LARGEST_EXPONENT).reinterpretAsFloats().mul(-LOG2E);
        FloatVector k = m.add(MAGIC);
        FloatVector f = m.sub(k.sub(MAGIC));
        FloatVector e = f.fma(FloatVector.broadcast(S, C6), FloatVector.broadcast(S, C5)).fma(f, FloatVector.broadcast(S, C4))
                .fma(f, FloatVector.broadcast(S, C3)).fma(f, FloatVector.broadcast(S, C2)).fma(f, FloatVector.broadcast(S, C1))
                .fma(f, FloatVector.broadcast(S, 1f))
                .reinterpretAsInts().add(k.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
        FloatVector one = FloatVector.broadcast(S, 1f);
        return e.blend(one, x.compare(VectorOperators.GE, 0f)).div(e.add(1f));
    }

    @Override
    public void softplus(float[] y, int count) {
        for (int j = 0; j < count; j += L) {
            FloatVector x = FloatVector.fromArray(S, y, j);
            FloatVector size = x.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats();
            FloatVector m = size.reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats().mul(-LOG2E);
            FloatVector k = m.add(MAGIC);
            FloatVector f = m.sub(k.sub(MAGIC));
            FloatVector e = f.fma(FloatVector.broadcast(S, C6), FloatVector.broadcast(S, C5)).fma(f, FloatVector.broadcast(S, C4))
                    .fma(f, FloatVector.broadcast(S, C3)).fma(f, FloatVector.broadcast(S, C2)).fma(f, FloatVector.broadcast(S, C1))
                    .fma(f, FloatVector.broadcast(S, 1f))
                    .reinterpretAsInts().add(k.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
            FloatVector q = e.div(e.add(2f));
            FloatVector s = q.mul(q);
            FloatVector l = s.fma(FloatVector.broadcast(S, A4), FloatVector.broadcast(S, A3)).fma(s, FloatVector.broadcast(S, A2))
                    .fma(s, FloatVector.broadcast(S, A1)).fma(s, FloatVector.broadcast(S, 2f));
            // (x + |x|) / 2 is max(x, 0), and keeps a NaN
            q.fma(l, x.add(size).mul(0.5f)).intoArray(y, j);
        }
    }

    @Override
    public void select(int channels, int states, float[] step, float[] drive, MemorySegment aLog, float[] b, float[] c, MemorySegment h,
            float[] sums) {
        int whole = states - states % L;
        MemorySegment logs = aLog.asSlice(0, 4L * channels * states);
        MemorySegment state = h.asSlice(0, 4L * channels * states);
        float[] lanes = new float[L];
        for (int e = 0; e < channels; e++) {
            selectRow(e * states, whole, step[e], drive[e], logs, b, c, state, lanes);
            sums[e] = sum(lanes);
            if (whole < states) {
                ScalarTokenLoops.selectRest(e, whole, states, step, drive, aLog, b, c, h, sums);
            }
        }
    }

    /** Apart from the loop: inside it the compiler would call it with a vector on the heap. */
    private static float sum(float[] lanes) {
        return LaneSum.of(FloatVector.fromArray(S, lanes, 0));
    }

    private static void selectRow(int row, int whole, float step, float drive, MemorySegment logs, float[] b, float[] c,
            MemorySegment state, float[] lanes) {
        FloatVector c1 = FloatVector.broadcast(S, C1);
        FloatVector c2 = FloatVector.broadcast(S, C2);
        FloatVector c3 = FloatVector.broadcast(S, C3);
        FloatVector c4 = FloatVector.broadcast(S, C4);
        FloatVector c5 = FloatVector.broadcast(S, C5);
        FloatVector c6 = FloatVector.broadcast(S, C6);
        FloatVector lowest = FloatVector.broadcast(S, LOWEST);
        FloatVector d = FloatVector.broadcast(S, -LOG2E * step);
        FloatVector w = FloatVector.broadcast(S, drive);
        FloatVector y = FloatVector.zero(S);
        for (int n = 0; n < whole; n += L) {
            FloatVector log = FloatVector.fromMemorySegment(S, logs, (row + n) * 4L, LE);
            FloatVector u = log.mul(LOG2E);
            u = u.blend(lowest, u.compare(VectorOperators.LT, lowest));
            u = u.blend(HIGHEST, u.compare(VectorOperators.GT, HIGHEST));
            FloatVector k = u.add(MAGIC);
            FloatVector f = u.sub(k.sub(MAGIC));
            FloatVector rate = f.fma(c6, c5).fma(f, c4).fma(f, c3).fma(f, c2).fma(f, c1).fma(f, FloatVector.broadcast(S, 1f))
                    .reinterpretAsInts().add(k.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
            u = d.mul(rate);
            u = u.blend(lowest, u.compare(VectorOperators.LT, lowest));
            k = u.add(MAGIC);
            f = u.sub(k.sub(MAGIC));
            FloatVector decay = f.fma(c6, c5).fma(f, c4).fma(f, c3).fma(f, c2).fma(f, c1).fma(f, FloatVector.broadcast(S, 1f))
                    .reinterpretAsInts().add(k.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
            // adding k to the exponent may make a number of a NaN
            decay = decay.blend(log, log.compare(VectorOperators.NE, log));
            FloatVector next = decay.fma(FloatVector.fromMemorySegment(S, state, (row + n) * 4L, LE),
                    w.mul(FloatVector.fromArray(S, b, n)));
            next.intoMemorySegment(state, (row + n) * 4L, LE);
            y = next.fma(FloatVector.fromArray(S, c, n), y);
        }
        y.intoArray(lanes, 0);
    }

    @Override
    public void advance(int width, int states, float decay, float step, float[] x, float[] b, float[] c, MemorySegment h, float[] sums) {
        int whole = states - states % L;
        MemorySegment state = h.asSlice(0, 4L * width * states);
        FloatVector keep = FloatVector.broadcast(S, decay);
        for (int p = 0; p < width; p++) {
            FloatVector drive = FloatVector.broadcast(S, step * x[p]);
            int row = p * states;
            FloatVector y = FloatVector.zero(S);
            for (int n = 0; n < whole; n += L) {
                FloatVector next = keep.fma(FloatVector.fromMemorySegment(S, state, (row + n) * 4L, LE),
                        drive.mul(FloatVector.fromArray(S, b, n)));
                next.intoMemorySegment(state, (row + n) * 4L, LE);
                y = next.fma(FloatVector.fromArray(S, c, n), y);
            }
            sums[p] = LaneSum.of(y);
            if (whole < states) {
                ScalarTokenLoops.advanceRest(p, whole, states, decay, step * x[p], b, c, h, sums);
            }
        }
    }
}
