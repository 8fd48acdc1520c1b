package dev.sequent.fused;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class LaneSumTest {
    private static final int VECTORS = 200;

    @Test
    void isTheSum() {
        float[] x = new float[FloatVector.SPECIES_PREFERRED.length()];
        double[] y = new double[DoubleVector.SPECIES_PREFERRED.length()];
        for (int i = 0; i < x.length; i++) {
            x[i] = 1 << i % 20;
        }
        for (int i = 0; i < y.length; i++) {
            y[i] = 1 << i % 20;
        }
        assertEquals((1 << x.length) - 1, LaneSum.of(FloatVector.fromArray(FloatVector.SPECIES_PREFERRED, x, 0)));
        assertEquals((1 << y.length) - 1, LaneSum.of(DoubleVector.fromArray(DoubleVector.SPECIES_PREFERRED, y, 0)));
    }

    @Test
    void sumsOfManyEqualThoseOfOne() {
        int lanes = FloatVector.SPECIES_PREFERRED.length();
        float[] vectors = new float[3 + lanes * lanes];
        Random random = new Random(2);
        for (int i = 0; i < vectors.length; i++) {
            vectors[i] = (float) random.nextGaussian();
        }
        float[] expected = new float[lanes];
        for (int i = 0; i < lanes; i++) {
            expected[i] = LaneSum.of(FloatVector.fromArray(FloatVector.SPECIES_PREFERRED, vectors, 3 + i * lanes));
        }
        float[] sums = new float[lanes + 2];
        LaneSum.ofEach(vectors, 3, sums, 2);
        assertArrayEquals(expected, Arrays.copyOfRange(sums, 2, lanes + 2));
    }

    /** Sums taken before and after the method has been compiled. */
    @Test
    void compiledEqualsInterpreted() {
        float[][] x = new float[VECTORS][FloatVector.SPECIES_PREFERRED.length()];
        Random random = new Random(1);
        for (float[] row : x) {
            for (int i = 0; i < row.length; i++) {
                row[i] = (float) random.nextGaussian();
            }
        }
        float[] cold = sums(x);
        for (int i = 0; i < 500; i++) {
            sums(x);
        }
        assertArrayEquals(cold, sums(x));
    }

    private static float[] sums(float[][] x) {
        float[] sums = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            sums[i] = LaneSum.of(FloatVector.fromArray(FloatVector.SPECIES_PREFERRED, x[i], 0));
        }
        return sums;
    }
}
