package dev.sequent.fused;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The sum of a vector's lanes in a fixed order, a tree. {@code reduceLanes(ADD)} leaves the order open, and its result differs between
 * interpreted and compiled code: losses would depend on when a method was compiled, and a resumed run would not repeat the uninterrupted
 * one.
 *
 * <p>Needs {@code jdk.incubator.vector}; see {@link Simd}.
 */
public final class LaneSum {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = S.length();
    private static final VectorShuffle<Float> BY_8 = exchange(8);
    private static final VectorShuffle<Float> BY_4 = exchange(4);
    private static final VectorShuffle<Float> BY_2 = exchange(2);
    private static final VectorShuffle<Float> BY_1 = exchange(1);
    private static final VectorMask<Float> UPPER_8 = upper(8);
    private static final VectorMask<Float> UPPER_4 = upper(4);
    private static final VectorMask<Float> UPPER_2 = upper(2);
    private static final VectorMask<Float> UPPER_1 = upper(1);
    private static final VectorShuffle<Double> DOUBLES_BY_4 = exchangeDoubles(4);
    private static final VectorShuffle<Double> DOUBLES_BY_2 = exchangeDoubles(2);
    private static final VectorShuffle<Double> DOUBLES_BY_1 = exchangeDoubles(1);

    private LaneSum() {}

    private static VectorShuffle<Float> exchange(int distance) {
        return VectorShuffle.fromOp(S, i -> (i ^ distance) % LANES);
    }

    private static VectorMask<Float> upper(int distance) {
        boolean[] lanes = new boolean[LANES];
        for (int i = 0; i < LANES; i++) {
            lanes[i] = (i & distance) != 0;
        }
        return VectorMask.fromArray(S, lanes, 0);
    }

    private static VectorShuffle<Double> exchangeDoubles(int distance) {
        return VectorShuffle.fromOp(DoubleVector.SPECIES_PREFERRED, i -> (i ^ distance) % (LANES / 2));
    }

    /** The sum of the lanes of a vector of the preferred species. */
    public static float of(FloatVector v) {
        if (LANES > 16) {
            return wide(v);
        }
        FloatVector s = v;
        if (LANES >= 16) {
            s = s.add(s.rearrange(BY_8));
        }
        if (LANES >= 8) {
            s = s.add(s.rearrange(BY_4));
        }
        if (LANES >= 4) {
            s = s.add(s.rearrange(BY_2));
        }
        return s.add(s.rearrange(BY_1)).lane(0);
    }

    /**
     * The sums of as many vectors as a vector has lanes, each equal to {@link #of}. Two vectors become one that holds the lower halves'
     * sums of both, and so on.
     *
     * @param vectors one after another from {@code from} on; overwritten
     * @param sums receives a vector of sums at {@code to}
     */
    public static void ofEach(float[] vectors, int from, float[] sums, int to) {
        if (LANES > 16 || LANES < 4) {
            for (int i = 0; i < LANES; i++) {
                sums[to + i] = of(FloatVector.fromArray(S, vectors, from + i * LANES));
            }
            return;
        }
        if (LANES >= 16) {
            for (int i = from; i < from + 8 * LANES; i += LANES) {
                FloatVector a = FloatVector.fromArray(S, vectors, i);
                FloatVector b = FloatVector.fromArray(S, vectors, i + 8 * LANES);
                a.blend(b, UPPER_8).add(b.blend(a, UPPER_8).rearrange(BY_8)).intoArray(vectors, i);
            }
        }
        if (LANES >= 8) {
            for (int i = from; i < from + 4 * LANES; i += LANES) {
                FloatVector a = FloatVector.fromArray(S, vectors, i);
                FloatVector b = FloatVector.fromArray(S, vectors, i + 4 * LANES);
                a.blend(b, UPPER_4).add(b.blend(a, UPPER_4).rearrange(BY_4)).intoArray(vectors, i);
            }
        }
        FloatVector a = FloatVector.fromArray(S, vectors, from);
        FloatVector b = FloatVector.fromArray(S, vectors, from + LANES);
        FloatVector c = FloatVector.fromArray(S, vectors, from + 2 * LANES);
        FloatVector d = FloatVector.fromArray(S, vectors, from + 3 * LANES);
        a = a.blend(c, UPPER_2).add(c.blend(a, UPPER_2).rearrange(BY_2));
        b = b.blend(d, UPPER_2).add(d.blend(b, UPPER_2).rearrange(BY_2));
        a.blend(b, UPPER_1).add(b.blend(a, UPPER_1).rearrange(BY_1)).intoArray(sums, to);
    }

    private static float wide(FloatVector v) {
        float sum = 0;
        for (float x : v.toArray()) {
            sum += x;
        }
        return sum;
    }

    /** The sum of the lanes of a vector of doubles of the preferred species. */
    public static double of(DoubleVector v) {
        if (LANES > 16) {
            double sum = 0;
            for (double x : v.toArray()) {
                sum += x;
            }
            return sum;
        }
        DoubleVector s = v;
        if (LANES >= 16) {
            s = s.add(s.rearrange(DOUBLES_BY_4));
        }
        if (LANES >= 8) {
            s = s.add(s.rearrange(DOUBLES_BY_2));
        }
        return s.add(s.rearrange(DOUBLES_BY_1)).lane(0);
    }
}
