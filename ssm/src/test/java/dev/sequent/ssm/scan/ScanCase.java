package dev.sequent.ssm.scan;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/** Random operands of a scan, as segments for a kernel and as arrays for {@link NaiveScan}, and places for results, filled with NaN. */
final class ScanCase {
    static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    /** Which operands are present, and how rows lie in memory. */
    record Options(boolean softplus, boolean bias, boolean skip, boolean gate, boolean initial, boolean flags, boolean strided) {
        static final Options ALL = new Options(true, true, true, true, true, true, true);
        static final Options NONE = new Options(false, false, false, false, false, false, false);
    }

    final ScanShape shape;
    final NaiveScan naive;
    final ScanInputs inputs;
    final ScanRows y;
    final MemorySegment finalState;
    final ScanRows dy;
    final double[] dyValues;
    final MemorySegment dFinalState;
    final double[] dFinalValues;
    final ScanGradients gradients;
    private final Random random;
    private final boolean strided;

    ScanCase(ScanShape shape, Options options, long seed) {
        this.shape = shape;
        this.random = new Random(seed);
        this.strided = options.strided();
        int b = shape.batch();
        int t = shape.tokens();
        int e = shape.channels();
        int n = shape.states();
        naive = new NaiveScan(shape);
        naive.softplus = options.softplus();
        naive.u = normal(b * t * e, 1, 0);
        naive.delta = normal(b * t * e, 1, -1);
        if (!options.softplus()) {
            for (int i = 0; i < naive.delta.length; i++) {
                naive.delta[i] = (float) (0.3 * Math.abs(naive.delta[i]));
            }
        }
        naive.a = normal(e * n, 1, 0);
        for (int i = 0; i < naive.a.length; i++) {
            naive.a[i] = (float) -Math.exp(naive.a[i]);
        }
        naive.b = normal(b * t * n, 1, 0);
        naive.c = normal(b * t * n, 1, 0);
        naive.skip = options.skip() ? normal(e, 1, 0) : null;
        naive.deltaBias = options.bias() ? normal(e, 0.1, 0.1) : null;
        naive.z = options.gate() ? normal(b * t * e, 2, 0) : null;
        naive.initialState = options.initial() ? normal(b * e * n, 1, 0) : null;
        naive.flags = options.flags() ? flags(b * t) : null;
        inputs = new ScanInputs(shape, rows(naive.u, e), rows(naive.delta, e), segment(naive.a), rows(naive.b, n), rows(naive.c, n),
                segment(naive.skip), segment(naive.deltaBias), options.softplus(), rows(naive.z, e), segment(naive.initialState),
                naive.flags);
        y = result(e);
        finalState = poison(b * e * n);
        dyValues = normal(b * t * e, 1, 0);
        dy = rows(dyValues, e);
        dFinalValues = options.initial() ? normal(b * e * n, 1, 0) : null;
        dFinalState = segment(dFinalValues);
        gradients = new ScanGradients(result(e), result(e), poison(e * n), poison(b * t * n), poison(b * t * n),
                options.skip() ? poison(e) : null, options.bias() ? poison(e) : null, options.gate() ? result(e) : null,
                options.initial() ? poison(b * e * n) : null);
    }

    private double[] normal(int size, double scale, double mean) {
        double[] x = new double[size];
        for (int i = 0; i < size; i++) {
            x[i] = (float) (mean + scale * random.nextGaussian());
        }
        return x;
    }

    private byte[] flags(int size) {
        byte[] f = new byte[size];
        for (int i = 0; i < size; i++) {
            f[i] = (byte) (random.nextInt(9) == 0 ? 1 + random.nextInt(3) : 0);
        }
        return f;
    }

    static MemorySegment poison(long floats) {
        MemorySegment s = Arena.ofAuto().allocate(floats * Float.BYTES, 64);
        for (long i = 0; i < floats; i++) {
            s.setAtIndex(F32, i, Float.NaN);
        }
        return s;
    }

    private static MemorySegment segment(double[] values) {
        if (values == null) {
            return null;
        }
        MemorySegment s = poison(values.length);
        for (int i = 0; i < values.length; i++) {
            s.setAtIndex(F32, i, (float) values[i]);
        }
        return s;
    }

    /** Rows without gaps, or a slice of rows that are 5 elements wider, with NaN between them. */
    private ScanRows result(int features) {
        int wide = features + (strided ? 5 : 0);
        MemorySegment all = poison((long) shape.batch() * shape.tokens() * wide);
        return new ScanRows(strided ? all.asSlice(3 * Float.BYTES) : all, (long) shape.tokens() * wide, wide);
    }

    private ScanRows rows(double[] values, int features) {
        if (values == null) {
            return null;
        }
        ScanRows r = result(features);
        for (int i = 0; i < values.length; i++) {
            r.segment().setAtIndex(F32, index(r, i, features), (float) values[i]);
        }
        return r;
    }

    private long index(ScanRows r, int i, int features) {
        int token = i / features;
        return token / shape.tokens() * r.batchStride() + token % shape.tokens() * r.tokenStride() + i % features;
    }

    double[] values(ScanRows r, int features) {
        double[] x = new double[shape.batch() * shape.tokens() * features];
        for (int i = 0; i < x.length; i++) {
            x[i] = r.segment().getAtIndex(F32, index(r, i, features));
        }
        return x;
    }

    static double[] values(MemorySegment s) {
        double[] x = new double[(int) (s.byteSize() / Float.BYTES)];
        for (int i = 0; i < x.length; i++) {
            x[i] = s.getAtIndex(F32, i);
        }
        return x;
    }
}
