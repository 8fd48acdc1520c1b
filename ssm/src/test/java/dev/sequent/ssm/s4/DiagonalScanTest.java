package dev.sequent.ssm.s4;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.ssm.s4.DiagonalScan.Discretisation;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.GradientCheck;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The diagonal scan: the decomposition against difference quotients, the CPU's kernel against the decomposition, threads, extreme
 * coefficients, errors.
 */
class DiagonalScanTest {
    private static final List<String> NAMES =
            List.of("y", "state re", "state im", "du", "dLogStep", "dLogDecay", "dFrequency", "dC", "dSkip", "dStateRe", "dStateIm");

    /** Sizes of a problem, and what it has. */
    private record Case(int batch, int time, int channels, int pairs, boolean hasState, boolean documents, Discretisation discretisation) {
        SequenceInfo info() {
            SequenceInfo info = SequenceInfo.of(batch, time);
            if (!documents) {
                return info;
            }
            int[] d = new int[batch * time]; // padding at both ends and in between, documents of one to some tens of tokens
            for (int i = 0; i < d.length; i++) {
                int t = i % time;
                d[i] = t < i / time || t % 41 == 7 || t % 41 == 8 || t == time - 1 && batch > 1 ? -1 : t / 41 + (t % 41 > 20 ? 1 : 0);
            }
            return info.withDocuments(d);
        }
    }

    private static Tensor random(Device device, DType dtype, long seed, double low, double high, long... shape) {
        return new Rng(seed).uniform(device, DType.F32, low, high, shape).cast(dtype);
    }

    private static List<Tensor> operands(Device device, DType dtype, Case c) {
        List<Tensor> in = new ArrayList<>(List.of(random(device, dtype, 1, -1, 1, c.batch, c.time, c.channels), random(device, dtype, 2,
                -6, -1, c.channels),
                random(device, dtype, 3, -2, 1, c.channels, c.pairs), random(device, dtype, 4, -9, 9, c.channels, c.pairs),
                random(device, dtype, 5, -1, 1, c.channels, c.pairs, 2), random(device, dtype, 6, -1, 1, c.channels)));
        if (c.hasState) {
            in.add(random(device, dtype, 7, -1, 1, c.batch, c.channels, c.pairs));
            in.add(random(device, dtype, 8, -1, 1, c.batch, c.channels, c.pairs));
        }
        return in;
    }

    private static DiagonalScan.Operands pack(List<Tensor> t, Discretisation discretisation) {
        return new DiagonalScan.Operands(t.get(0), t.get(1), t.get(2), t.get(3), t.get(4), t.get(5), t.size() > 6 ? t.get(6) : null,
                t.size() > 6 ? t.get(7) : null, discretisation);
    }

    private static List<double[]> results(Device device, List<Tensor> in, Case c) {
        return results(device, in, c, DiagonalScan::apply);
    }

    /** Output, states, and the derivatives of a random combination of them. */
    private static List<double[]> results(Device device, List<Tensor> in, Case c,
            BiFunction<DiagonalScan.Operands, SequenceInfo, DiagonalScan.Result> scan) {
        List<double[]> results = new ArrayList<>();
        DType dtype = in.get(0).dtype();
        List<Variable> variables = new ArrayList<>();
        in.forEach(t -> variables.add(Variable.of(t)));
        List<Tensor> cotangents = List.of(random(device, dtype, 11, -1, 1, c.batch, c.time, c.channels), random(device, dtype, 12, -1, 1,
                c.batch, c.channels, c.pairs), random(device, dtype, 13, -1, 1, c.batch, c.channels, c.pairs));
        Autograd.Pullback p = Autograd.vjp(variables, () -> {
            DiagonalScan.Result r = scan.apply(pack(in, c.discretisation), c.info());
            return List.of(r.y(), r.stateRe(), r.stateIm());
        }, cotangents);
        p.outputs().forEach(t -> results.add(t.toDoubles()));
        variables.forEach(v -> results.add(p.gradients().get(v).toDoubles()));
        return results;
    }

    private static List<double[]> results(Device device, DType dtype, Case c) {
        try (Scope _ = Scope.open()) {
            return results(device, operands(device, dtype, c), c);
        }
    }

    private static List<double[]> results(String backend, Map<String, String> options, DType dtype, Case c) {
        List<double[]> results;
        try (Device device = Device.open(backend, options)) {
            results = results(device, dtype, c);
            assertThat(device.memory().liveHandles()).isZero();
        }
        return results;
    }

    private static void assertClose(String what, List<double[]> actual, List<double[]> expected, double tolerance) {
        assertThat(actual).as(what).hasSameSizeAs(expected);
        for (int r = 0; r < expected.size(); r++) {
            double scale = Arrays.stream(expected.get(r)).map(Math::abs).max().orElse(0);
            assertThat(actual.get(r)).hasSameSizeAs(expected.get(r));
            for (int i = 0; i < expected.get(r).length; i++) {
                assertThat(actual.get(r)[i]).as("%s, %s, element %d, scale %g", what, NAMES.get(r), i, scale)
                        .isCloseTo(expected.get(r)[i], within(tolerance * Math.max(scale, 1e-30)));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Discretisation.class)
    void decompositionHasTheDerivativesOfDifferences(Discretisation discretisation) {
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            for (boolean documents : new boolean[] {false, true}) {
                Case c = new Case(2, 11, 3, 2, true, documents, discretisation);
                GradientCheck.check("diagonal scan", in -> {
                    DiagonalScan.Result r = DiagonalScan.apply(pack(in, discretisation), c.info());
                    return Tensor.concat(0, r.y().reshape(-1), r.stateRe().reshape(-1), r.stateIm().reshape(-1));
                }, 1e-6, operands(device, DType.F64, c).toArray(Tensor[]::new));
            }
        }
    }

    /** The equations of {@link DiagonalScan}, token by token: what everything else is compared with in the end. */
    private static DiagonalScan.Result recurrence(DiagonalScan.Operands x, SequenceInfo info) {
        Device device = x.u().device();
        DType dtype = x.u().dtype();
        Tensor dt = x.logStep().exp().unsqueeze(-1);
        Complex spectrum = new Complex(x.logDecay().exp().neg(), x.frequency());
        Complex one = new Complex(Tensor.ones(device, dtype, 1), Tensor.zeros(device, dtype, 1));
        Complex half = spectrum.mul(dt).mul(0.5);
        boolean bilinear = x.discretisation() == Discretisation.BILINEAR;
        Complex a = bilinear ? one.add(half).div(one.add(half.mul(-1))) : spectrum.mul(dt).exp();
        Complex b = bilinear ? one.mul(dt).div(one.add(half.mul(-1))) : a.add(-1).div(spectrum);
        Tensor none = Tensor.zeros(device, dtype, x.u().dim(0), x.u().dim(2), x.logDecay().dim(1));
        Complex h = x.stateRe() == null ? new Complex(none, none) : new Complex(x.stateRe(), x.stateIm());
        Tensor keep = info.keepMask(device, dtype).reshape(info.batch(), info.time(), 1, 1);
        Tensor valid = info.validMask(device, dtype).reshape(info.batch(), info.time(), 1, 1);
        List<Tensor> ys = new ArrayList<>();
        for (int t = 0; t < info.time(); t++) {
            Tensor u = x.u().select(1, t).unsqueeze(-1); // (B, E, 1)
            Complex kept = h.mul(keep.select(1, t));
            Complex after = kept.mul(a).add(b.mul(u));
            Tensor real = x.c().select(2, 0).mul(after.re()).sub(x.c().select(2, 1).mul(after.im()));
            ys.add(real.sum(2).mul(2).add(u.squeeze(-1).mul(x.skip())).mul(valid.select(1, t).squeeze(-1)));
            h = after.mul(valid.select(1, t)).add(kept.mul(valid.select(1, t).neg().add(1)));
        }
        return new DiagonalScan.Result(Tensor.stack(1, ys.toArray(Tensor[]::new)), h.re(), h.im());
    }

    /** Around the length of a chunk, too. */
    @ParameterizedTest
    @CsvSource({"1,1,1,1,true,false,ZERO_ORDER_HOLD", "2,1,3,2,false,false,BILINEAR", "2,3,17,5,true,true,BILINEAR",
            "1,17,3,8,false,false,ZERO_ORDER_HOLD", "2,63,3,2,true,false,BILINEAR", "1,64,5,3,false,false,ZERO_ORDER_HOLD",
            "3,65,2,2,true,false,ZERO_ORDER_HOLD", "2,128,2,3,false,false,BILINEAR", "1,200,3,2,true,true,ZERO_ORDER_HOLD",
            "2,300,2,3,true,false,ZERO_ORDER_HOLD", "2,150,2,3,false,true,BILINEAR"})
    void decompositionAgreesWithTheRecurrence(int batch, int time, int channels, int pairs, boolean hasState, boolean documents,
            Discretisation discretisation) {
        Case c = new Case(batch, time, channels, pairs, hasState, documents, discretisation);
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            List<Tensor> in = operands(device, DType.F64, c);
            assertClose("chunks", results(device, in, c), results(device, in, c, DiagonalScanTest::recurrence), 1e-11);
        }
    }

    /** F64 has no kernel. */
    @Test
    void memoryOfTheDecompositionGrowsWithTheSequenceAndNoFaster() {
        assertThat(peak(2048)).isLessThan(5 * peak(512));
    }

    private static long peak(int time) {
        try (Device device = Device.open("cpu")) {
            results(device, DType.F64, new Case(1, time, 8, 8, true, false, Discretisation.ZERO_ORDER_HOLD));
            return device.memory().peakBytes();
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1,1,1,true,false,ZERO_ORDER_HOLD", "2,3,17,5,true,true,BILINEAR", "1,17,63,8,false,false,ZERO_ORDER_HOLD",
            "3,100,3,3,true,true,ZERO_ORDER_HOLD",
            "1,300,16,32,true,true,ZERO_ORDER_HOLD", "1,130,100,9,true,false,BILINEAR", "2,64,32,4,false,true,ZERO_ORDER_HOLD",
            "5,129,33,6,false,false,BILINEAR"})
    void kernelAgreesWithDecomposition(int batch, int time, int channels, int pairs, boolean hasState, boolean documents,
    Discretisation discretisation) {
        Case c = new Case(batch, time, channels, pairs, hasState, documents, discretisation);
        List<double[]> expected = results("reference", Map.of(), DType.F64, c);
        for (String vector : new String[] {"auto", "off"}) {
            for (String threads : new String[] {"1", "8"}) { // one task for all quads of a block, and a task for each
                Map<String, String> options = Map.of("poison", "true", "threads", threads, "vector", vector);
                assertClose("vector " + vector + ", threads " + threads, results("cpu", options, DType.F32, c), expected, 2e-5);
            }
        }
    }

    @Test
    void resultsDoNotDependOnThreads() {
        Case c = new Case(2, 333, 70, 20, true, true, Discretisation.ZERO_ORDER_HOLD);
        List<double[]> expected = results("cpu", Map.of("threads", "1"), DType.F32, c);
        for (String threads : new String[] {"2", "3", "8", "64"}) {
            List<double[]> actual = results("cpu", Map.of("threads", threads, "poison", "true"), DType.F32, c);
            for (int i = 0; i < expected.size(); i++) {
                assertThat(Arrays.equals(actual.get(i), expected.get(i))).as("%s with %s threads", NAMES.get(i), threads).isTrue();
            }
        }
    }

    /**
     * Without an initial state there is no division by b, and without a final state's derivative none by c: both get in the way where b or
     * c vanish.
     */
    @ParameterizedTest
    @EnumSource(Discretisation.class)
    void extremeCoefficientsAgreeWithDecomposition(Discretisation discretisation) {
        Case c = new Case(1, 90, 21, 5, true, false, discretisation);
        List<double[]> expected = extreme("reference", Map.of(), DType.F64, c);
        for (String vector : new String[] {"auto", "off"}) {
            assertClose("vector " + vector, extreme("cpu", Map.of("vector", vector, "poison", "true"), DType.F32, c), expected, 5e-4);
        }
    }

    private static List<double[]> extreme(String backend, Map<String, String> options, DType dtype, Case c) {
        try (Device device = Device.open(backend, options); Scope _ = Scope.open()) {
            List<Tensor> in = operands(device, dtype, c);
            double[] step = {-11.5, -7, 0, 1.5, -3};
            double[] decay = {-3, 0, 2, -6, 1};
            double[] frequency = {0, 0.5, 1e-3, -300, 7};
            double[] output = {0, 1, 1e-12, 0.5, 0};
            double[] steps = new double[c.channels];
            double[][] rows = new double[3][c.channels * c.pairs];
            double[] outputs = new double[2 * c.channels * c.pairs];
            for (int e = 0; e < c.channels; e++) {
                steps[e] = step[e % 5];
                for (int p = 0; p < c.pairs; p++) {
                    int i = e * c.pairs + p;
                    rows[0][i] = decay[(e + p) % 5];
                    rows[1][i] = steps[e] > -1 && Math.abs(frequency[p]) > 100 ? 3 : frequency[p];
                    outputs[2 * i] = output[(e + 2 * p) % 5];
                    outputs[2 * i + 1] = output[(e + 3 * p + 1) % 5];
                }
            }
            in.set(1, Tensor.of(device, steps, c.channels).cast(dtype));
            in.set(2, Tensor.of(device, rows[0], c.channels, c.pairs).cast(dtype));
            in.set(3, Tensor.of(device, rows[1], c.channels, c.pairs).cast(dtype));
            in.set(4, Tensor.of(device, outputs, c.channels, c.pairs, 2).cast(dtype));
            return results(device, in, c);
        }
    }

    @Test
    void largeAnglesAgreeWithDecomposition() {
        Case c = new Case(1, 9, 5, 3, false, false, Discretisation.ZERO_ORDER_HOLD);
        List<double[]> expected = largeAngles("reference", DType.F64, c);
        assertClose("angles of 2^21", largeAngles("cpu", DType.F32, c), expected, 1e-5);
    }

    private static List<double[]> largeAngles(String backend, DType dtype, Case c) {
        try (Device device = Device.open(backend); Scope _ = Scope.open()) {
            List<Tensor> in = operands(device, dtype, c);
            in.set(1, Tensor.zeros(device, dtype, c.channels)); // dt = 1: angles are frequencies, the same in both precisions
            in.set(3, in.get(3).mul(0).add(1 << 21));
            return results(device, in, c).subList(0, 3);
        }
    }

    /** Exponentials add n to the exponent of a float for 2^n: bits that say "not a number" must not become those of one. */
    @ParameterizedTest
    @EnumSource(Discretisation.class)
    void whatIsNotANumberStaysSo(Discretisation discretisation) {
        for (int bits : new int[] {0x7fc00000, 0x7fc00001, 0x7f800001, 0xffc00003, 0x7fffffff}) {
            for (int time : new int[] {1, 9}) {
                for (int operand = 1; operand <= 4; operand++) {
                    Case c = new Case(1, time, 37, 3, true, false, discretisation);
                    boolean[] expected = new boolean[time * c.channels];
                    for (int t = 0; t < time; t++) {
                        expected[t * c.channels + 5] = true;
                        expected[t * c.channels + 36] = true;
                    }
                    assertThat(notNumbers(bits, operand, c)).as("bits %x, operand %d, %d tokens", bits, operand, time).isEqualTo(expected);
                }
            }
        }
    }

    /** Which outputs are NaN where the given operand has a NaN in one pair of channels 5 and 36. */
    private static boolean[] notNumbers(int bits, int operand, Case c) {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            List<Tensor> in = operands(device, DType.F32, c);
            float[] values = in.get(operand).toFloats();
            for (int channel : new int[] {5, 36}) {
                values[channel * values.length / c.channels] = Float.intBitsToFloat(bits);
            }
            in.set(operand, Tensor.of(device, values, in.get(operand).shape().toArray()));
            float[] y = DiagonalScan.apply(pack(in, c.discretisation), c.info()).y().toFloats();
            boolean[] nan = new boolean[y.length];
            for (int i = 0; i < y.length; i++) {
                nan[i] = Float.isNaN(y[i]);
            }
            return nan;
        }
    }

    @Test
    void scanEqualsStepsThroughTheState() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Case c = new Case(3, 70, 19, 33, true, false, Discretisation.ZERO_ORDER_HOLD);
            List<Tensor> in = operands(device, DType.F32, c);
            DiagonalScan.Result whole = DiagonalScan.apply(pack(in, c.discretisation), c.info());
            List<Tensor> step = new ArrayList<>(in);
            List<Tensor> ys = new ArrayList<>();
            for (int t = 0; t < c.time; t++) {
                step.set(0, in.get(0).slice(1, t, t + 1));
                DiagonalScan.Result r = DiagonalScan.apply(pack(step, c.discretisation), SequenceInfo.of(c.batch, 1));
                ys.add(r.y());
                step.set(6, r.stateRe());
                step.set(7, r.stateIm());
            }
            Tensor y = Tensor.concat(1, ys.toArray(Tensor[]::new));
            assertThat(y.sub(whole.y()).abs().max().item()).isLessThan(1e-5 * whole.y().abs().max().item());
            assertThat(step.get(6).sub(whole.stateRe()).abs().max().item()).isLessThan(1e-5 * whole.stateRe().abs().max().item());
            assertThat(step.get(7).sub(whole.stateIm()).abs().max().item()).isLessThan(1e-5 * whole.stateIm().abs().max().item());
        }
    }

    /** The memory of a freed tensor is used again for smaller ones, and a part of a tensor has the rest of it behind itself. */
    @Test
    void aTokenReadsNoMoreMemoryThanItsState() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Case c = new Case(2, 1, 5, 3, true, false, Discretisation.ZERO_ORDER_HOLD);
            List<Tensor> in = operands(device, DType.F32, c);
            DiagonalScan.Result expected = DiagonalScan.apply(pack(in, c.discretisation), SequenceInfo.of(2, 1));
            List<Tensor> parts = new ArrayList<>(in);
            for (int i = 6; i < 8; i++) {
                Tensor more = Tensor.full(device, DType.F32, Double.NaN, 9, 5, 3);
                parts.set(i, Tensor.concat(0, in.get(i), more).slice(0, 0, 2));
            }
            DiagonalScan.Result r = DiagonalScan.apply(pack(parts, c.discretisation), SequenceInfo.of(2, 1));
            assertThat(r.y().toDoubles()).containsExactly(expected.y().toDoubles());
            assertThat(r.stateRe().toDoubles()).containsExactly(expected.stateRe().toDoubles());
            assertThat(r.stateIm().toDoubles()).containsExactly(expected.stateIm().toDoubles());
        }
    }

    @Test
    void stepsKeepAndForgetAsFlagsSay() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Case c = new Case(2, 1, 5, 3, true, false, Discretisation.BILINEAR);
            List<Tensor> in = operands(device, DType.F32, c);
            DiagonalScan.Result r = DiagonalScan.apply(pack(in, c.discretisation), SequenceInfo.of(2, 1).withDocuments(new int[] {0, -1}));
            assertThat(r.stateRe().select(0, 1).toDoubles()).containsExactly(in.get(6).select(0, 1).toDoubles());
            assertThat(r.stateIm().select(0, 1).toDoubles()).containsExactly(in.get(7).select(0, 1).toDoubles());
            assertThat(r.y().select(0, 1).toDoubles()).containsOnly(0);
            assertThat(r.stateRe().select(0, 0).toDoubles()).isNotEqualTo(in.get(6).select(0, 0).toDoubles());
        }
    }

    @Test
    void unsuitableOperandsAreRefused() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Case c = new Case(2, 7, 3, 2, true, false, Discretisation.BILINEAR);
            for (int i = 0; i < 8; i++) {
                List<Tensor> wrong = new ArrayList<>(operands(device, DType.F32, c));
                wrong.set(i, random(device, DType.F32, 1, -1, 1, 5, 4));
                assertThatThrownBy(() -> pack(wrong, c.discretisation)).as("operand %d",
                        i).isInstanceOf(ShapeException.class).hasMessageContaining("diagonalScan");
                List<Tensor> wide = new ArrayList<>(operands(device, DType.F32, c));
                wide.set(i, wide.get(i).cast(DType.F64));
                assertThatThrownBy(() -> pack(wide, c.discretisation)).as("operand %d", i).isInstanceOf(DTypeException.class);
            }
            DiagonalScan.Operands x = pack(operands(device, DType.F32, c), c.discretisation);
            assertThatThrownBy(() -> DiagonalScan.apply(x, SequenceInfo.of(2, 6))).isInstanceOf(ShapeException.class);
        }
    }
}
