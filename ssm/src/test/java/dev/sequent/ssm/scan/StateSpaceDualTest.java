package dev.sequent.ssm.scan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.GradientCheck;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The state-space dual as an operation on tensors: the chunked form against the recurrence and difference quotients, errors. */
class StateSpaceDualTest {
    static Tensor random(Device device, DType dtype, long seed, long... shape) {
        return new Rng(seed).uniform(device, DType.F32, -1.3, 1.3, shape).cast(dtype);
    }

    /** Operands in order: x, dt, a, b, c, skip, initial state; x, b and c are slices of one wider tensor, as in a layer. */
    static List<Tensor> operands(Device device, DType dtype, DualShape s) {
        long inner = (long) s.heads() * s.width();
        long rows = (long) s.groups() * s.states();
        Tensor wide = random(device, dtype, 1, s.batch(), s.tokens(), 3 + inner + 2 * rows);
        return List.of(wide.slice(2, 3, 3 + inner).reshape(s.batch(), s.tokens(), s.heads(), s.width()),
                random(device, dtype, 3, s.batch(), s.tokens(), s.heads()).softplus(), random(device, dtype, 4, s.heads()).exp().neg(),
                wide.slice(2, 3 + inner, 3 + inner + rows).reshape(s.batch(), s.tokens(), s.groups(), s.states()),
                wide.slice(2, 3 + inner + rows, 3 + inner + 2 * rows).reshape(s.batch(), s.tokens(), s.groups(), s.states()),
                random(device, dtype, 5, s.heads()), random(device, dtype, 6, s.batch(), s.heads(), s.width(), s.states()));
    }

    static byte[] flags(DualShape s, boolean flagged) {
        if (!flagged) {
            return null;
        }
        Random random = new Random(5);
        byte[] f = new byte[s.batch() * s.tokens()];
        for (int i = 0; i < f.length; i++) {
            f[i] = (byte) (random.nextInt(5) == 0 ? 1 + random.nextInt(3) : 0);
        }
        return f;
    }

    static StateSpaceDual.Operands pack(List<Tensor> t, boolean all) {
        return new StateSpaceDual.Operands(t.get(0), t.get(1), t.get(2), t.get(3), t.get(4), all ? t.get(5) : null, all ? t.get(6) : null);
    }

    /** Outputs, and gradients of all operands for random cotangents of both outputs. */
    static List<double[]> everything(List<Tensor> in, DualShape s, boolean all,
            Function<StateSpaceDual.Operands, StateSpaceDual.Result> form) {
        List<Tensor> used = in.subList(0, all ? 7 : 5);
        List<Variable> variables = new ArrayList<>();
        used.forEach(t -> variables.add(Variable.of(t)));
        Device device = in.getFirst().device();
        DType dtype = in.getFirst().dtype();
        List<Tensor> cotangents = List.of(random(device, dtype, 8, s.batch(), s.tokens(), s.heads(), s.width()),
                random(device, dtype, 9, s.batch(), s.heads(), s.width(), s.states()));
        Autograd.Pullback p = Autograd.vjp(variables, () -> {
            StateSpaceDual.Result r = form.apply(pack(in, all));
            return List.of(r.y(), r.finalState());
        }, cotangents);
        List<double[]> results = new ArrayList<>();
        p.outputs().forEach(t -> results.add(t.toDoubles()));
        variables.forEach(v -> results.add(p.gradients().get(v).toDoubles()));
        return results;
    }

    static void assertClose(String what, double[] actual, double[] expected, double tolerance) {
        double scale = 0;
        for (double e : expected) {
            scale = Math.max(scale, Math.abs(e));
        }
        assertThat(actual.length).as(what).isEqualTo(expected.length);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).as("%s, element %d, scale %g", what, i, scale).isCloseTo(expected[i], within(tolerance * scale));
        }
    }

    @Test
    void derivativesEqualDifferences() {
        DualShape s = new DualShape(2, 7, 4, 3, 2, 2);
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            for (boolean flagged : new boolean[] {false, true}) {
                GradientCheck.check("state-space dual", in -> {
                    StateSpaceDual.Result r = StateSpaceDual.apply(pack(in, true), 3, flags(s, flagged));
                    return Tensor.concat(0, r.y().reshape(-1), r.finalState().reshape(-1));
                }, 1e-7, operands(device, DType.F64, s).toArray(Tensor[]::new));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"2,7,4,3,2,5,3,true,true", "1,1,2,1,1,1,8,true,false", "1,17,3,2,3,4,5,false,true", "2,16,6,2,2,3,4,true,false",
            "1,9,2,3,1,4,100,false,false",
        "3,10,4,1,1,2,1,true,true"})
    void chunkedFormEqualsRecurrence(int batch, int time, int heads, int width, int groups, int states, int chunk, boolean all,
            boolean flagged) {
        DualShape s = new DualShape(batch, time, heads, width, groups, states);
        byte[] flags = flags(s, flagged);
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            List<Tensor> in = operands(device, DType.F64, s);
            List<double[]> expected = everything(in, s, all, x -> PlainDual.run(x, flags));
            List<double[]> actual = everything(in, s, all, x -> StateSpaceDual.apply(x, chunk, flags));
            for (int i = 0; i < expected.size(); i++) {
                assertClose("result " + i, actual.get(i), expected.get(i), 1e-12);
            }
        }
    }

    @Test
    void strongDecayLosesNoDigitsOfWeakDecayAfterIt() {
        DualShape s = new DualShape(1, 12, 1, 2, 1, 3);
        try (Device device = Device.open("cpu"); Device exact = Device.open("reference"); Scope _ = Scope.open()) {
            double[] steps = {500, 300, 700, 1e-3, 2e-3, 1e-3, 0, 1e-3, 3e-3, 1e-3, 1e-3, 2e-3};
            List<List<Tensor>> both = new ArrayList<>();
            for (Device d : List.of(device, exact)) {
                List<Tensor> in = new ArrayList<>(operands(d, d == exact ? DType.F64 : DType.F32, s));
                in.set(1, Tensor.of(d, steps, 1, 12, 1).cast(DType.F32).cast(in.getFirst().dtype()));
                both.add(in);
            }
            double[] actual = new ChunkedDual(pack(both.get(0), true), 12, null).run().y().toDoubles();
            double[] expected = PlainDual.run(pack(both.get(1), true), null).y().toDoubles();
            // sums of up to 1500 |A| in F32, subtracted from each other, would be wrong by 1e-4
            assertClose("y", actual, expected, 2e-6);
        }
    }

    @Test
    void unsuitableOperandsAreRefused() {
        DualShape s = new DualShape(2, 7, 4, 3, 2, 2);
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            for (int i = 0; i < 7; i++) {
                int which = i;
                List<Tensor> wrong = new ArrayList<>(operands(device, DType.F64, s));
                wrong.set(i, random(device, DType.F64, 1, 5, 3));
                assertThatThrownBy(() -> pack(wrong, true)).as("operand %d", which).isInstanceOf(ShapeException.class)
                        .hasMessageContaining("stateSpaceDual");
                List<Tensor> narrow = new ArrayList<>(operands(device, DType.F64, s));
                narrow.set(i, narrow.get(i).cast(DType.F32));
                assertThatThrownBy(() -> pack(narrow, true)).as("operand %d", which).isInstanceOf(DTypeException.class);
            }
            List<Tensor> in = operands(device, DType.F64, s);
            List<Tensor> groups = new ArrayList<>(in);
            groups.set(3, random(device, DType.F64, 1, 2, 7, 3, 2));
            assertThatThrownBy(() -> pack(groups, true)).isInstanceOf(ShapeException.class).hasMessageContaining("divides 4 heads");
            assertThatThrownBy(() -> StateSpaceDual.apply(pack(in, true), 4, new byte[3])).isInstanceOf(ShapeException.class)
                    .hasMessageContaining("14 flags");
            assertThatThrownBy(() -> StateSpaceDual.apply(pack(in, true), 0, null)).isInstanceOf(ConfigException.class);
        }
    }
}
