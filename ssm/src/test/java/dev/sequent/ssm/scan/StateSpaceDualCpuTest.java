package dev.sequent.ssm.scan;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The CPU's kernels of the state-space dual, with and without vectors, against the decomposition in F64. */
class StateSpaceDualCpuTest {
    private static final String[] NAMES = {"y", "final state", "dx", "ddt", "da", "db", "dc", "dskip", "dinitial"};

    private static Device cpu(String vector, int threads) {
        return Device.open("cpu", Map.of("poison", "true", "threads", threads + "", "vector", vector));
    }

    private static List<double[]> onCpu(String vector, int threads, DualShape s, boolean all, byte[] flags) {
        try (Device device = cpu(vector, threads)) {
            List<double[]> results;
            try (Scope _ = Scope.open()) {
                assertThat(KernelTable.of(device).explain()).containsKey("StateSpaceDualKernel");
                results = StateSpaceDualTest.everything(StateSpaceDualTest.operands(device, DType.F32, s), s, all, x ->
                        StateSpaceDual.apply(x, 1, flags));
            }
            assertThat(device.memory().liveHandles()).isZero();
            return results;
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1,1,1,1,1,false,false", "1,1,2,64,1,16,true,false", "2,3,4,5,2,3,true,true", "1,17,2,64,1,17,true,false",
            "2,63,4,16,4,5,false,true",
        "1,100,3,100,1,33,true,false", "1,300,2,64,2,8,true,true", "3,40,6,8,2,130,true,true", "1,200,24,7,2,9,false,false",
        "2,70,20,64,1,4,true,true"})
    void kernelAgreesWithDecomposition(int batch, int time, int heads, int width, int groups, int states, boolean all, boolean flagged) {
        DualShape s = new DualShape(batch, time, heads, width, groups, states);
        byte[] flags = StateSpaceDualTest.flags(s, flagged);
        List<double[]> expected;
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            expected = StateSpaceDualTest.everything(StateSpaceDualTest.operands(device, DType.F64, s), s, all, x -> new ChunkedDual(x, 32,
                    flags).run());
        }
        for (String vector : new String[] {"auto", "off"}) {
            List<double[]> actual = onCpu(vector, 2, s, all, flags);
            for (int i = 0; i < expected.size(); i++) {
                StateSpaceDualTest.assertClose(NAMES[i] + ", vector " + vector, actual.get(i), expected.get(i), 5e-6);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"auto", "off"})
    void workingMemoryKeepsNoTraceOfOtherSizes(String vector) {
        DualShape large = new DualShape(1, 40, 2, 13, 1, 8);
        DualShape small = new DualShape(1, 35, 2, 9, 1, 5);
        try (Device device = cpu(vector, 1); Scope _ = Scope.open()) {
            List<Tensor> in = StateSpaceDualTest.operands(device, DType.F32, small);
            List<double[]> before = StateSpaceDualTest.everything(in, small, true, x -> StateSpaceDual.apply(x, 1, null));
            StateSpaceDualTest.everything(StateSpaceDualTest.operands(device, DType.F32, large), large, true, x -> StateSpaceDual.apply(x,
                    1, null));
            List<double[]> after = StateSpaceDualTest.everything(in, small, true, x -> StateSpaceDual.apply(x, 1, null));
            for (int i = 0; i < before.size(); i++) {
                assertThat(after.get(i)).as(NAMES[i]).isEqualTo(before.get(i));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"auto", "off"})
    void resultsDoNotDependOnThreads(String vector) {
        DualShape s = new DualShape(2, 70, 12, 8, 2, 9);
        byte[] flags = StateSpaceDualTest.flags(s, true);
        List<double[]> one = onCpu(vector, 1, s, true, flags);
        List<double[]> four = onCpu(vector, 4, s, true, flags);
        for (int i = 0; i < one.size(); i++) {
            assertThat(four.get(i)).as(NAMES[i]).isEqualTo(one.get(i));
        }
    }

    /** Long sequences with few heads, whose chunks become tasks where there are many threads: 2 heads of 40 columns, and 1 of 64. */
    @ParameterizedTest
    @CsvSource({"auto,1,2,40,true", "auto,1,1,64,false", "off,2,1,7,true"})
    void chunksAsTasksChangeNothing(String vector, int batch, int heads, int width, boolean flagged) {
        DualShape s = new DualShape(batch, 5000, heads, width, 1, 3);
        byte[] flags = StateSpaceDualTest.flags(s, flagged);
        List<double[]> one = onCpu(vector, 1, s, true, flags);
        for (int threads : new int[] {2, 3, 8, 64}) {
            List<double[]> many = onCpu(vector, threads, s, true, flags);
            for (int i = 0; i < one.size(); i++) {
                assertThat(Arrays.equals(many.get(i), one.get(i))).as(NAMES[i] + ", %d threads", threads).isTrue();
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"auto", "off"})
    void stepsEqualTheWholeSequence(String vector) {
        DualShape s = new DualShape(2, 21, 6, 5, 3, 19);
        byte[] flags = StateSpaceDualTest.flags(s, true);
        try (Device device = cpu(vector, 2); Scope _ = Scope.open()) {
            StateSpaceDual.Operands x = StateSpaceDualTest.pack(StateSpaceDualTest.operands(device, DType.F32, s), true);
            StateSpaceDual.Result whole = StateSpaceDual.apply(x, 1, flags);
            Tensor state = x.initialState();
            for (int t = 0; t < s.tokens(); t++) {
                byte[] now = {flags[t], flags[s.tokens() + t]};
                StateSpaceDual.Result r = StateSpaceDual.apply(part(x, t, t + 1, state), 1, now);
                StateSpaceDualTest.assertClose("token " + t, r.y().toDoubles(), whole.y().slice(1, t, t + 1).toDoubles(), 1e-5);
                state = r.finalState();
            }
            StateSpaceDualTest.assertClose("state", state.toDoubles(), whole.finalState().toDoubles(), 5e-6);
        }
    }

    /** Step sizes that forget everything at once, or nothing, and rates that grow. */
    @ParameterizedTest
    @ValueSource(strings = {"auto", "off"})
    void extremeDecaysAgreeWithTheRecurrence(String vector) {
        DualShape s = new DualShape(1, 40, 3, 5, 1, 4);
        double[] steps = {0, 1e-30, 1e-3, 50, 1e4, 1e-6};
        double[] dt = new double[40 * 3];
        Random random = new Random(7);
        for (int i = 0; i < dt.length; i++) {
            dt[i] = (float) steps[random.nextInt(steps.length)];
        }
        List<List<double[]>> both = new ArrayList<>();
        for (String backend : new String[] {"reference", "cpu"}) {
            try (Device device = backend.equals("cpu") ? cpu(vector, 1) : Device.open(backend); Scope _ = Scope.open()) {
                List<Tensor> in = new ArrayList<>(StateSpaceDualTest.operands(device, DType.F32, s));
                Tensor step = Tensor.of(device, dt, 1, 40, 3).cast(DType.F32);
                in.set(0, in.get(0).div(step.clamp(1, 1e30).unsqueeze(-1)));
                in.set(1, step);
                List<double[]> decaying = StateSpaceDualTest.everything(in, s, true, x -> backend.equals("cpu") ? StateSpaceDual.apply(x,
                        1, null) : PlainDual.run(x, null));
                in.set(1, step.clamp(0, 1e-3));
                in.set(2, in.get(2).neg());
                List<double[]> all = new ArrayList<>(decaying);
                all.addAll(StateSpaceDualTest.everything(in, s, true, x -> backend.equals("cpu") ? StateSpaceDual.apply(x, 1,
                        null) : PlainDual.run(x, null)));
                both.add(all);
            }
        }
        for (int i = 0; i < both.getFirst().size(); i++) {
            StateSpaceDualTest.assertClose(NAMES[i % NAMES.length] + " " + i, both.get(1).get(i), both.get(0).get(i), 1e-5);
        }
    }

    /** States as large as they may be meet decays after which nothing is left of them, tokens that forget nothing, and small ones. */
    @ParameterizedTest
    @ValueSource(strings = {"auto", "off"})
    void largeNumbersOutliveStrongDecays(String vector) {
        DualShape s = new DualShape(1, 70, 2, 33, 1, 9);
        double[] dt = new double[70 * 2];
        for (int i = 0; i < dt.length; i++) {
            dt[i] = (float) (i % 14 == 0 ? 60 : i % 6 < 2 ? 3 : 1e-4);
        }
        List<List<double[]>> both = new ArrayList<>();
        for (String backend : new String[] {"reference", "cpu"}) {
            try (Device device = backend.equals("cpu") ? cpu(vector, 1) : Device.open(backend); Scope _ = Scope.open()) {
                List<Tensor> in = new ArrayList<>(StateSpaceDualTest.operands(device, DType.F32, s));
                in.set(0, in.get(0).mul(1e28));
                in.set(1, Tensor.of(device, dt, 1, 70, 2).cast(DType.F32));
                StateSpaceDual.Operands x = StateSpaceDualTest.pack(in, true);
                StateSpaceDual.Result r = backend.equals("cpu") ? StateSpaceDual.apply(x, 1, null) : PlainDual.run(x, null);
                both.add(List.of(r.y().toDoubles(), r.finalState().toDoubles()));
            }
        }
        for (int i = 0; i < 2; i++) {
            StateSpaceDualTest.assertClose(NAMES[i], both.get(1).get(i), both.get(0).get(i), 2e-6);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"auto", "off"})
    void nanReachesExactlyTheOutputsThatDependOnIt(String vector) {
        DualShape s = new DualShape(1, 40, 4, 7, 2, 5);
        byte[] flags = new byte[40];
        flags[30] = ScanInputs.RESET;
        flags[35] = ScanInputs.SKIP;
        for (int operand : new int[] {0, 1, 3, 4}) {
            for (int token : new int[] {20, 35}) {
                try (Device device = cpu(vector, 2); Scope _ = Scope.open()) {
                    List<Tensor> in = new ArrayList<>(StateSpaceDualTest.operands(device, DType.F32, s));
                    Tensor x = in.get(operand);
                    int rest = (int) (x.size() / 40);
                    double[] values = x.toDoubles();
                    values[token * rest] = Double.NaN;
                    in.set(operand, Tensor.of(device, values, x.shape().toArray()).cast(DType.F32));
                    double[] y = StateSpaceDual.apply(StateSpaceDualTest.pack(in, true), 1, flags).y().toDoubles();
                    for (int i = 0; i < y.length; i++) {
                        int t = i / 28;
                        boolean reached = operand == 4 ? t == 20 : t >= 20 && t < 30;
                        boolean head = operand == 0 ? i % 28 == 0 : operand == 1 ? i % 28 < 7 : i % 28 < 14;
                        assertThat(Double.isNaN(y[i])).as("operand %d, token %d to element %d of token %d", operand, token, i % 28, t)
                                .isEqualTo(token == 20 && reached && head);
                    }
                }
            }
        }
    }

    /** States that kernels make have another order in memory than others. */
    @ParameterizedTest
    @ValueSource(strings = {"auto", "off"})
    void aSequenceInPiecesIsTheWholeSequence(String vector) {
        for (int[] sizes : new int[][] {{2, 2, 7, 1, 7, 1}, {2, 23, 4, 3, 2, 3}, {1, 50, 2, 64, 1, 17}}) {
            DualShape s = new DualShape(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]);
            for (int cut : new int[] {1, s.tokens() / 2, s.tokens() - 1}) {
                try (Device device = cpu(vector, 1); Scope _ = Scope.open()) {
                    List<Tensor> in = StateSpaceDualTest.operands(device, DType.F32, s);
                    List<double[]> whole = StateSpaceDualTest.everything(in, s, true, x -> StateSpaceDual.apply(x, 1, null));
                    List<double[]> pieces = StateSpaceDualTest.everything(in, s, true, x -> {
                        StateSpaceDual.Result head = StateSpaceDual.apply(part(x, 0, cut, x.initialState()), 1, null);
                        StateSpaceDual.Result tail = StateSpaceDual.apply(part(x, cut, s.tokens(), head.finalState()), 1, null);
                        return new StateSpaceDual.Result(Tensor.concat(1, head.y(), tail.y()), tail.finalState());
                    });
                    for (int i = 0; i < whole.size(); i++) {
                        StateSpaceDualTest.assertClose(NAMES[i] + ", cut at " + cut + " of " + s, pieces.get(i), whole.get(i), 5e-6);
                    }
                }
            }
        }
    }

    private static StateSpaceDual.Operands part(StateSpaceDual.Operands x, int from, int to, Tensor state) {
        return new StateSpaceDual.Operands(x.x().slice(1, from, to), x.dt().slice(1, from, to), x.a(), x.b().slice(1, from, to),
                x.c().slice(1, from, to),
                x.skip(), state);
    }
}
