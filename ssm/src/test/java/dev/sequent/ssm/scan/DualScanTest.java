package dev.sequent.ssm.scan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.fused.Simd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The loops along tokens, with and without vectors, against what they are said to compute. */
class DualScanTest {
    private static final int[] NANS = {0x7fc00000, 0xffc00000, 0x7f800001, 0x7fffffff, 0xffffffff, 0x7fbfffff, 0x7fc12345};

    private static DualScan loops(boolean vectorised) {
        return Simd.choose(vectorised, () -> new VectorDualScan(), () -> new ScalarDualScan());
    }

    private static float[] random(Random random, int count) {
        float[] x = new float[count];
        for (int i = 0; i < count; i++) {
            x[i] = random.nextFloat() * 2 - 1;
        }
        return x;
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void decaysAreExponentialsAndKeepEveryNan(boolean vectorised) {
        float[] dt = new float[48];
        for (int i = 0; i < dt.length; i++) {
            dt[i] = i % 3 == 1 ? Float.intBitsToFloat(NANS[i / 3 % NANS.length]) : i * i * 0.1f;
        }
        for (float rate : new float[] {-1, -1e-3f, 0.01f}) {
            float[] decay = new float[48];
            Arrays.fill(decay, 7);
            loops(vectorised).decays(dt, rate, dt.length, decay);
            for (int i = 0; i < dt.length; i++) {
                double expected = Math.exp((double) dt[i] * rate);
                if (i % 3 == 1) {
                    assertThat(decay[i]).isNaN();
                } else {
                    assertThat((double) decay[i]).as("exp of %s %s", dt[i], rate).isCloseTo(expected, within(2e-5 * expected + 1e-37));
                }
            }
            loops(vectorised).decays(dt, Float.intBitsToFloat(0x7f800001), dt.length, decay);
            for (float d : decay) {
                assertThat(d).isNaN();
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void scansRunTheirStatesAndNothingElse(boolean vectorised) {
        Random random = new Random(3);
        for (int panel : new int[] {16, 32}) {
            for (int[] range : new int[][] {{0, 1}, {3, 3 + 17}, {1, 64}, {63, 64}}) {
                float[] matrices = random(random, 64 * 32);
                float[] u = random(random, 64 * panel + 5);
                float[] y = random(random, 64 * panel + 5);
                float[] state = random(random, 10 * panel);
                float[] carried = state.clone();
                float[] expectedY = y.clone();
                double[] expected = new double[state.length];
                Arrays.setAll(expected, i -> state[i]);
                for (int i = 0; i < 8 * panel; i++) {
                    double h = state[panel + i] * 0.5;
                    for (int t = range[0]; t < range[1]; t++) {
                        h += (double) matrices[8 + t * 32 + i / panel] * u[5 + t * panel + i % panel];
                        expectedY[5 + t * panel + i % panel] += (float) (h * matrices[24 + t * 32 + i / panel]);
                    }
                    expected[panel + i] = h * 3;
                }
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment input = arena.allocateFrom(ValueLayout.JAVA_FLOAT, u);
                    MemorySegment output = arena.allocateFrom(ValueLayout.JAVA_FLOAT, y);
                    loops(vectorised).scan(panel, matrices, 8, range[0], range[1], input, output, 5, state, panel, 0.5f, 3);
                    loops(vectorised).carry(panel, matrices, 8, range[0], range[1], input, 5, carried, panel, 0.5f, 3);
                    y = output.toArray(ValueLayout.JAVA_FLOAT);
                }
                assertThat(carried).isEqualTo(state);
                for (int i = 0; i < state.length; i++) {
                    assertThat((double) state[i]).isCloseTo(expected[i], within(1e-5));
                }
                for (int i = 0; i < y.length; i++) {
                    assertThat(y[i]).isCloseTo(expectedY[i], within(2e-5f));
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void rowsAreReadAndWrittenWhereTheyLie(boolean vectorised) {
        Random random = new Random(4);
        for (int width : new int[] {1, 3, 16, 17, 33, 63, 64, 100}) {
            DualLayout layout = DualLayout.of(new DualShape(1, 40, 1, width, 1, 5));
            int row = width + 3;
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment x = arena.allocateFrom(ValueLayout.JAVA_FLOAT, random(random, 9 * row));
                MemorySegment out = arena.allocate(9 * row * 4L).fill((byte) -1);
                float[] weights = random(random, 40);
                float[] factors = random(random, 40);
                MemorySegment u = DualScratch.takeNative(layout.panels() * layout.panelPitch());
                MemorySegment y = DualScratch.takeNative(layout.panels() * layout.panelPitch());
                loops(vectorised).drive(layout, x, row, 4, 13, weights, factors, u, y);
                loops(vectorised).emit(layout, y, weights, 4, 13, out, row);
                float[] expectedU = DualScratch.take(layout.panels() * layout.panelPitch());
                float[] expectedY = expectedU.clone();
                float[] expectedOut = DualScratch.take(9 * row);
                for (int t = 4; t < 13; t++) {
                    for (int j = 0; j < layout.panel() * layout.panels(); j++) {
                        float value = j < width ? x.getAtIndex(ValueLayout.JAVA_FLOAT, (t - 4) * row + j) : 0;
                        expectedU[layout.place(t, j)] = value * weights[t];
                        expectedY[layout.place(t, j)] = value * factors[t];
                        if (j < width) {
                            expectedOut[(t - 4) * row + j] = value * factors[t] * weights[t];
                        }
                    }
                }
                assertThat(u.toArray(ValueLayout.JAVA_FLOAT)).isEqualTo(expectedU);
                assertThat(y.toArray(ValueLayout.JAVA_FLOAT)).isEqualTo(expectedY);
                assertThat(out.toArray(ValueLayout.JAVA_FLOAT)).isEqualTo(expectedOut);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void matricesAreCutIntoBlocksOfStates(boolean vectorised) {
        Random random = new Random(5);
        for (int states : new int[] {1, 3, 16, 17, 63, 100}) {
            int row = states + 2;
            int blocks = Math.ceilDiv(states, 16);
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment from = arena.allocateFrom(ValueLayout.JAVA_FLOAT, random(random, 7 * row));
                float[] to = DualScratch.take(blocks * 9 * 32);
                loops(vectorised).interleave(from, row, 7, states, to, 16, 9);
                float[] expected = DualScratch.take(to.length);
                for (int t = 0; t < 7; t++) {
                    for (int n = 0; n < blocks * 16; n++) {
                        int place = 16 + (n / 16 * 9 + t) * 32 + n % 16;
                        expected[place] = n < states ? from.getAtIndex(ValueLayout.JAVA_FLOAT, t * row + n) : 0;
                    }
                }
                assertThat(to).isEqualTo(expected);
            }
        }
    }
}
