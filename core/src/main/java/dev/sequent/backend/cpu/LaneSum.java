package dev.sequent.backend.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The sum of a vector's lanes in a fixed order, a tree. {@code reduceLanes(ADD)} leaves the order open, and its result differs between
 * interpreted and compiled code: losses would depend on when a method was compiled, and a resumed run would not repeat the uninterrupted
 * one.
 *
 * <p>Needs {@code jdk.incubator.vector}.
 */
final class LaneSum {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = S.length();
    private static final VectorShuffle<Float> BY_8 = exchange(8);
    private static final VectorShuffle<Float> BY_4 = exchange(4);
    private static final VectorShuffle<Float> BY_2 = exchange(2);
    private static final VectorShuffle<Float> BY_1 = exchange(1);

    private LaneSum() {}

    private static VectorShuffle<Float> exchange(int distance) {
        return VectorShuffle.fromOp(S, i -> (i ^ distance) % LANES);
    }

    /** The sum of the lanes of a vector of the preferred species. */
    static float of(FloatVector v) {
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

    private static float wide(FloatVector v) {
        float sum = 0;
        for (float x : v.toArray()) {
            sum += x;
        }
        return sum;
    }
}
