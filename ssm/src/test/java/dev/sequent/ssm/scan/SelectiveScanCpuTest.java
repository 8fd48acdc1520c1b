package dev.sequent.ssm.scan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SelectiveScanCpuTest {
    private static final Parallel SERIAL = new Pool(1);

    /** Runs tasks on the common pool's threads; with several threads in no particular order. */
    private record Pool(int threads) implements Parallel {
        @Override
        public void forEach(int tasks, Task body) {
            IntStream range = IntStream.range(0, tasks);
            (threads > 1 ? range.parallel() : range).forEach(body::run);
        }
    }

    /** Kernels whose working memory starts as NaN. */
    private static SelectiveScanCpu kernel(ScanTiles tiles, Parallel pool) {
        return new SelectiveScanCpu(pool, tiles, bytes -> ScanCase.poison(bytes / Float.BYTES));
    }

    static Stream<ScanTiles> tiles() {
        return Stream.of(new ScalarScanTiles(), new VectorScanTiles());
    }

    static Stream<org.junit.jupiter.params.provider.Arguments> cases() {
        int[][] sizes = {{1, 1, 1, 1}, {2, 3, 17, 5}, {1, 17, 63, 16}, {2, 63, 100, 8}, {1, 100, 130, 16}, {3, 33, 64, 3}, {1, 40, 70, 33},
                {2, 20, 20, 65}, {17, 1, 128, 16}};
        List<ScanCase.Options> options = new ArrayList<>(List.of(ScanCase.Options.NONE, ScanCase.Options.ALL,
                new ScanCase.Options(true, true, true, true, false, false, false),
                new ScanCase.Options(true, false, true, false, true, true, false),
                new ScanCase.Options(false, true, false, true, true, false, true)));
        return tiles().flatMap(t -> Stream.of(sizes).flatMap(s -> options.stream()
                .map(o -> org.junit.jupiter.params.provider.Arguments.of(t, new ScanShape(s[0], s[1], s[2], s[3]), o))));
    }

    private static void assertClose(String what, double[] actual, double[] expected) {
        assertThat(actual.length).as(what).isEqualTo(expected.length);
        double largest = 0;
        for (double x : expected) {
            largest = Math.max(largest, Math.abs(x));
        }
        double worst = 0;
        for (int i = 0; i < expected.length; i++) {
            double error = Math.abs(actual[i] - expected[i]);
            worst = error <= worst ? worst : error;
        }
        assertThat(worst).as("%s, relative to the largest element %g", what, largest).isLessThanOrEqualTo(TOLERANCE * largest);
    }

    /** F32 arithmetic over up to a hundred tokens and a few thousand terms, relative to the largest element. */
    private static final double TOLERANCE = 5e-6;

    @ParameterizedTest
    @MethodSource("cases")
    void forwardAgreesWithNaiveLoop(ScanTiles tiles, ScanShape shape, ScanCase.Options options) {
        ScanCase x = new ScanCase(shape, options, 1);
        kernel(tiles, SERIAL).forward(x.inputs, x.y, x.finalState, null);
        x.naive.forward();
        assertClose("y", x.values(x.y, shape.channels()), x.naive.y);
        assertClose("final state", ScanCase.values(x.finalState), x.naive.finalState);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void backwardAgreesWithNaiveLoop(ScanTiles tiles, ScanShape shape, ScanCase.Options options) {
        ScanCase x = new ScanCase(shape, options, 2);
        SelectiveScanCpu kernel = kernel(tiles, SERIAL);
        MemorySegment saved = ScanCase.poison(kernel.savedFloats(shape));
        kernel.forward(x.inputs, x.y, x.finalState, saved);
        kernel.backward(x.inputs, saved, x.dy, x.dFinalState, x.gradients, ScanCase.poison(kernel.workspaceFloats(shape)));
        x.naive.forward();
        x.naive.backward(x.dyValues, x.dFinalValues);
        int e = shape.channels();
        assertClose("y", x.values(x.y, e), x.naive.y);
        assertClose("du", x.values(x.gradients.u(), e), x.naive.du);
        assertClose("dDelta", x.values(x.gradients.delta(), e), x.naive.dDelta);
        assertClose("dA", ScanCase.values(x.gradients.a()), x.naive.da);
        assertClose("dB", ScanCase.values(x.gradients.b()), x.naive.db);
        assertClose("dC", ScanCase.values(x.gradients.c()), x.naive.dc);
        if (options.skip()) {
            assertClose("dD", ScanCase.values(x.gradients.skip()), x.naive.dSkip);
        }
        if (options.bias()) {
            assertClose("dDeltaBias", ScanCase.values(x.gradients.deltaBias()), x.naive.dDeltaBias);
        }
        if (options.gate()) {
            assertClose("dz", x.values(x.gradients.z(), e), x.naive.dz);
        }
        if (options.initial()) {
            assertClose("dInitialState", ScanCase.values(x.gradients.initialState()), x.naive.dInitialState);
        }
    }

    @Test
    void naiveGradientsAgreeWithFiniteDifferences() {
        ScanCase x = new ScanCase(new ScanShape(2, 6, 3, 2), ScanCase.Options.ALL, 3);
        NaiveScan naive = x.naive;
        naive.backward(x.dyValues, x.dFinalValues);
        Stream.of(new double[][] {naive.u, naive.du}, new double[][] {naive.delta, naive.dDelta}, new double[][] {naive.a, naive.da},
                new double[][] {naive.b, naive.db}, new double[][] {naive.c, naive.dc}, new double[][] {naive.skip, naive.dSkip},
                new double[][] {naive.deltaBias, naive.dDeltaBias}, new double[][] {naive.z, naive.dz},
                new double[][] {naive.initialState, naive.dInitialState}).forEach(pair -> {
                    for (int i = 0; i < pair[0].length; i++) {
                        double value = pair[0][i];
                        pair[0][i] = value + 1e-5;
                        double above = objective(x);
                        pair[0][i] = value - 1e-5;
                        double below = objective(x);
                        pair[0][i] = value;
                        assertThat(pair[1][i]).isCloseTo((above - below) / 2e-5, within(1e-7));
                    }
                });
    }

    private static double objective(ScanCase x) {
        x.naive.forward();
        double sum = 0;
        for (int i = 0; i < x.dyValues.length; i++) {
            sum += x.dyValues[i] * x.naive.y[i];
        }
        for (int i = 0; i < x.dFinalValues.length; i++) {
            sum += x.dFinalValues[i] * x.naive.finalState[i];
        }
        return sum;
    }

    static Stream<org.junit.jupiter.params.provider.Arguments> threadCases() {
        // many channels: threads share blocks; few channels and many tokens: they share states
        int[][] sizes = {{3, 70, 200, 16}, {1, 2600, 70, 16}, {2, 3001, 17, 8}, {1, 1030, 1, 33}};
        List<ScanCase.Options> options = List.of(ScanCase.Options.ALL, new ScanCase.Options(false, true, true, false, true, false, false));
        return tiles().flatMap(t -> Stream.of(sizes).flatMap(s -> options.stream()
                .map(o -> org.junit.jupiter.params.provider.Arguments.of(t, new ScanShape(s[0], s[1], s[2], s[3]), o))));
    }

    /** All results, in the order of the operands. */
    private static List<double[]> results(ScanTiles tiles, int threads, ScanCase x) {
        SelectiveScanCpu kernel = kernel(tiles, new Pool(threads));
        MemorySegment saved = ScanCase.poison(kernel.savedFloats(x.shape));
        kernel.forward(x.inputs, x.y, x.finalState, saved);
        kernel.backward(x.inputs, saved, x.dy, x.dFinalState, x.gradients, ScanCase.poison(kernel.workspaceFloats(x.shape)));
        ScanGradients g = x.gradients;
        List<double[]> results = new ArrayList<>();
        for (ScanRows rows : new ScanRows[] {x.y, g.u(), g.delta(), g.z()}) {
            results.add(rows == null ? null : x.values(rows, x.shape.channels()));
        }
        for (MemorySegment s : new MemorySegment[] {x.finalState, g.a(), g.b(), g.c(), g.skip(), g.deltaBias(), g.initialState()}) {
            results.add(s == null ? null : ScanCase.values(s));
        }
        return results;
    }

    @ParameterizedTest
    @MethodSource("threadCases")
    void resultsDoNotDependOnThreads(ScanTiles tiles, ScanShape shape, ScanCase.Options options) {
        List<double[]> expected = results(tiles, 1, new ScanCase(shape, options, 4));
        for (int threads : new int[] {2, 3, 8, 64}) {
            List<double[]> actual = results(tiles, threads, new ScanCase(shape, options, 4));
            for (int i = 0; i < expected.size(); i++) {
                assertThat(actual.get(i)).as("result %d with %d threads", i, threads).isEqualTo(expected.get(i));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("tiles")
    void statesInPiecesAgreeWithNaiveLoop(ScanTiles tiles) {
        ScanShape shape = new ScanShape(1, 2600, 70, 16);
        ScanCase x = new ScanCase(shape, ScanCase.Options.ALL, 4);
        assertThat(ScanWaves.of(shape, 2, 64).isSplit()).isTrue();
        results(tiles, 64, x);
        x.naive.forward();
        x.naive.backward(x.dyValues, x.dFinalValues);
        assertClose("y", x.values(x.y, 70), x.naive.y);
        assertClose("du", x.values(x.gradients.u(), 70), x.naive.du);
        assertClose("dDelta", x.values(x.gradients.delta(), 70), x.naive.dDelta);
        assertClose("dz", x.values(x.gradients.z(), 70), x.naive.dz);
        assertClose("dInitialState", ScanCase.values(x.gradients.initialState()), x.naive.dInitialState);
    }

    @ParameterizedTest
    @MethodSource("tiles")
    void scanEqualsStepsThroughTheState(ScanTiles tiles) {
        int tokens = 21;
        ScanShape shape = new ScanShape(2, tokens, 70, 19);
        ScanCase x = new ScanCase(shape, ScanCase.Options.ALL, 5);
        SelectiveScanCpu kernel = kernel(tiles, SERIAL);
        kernel.forward(x.inputs, x.y, x.finalState, null);
        MemorySegment state = ScanCase.poison(2 * 70 * 19).copyFrom(x.inputs.initialState());
        ScanRows y = ScanRows.contiguous(ScanCase.poison(2L * tokens * 70), tokens, 70);
        for (int t = 0; t < tokens; t++) {
            byte[] flags = {x.inputs.flags()[t], x.inputs.flags()[tokens + t]};
            ScanInputs in = x.inputs;
            kernel.forward(new ScanInputs(new ScanShape(2, 1, 70, 19), token(in.u(), t), token(in.delta(), t), in.a(), token(in.b(), t),
                    token(in.c(), t), in.skip(), in.deltaBias(), in.softplus(), token(in.z(), t), state, flags), token(y, t), state, null);
        }
        assertClose("y", x.values(y, 70), x.values(x.y, 70));
        assertClose("state", ScanCase.values(state), ScanCase.values(x.finalState));
    }

    private static ScanRows token(ScanRows rows, int t) {
        return new ScanRows(rows.segment().asSlice(t * rows.tokenStride() * Float.BYTES), rows.batchStride(), rows.tokenStride());
    }

    @ParameterizedTest
    @MethodSource("tiles")
    void extremeStepSizesStayFinite(ScanTiles tiles) {
        ScanShape shape = new ScanShape(1, 20, 70, 4);
        ScanCase x = new ScanCase(shape, ScanCase.Options.NONE, 6);
        Random random = new Random(7);
        double[] steps = {0, 1e-30, 1e-3, 50, 1e4, 1e30};
        for (int i = 0; i < x.naive.delta.length; i++) {
            x.naive.delta[i] = (float) steps[random.nextInt(steps.length)];
            x.naive.u[i] /= Math.max(1, x.naive.delta[i]);
            x.inputs.delta().segment().setAtIndex(ScanCase.F32, i, (float) x.naive.delta[i]);
            x.inputs.u().segment().setAtIndex(ScanCase.F32, i, (float) x.naive.u[i]);
        }
        kernel(tiles, SERIAL).forward(x.inputs, x.y, x.finalState, null);
        x.naive.forward();
        assertClose("y", x.values(x.y, 70), x.naive.y);
        assertClose("final state", ScanCase.values(x.finalState), x.naive.finalState);
    }

    @ParameterizedTest
    @MethodSource("tiles")
    void growingStatesAgreeWithNaiveLoop(ScanTiles tiles) {
        ScanShape shape = new ScanShape(1, 9, 70, 4);
        ScanCase x = new ScanCase(shape, ScanCase.Options.NONE, 8);
        for (int i = 0; i < x.naive.a.length; i++) {
            x.naive.a[i] = -x.naive.a[i];
            x.inputs.a().setAtIndex(ScanCase.F32, i, (float) x.naive.a[i]);
        }
        kernel(tiles, SERIAL).forward(x.inputs, x.y, x.finalState, null);
        x.naive.forward();
        assertClose("y", x.values(x.y, 70), x.naive.y);
    }

    @ParameterizedTest
    @MethodSource("tiles")
    void nanReachesExactlyTheOutputsThatDependOnIt(ScanTiles tiles) {
        ScanShape shape = new ScanShape(1, 40, 70, 4);
        for (int operand = 0; operand < 3; operand++) {
            ScanCase x = new ScanCase(shape, new ScanCase.Options(true, true, true, true, false, false, false), 9);
            ScanRows target = List.of(x.inputs.u(), x.inputs.delta(), x.inputs.z()).get(operand);
            target.segment().setAtIndex(ScanCase.F32, 20L * 70 + 33, Float.NaN);
            kernel(tiles, SERIAL).forward(x.inputs, x.y, x.finalState, null);
            double[] y = x.values(x.y, 70);
            for (int i = 0; i < y.length; i++) {
                boolean later = operand < 2 ? i / 70 >= 20 : i / 70 == 20;
                assertThat(Double.isNaN(y[i])).as("operand %d, token %d, channel %d", operand, i / 70, i % 70)
                        .isEqualTo(later && i % 70 == 33);
            }
        }
    }

    /** Quiet and signalling, of both signs, with and without bits that integer arithmetic would shift into the exponent. */
    private static final int[] NOT_NUMBERS = {0x7fc00000, 0x7fc00001, 0x7fffffff, 0xffc00155, 0x7f800001, 0xff9234ab};

    private static ScanCase spoilt(int operand, int bits, boolean isActivated) {
        ScanCase x = new ScanCase(new ScanShape(1, 40, 70, 4), new ScanCase.Options(isActivated, isActivated, true, false, false, false,
                false), 9);
        MemorySegment target = List.of(x.inputs.u().segment(), x.inputs.delta().segment(), x.inputs.a()).get(operand);
        target.setAtIndex(ValueLayout.JAVA_INT, operand < 2 ? 20L * 70 + 33 : 33L * 4 + 2, bits);
        return x;
    }

    @ParameterizedTest
    @MethodSource("tiles")
    void nanOfAnyPayloadStaysNan(ScanTiles tiles) {
        for (int bits : NOT_NUMBERS) {
            for (int operand = 0; operand < 6; operand++) {
                ScanCase x = spoilt(operand % 3, bits, operand < 3);
                kernel(tiles, SERIAL).forward(x.inputs, x.y, x.finalState, null);
                double[] y = x.values(x.y, 70);
                int first = operand % 3 == 2 ? 0 : 20;
                for (int i = 0; i < y.length; i++) {
                    assertThat(Double.isNaN(y[i])).as("%x in operand %d, token %d, channel %d", bits, operand, i / 70, i % 70)
                            .isEqualTo(i / 70 >= first && i % 70 == 33);
                }
                double[] state = ScanCase.values(x.finalState);
                for (int i = 0; i < state.length; i++) {
                    boolean isState = operand % 3 < 2 ? i / 4 == 33 : i == 33 * 4 + 2;
                    assertThat(Double.isNaN(state[i])).as("%x in operand %d, state %d", bits, operand, i).isEqualTo(isState);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("tiles")
    void nanOfAnyPayloadStaysNanInGradients(ScanTiles tiles) {
        SelectiveScanCpu kernel = kernel(tiles, SERIAL);
        for (int bits : NOT_NUMBERS) {
            ScanCase x = spoilt(2, bits, false);
            MemorySegment saved = ScanCase.poison(kernel.savedFloats(x.shape));
            kernel.forward(x.inputs, x.y, x.finalState, saved);
            kernel.backward(x.inputs, saved, x.dy, x.dFinalState, x.gradients, ScanCase.poison(kernel.workspaceFloats(x.shape)));
            double[] a = ScanCase.values(x.gradients.a());
            for (int i = 0; i < a.length; i++) {
                assertThat(Double.isNaN(a[i])).as("%x, gradient %d of A", bits, i).isEqualTo(i == 33 * 4 + 2);
            }
            double[] delta = x.values(x.gradients.delta(), 70);
            for (int i = 0; i < delta.length; i++) {
                assertThat(Double.isNaN(delta[i])).as("%x, token %d, channel %d", bits, i / 70, i % 70).isEqualTo(i % 70 == 33);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("tiles")
    void nanOfAnyPayloadStaysNanInAStep(ScanTiles tiles) {
        for (int states : new int[] {4, 16, 19}) {
            for (int bits : NOT_NUMBERS) {
                ScanCase x = new ScanCase(new ScanShape(1, 1, 70, states), ScanCase.Options.NONE, 10);
                x.inputs.a().setAtIndex(ValueLayout.JAVA_INT, 33L * states + states - 1, bits);
                kernel(tiles, SERIAL).forward(x.inputs, x.y, x.finalState, null);
                double[] y = x.values(x.y, 70);
                for (int i = 0; i < 70; i++) {
                    assertThat(Double.isNaN(y[i])).as("%x, channel %d", bits, i).isEqualTo(i == 33);
                }
            }
        }
    }
}
