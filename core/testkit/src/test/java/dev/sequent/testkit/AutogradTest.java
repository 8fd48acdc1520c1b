package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Checkpoint;
import dev.sequent.autograd.CustomOp;
import dev.sequent.autograd.Gradients;
import dev.sequent.autograd.Split;
import dev.sequent.autograd.Variable;
import dev.sequent.nn.Dropout;
import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.AutogradException;
import dev.sequent.type.DType;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every primitive's derivative against central differences in F64, and the tape's own rules. */
class AutogradTest {
    private static final double TOLERANCE = 1e-7;
    private Device device;
    private Scope scope;

    @BeforeEach
    void open() {
        device = Device.open("reference");
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    private Tensor x(long seed, long... shape) {
        return new Rng(seed).uniform(device, DType.F64, -1.7, 1.9, shape);
    }

    private Tensor positive(long seed, long... shape) {
        return new Rng(seed).uniform(device, DType.F64, 0.3, 2.1, shape);
    }

    @ParameterizedTest
    @EnumSource(value = UnaryOp.class, names = {"NOT"}, mode = EnumSource.Mode.EXCLUDE)
    void unaryDerivativesEqualDifferences(UnaryOp f) {
        boolean needsPositive = f == UnaryOp.SQRT || f == UnaryOp.RSQRT || f == UnaryOp.LOG || f == UnaryOp.LOG1P
                || f == UnaryOp.RECIPROCAL;
        GradientCheck.check(f.name(), in -> in.get(0).unary(f), TOLERANCE, needsPositive ? positive(1, 3, 5) : x(1, 3, 5));
    }

    @ParameterizedTest
    @EnumSource(value = BinaryOp.class, names = {"AND", "OR"}, mode = EnumSource.Mode.EXCLUDE)
    void binaryDerivativesEqualDifferencesUnderBroadcasting(BinaryOp f) {
        GradientCheck.check(f.name(), in -> in.get(0).binary(f, in.get(1)), TOLERANCE, positive(2, 4, 1, 3), positive(3, 2, 3));
        GradientCheck.check(f.name() + " scalar", in -> in.get(0).binary(f, 1.3, false), TOLERANCE, positive(4, 5));
        GradientCheck.check(f.name() + " reversed", in -> in.get(0).binary(f, 1.3, true), TOLERANCE, positive(5, 5));
    }

    @ParameterizedTest
    @EnumSource(ReduceOp.class)
    void reductionDerivativesEqualDifferences(ReduceOp f) {
        for (int[] axes : new int[][] {{}, {0}, {2}, {0, 2}, {1}}) {
            GradientCheck.check(f + " " + axes.length, in -> in.get(0).reduce(f, false, axes), TOLERANCE, x(6, 3, 2, 4));
        }
    }

    @Test
    void productDerivativeIsExactWithZeros() {
        Tensor v = Tensor.of(device, new double[] {2, 0, 3, 0, 5, 7}, 2, 3);
        GradientCheck.check("prod", in -> in.get(0).reduce(ReduceOp.PROD, false, 1), TOLERANCE, v);
    }

    @Test
    void cumulativeDerivativesEqualDifferences() {
        GradientCheck.check("cumsum", in -> in.get(0).cumsum(1), TOLERANCE, x(7, 2, 5, 3));
        GradientCheck.check("reverse cumsum", in -> in.get(0).cumulative(ReduceOp.SUM, -1, true), TOLERANCE, x(7, 2, 5));
        GradientCheck.check("cumprod", in -> in.get(0).cumulative(ReduceOp.PROD, 1, false), TOLERANCE, positive(8, 2, 5));
    }

    @Test
    void movementDerivativesEqualDifferences() {
        GradientCheck.check("reshape", in -> in.get(0).reshape(2, -1), TOLERANCE, x(9, 4, 3));
        GradientCheck.check("permute", in -> in.get(0).permute(2, 0, 1), TOLERANCE, x(10, 2, 3, 4));
        GradientCheck.check("slice", in -> in.get(0).slice(1, 1, 3), TOLERANCE, x(11, 2, 4, 2));
        GradientCheck.check("pad", in -> in.get(0).pad(0, 2, 1, 0.5), TOLERANCE, x(12, 2, 3));
        GradientCheck.check("flip", in -> in.get(0).flip(0, 2), TOLERANCE, x(13, 2, 3, 2));
        GradientCheck.check("concat", in -> Tensor.concat(1, in.get(0), in.get(1), in.get(0)), TOLERANCE, x(14, 2, 3), x(15, 2, 1));
        GradientCheck.check("stack", in -> Tensor.stack(0, in.get(0), in.get(1)), TOLERANCE, x(16, 3), x(17, 3));
        GradientCheck.check("contiguous", in -> in.get(0).transpose(0, 1).contiguous(), TOLERANCE, x(18, 2, 3));
        GradientCheck.check("broadcast", in -> in.get(0).broadcastTo(dev.sequent.type.Shape.of(2, 3, 4)), TOLERANCE, x(19, 3, 1));
    }

    @Test
    void splitDerivativesEqualDifferencesAndMayBeNested() {
        GradientCheck.check("split", in -> {
            Tensor[] parts = Split.apply(in.get(0), -1, 2, 1, 3);
            return parts[0].sum(-1).mul(parts[2].square().sum(-1)); // the middle piece is unused
        }, TOLERANCE, x(19, 4, 6));
        Variable v = Variable.of(Tensor.of(device, new double[] {1, 2, 3}));
        Gradients outer = Autograd.valueAndGrad(List.of(v), () -> Autograd.valueAndGrad(List.of(v), () -> {
            Tensor[] parts = Split.apply(v.value(), 0, 1, 2);
            return parts[0].mul(parts[1]).square().sum();
        }).of(v).sum());
        assertThat(outer.of(v).toDoubles()).containsExactly(2 * (4 + 9) + 4 * (2 + 3), 4 * 2 + 2, 4 * 3 + 2);
    }

    @Test
    void indexingDerivativesEqualDifferences() {
        Tensor index = Tensor.of(device, new int[] {2, 0, 2});
        Tensor each = Tensor.of(device, new long[] {0, 1, 1, 2, 2, 2}, 2, 3);
        GradientCheck.check("indexSelect", in -> in.get(0).indexSelect(0, index), TOLERANCE, x(20, 3, 2));
        GradientCheck.check("indexAdd", in -> in.get(0).indexAdd(0, index, in.get(1)), TOLERANCE, x(21, 3, 2), x(22, 3, 2));
        GradientCheck.check("gather", in -> in.get(0).gather(1, each), TOLERANCE, x(23, 2, 4));
        GradientCheck.check("scatterAdd", in -> in.get(0).scatterAdd(1, each, in.get(1)), TOLERANCE, x(24, 2, 4), x(25, 2, 3));
        Tensor condition = x(26, 2, 3).compare(CompareOp.GT, 0);
        GradientCheck.check("where", in -> condition.where(in.get(0), in.get(1)), TOLERANCE, x(27, 2, 3), x(28, 3));
    }

    @Test
    void matmulDerivativesEqualDifferencesForAllTransposes() {
        for (boolean ta : new boolean[] {false, true}) {
            for (boolean tb : new boolean[] {false, true}) {
                Tensor a = ta ? x(29, 2, 4, 3) : x(29, 2, 3, 4);
                Tensor b = tb ? x(30, 5, 4) : x(30, 4, 5);
                GradientCheck.check("matmul " + ta + tb, in -> in.get(0).matmul(in.get(1), ta, tb), TOLERANCE, a, b);
            }
        }
    }

    @Test
    void softmaxDerivativesEqualDifferences() {
        GradientCheck.check("softmax", in -> in.get(0).softmax(-1), TOLERANCE, x(31, 2, 5));
        GradientCheck.check("logSoftmax", in -> in.get(0).logSoftmax(0), TOLERANCE, x(32, 4, 2));
        GradientCheck.check("clamp", in -> in.get(0).clamp(-0.5, 0.5), TOLERANCE, x(33, 9));
    }

    @Test
    void castPassesTheDerivativeBackInTheOperandsDtype() {
        Variable v = Variable.of(Tensor.of(device, new float[] {1, 2}));
        Gradients g = Autograd.valueAndGrad(List.of(v), () -> v.value().cast(DType.F64).square().sum());
        assertThat(g.of(v).dtype()).isEqualTo(DType.F32);
        assertThat(g.of(v).toFloats()).containsExactly(2, 4);
    }

    @Test
    void secondDerivativesOfPrimitives() {
        Variable v = Variable.of(Tensor.of(device, new double[] {0.3, -1.2, 2}));
        Gradients outer = Autograd.valueAndGrad(List.of(v), () -> Autograd.valueAndGrad(List.of(v), () -> v.value().pow(3).sum()).of(v)
                .sum());
        assertThat(outer.of(v).toDoubles()).containsExactly(new double[] {1.8, -7.2, 12}, org.assertj.core.data.Offset.offset(1e-12));
    }

    @Test
    void unusedVariablesHaveZeroGradients() {
        Variable used = Variable.of(x(34, 2));
        Variable unused = Variable.of(x(35, 3));
        Gradients g = Autograd.valueAndGrad(List.of(used, unused), () -> used.value().sum());
        assertThat(g.of(unused).toDoubles()).containsExactly(0, 0, 0);
        assertThatThrownBy(() -> g.of(Variable.of(used.value()))).isInstanceOf(AutogradException.class);
    }

    @Test
    void detachedAndUnrecordedValuesAreConstants() {
        Variable v = Variable.of(Tensor.of(device, new double[] {3}));
        Gradients g = Autograd.valueAndGrad(List.of(v), () -> {
            Tensor frozen = Autograd.noGrad(() -> v.value().mul(10));
            return v.value().mul(v.value().detach()).add(frozen).sum();
        });
        assertThat(g.of(v).toDoubles()).containsExactly(3);
    }

    @Test
    void recomputedBlocksHaveTheSameGradientsToTheBit() {
        Variable w = Variable.of(x(36, 4, 4));
        Variable in = Variable.of(x(37, 3, 4));
        double[][] kept = blockGradients(w, in, false);
        double[][] recomputed = blockGradients(w, in, true);
        assertThat(recomputed).isDeepEqualTo(kept);
    }

    private double[][] blockGradients(Variable w, Variable in, boolean recompute) {
        Rng rng = new Rng(5);
        Gradients g = Autograd.valueAndGrad(List.of(w, in), () -> {
            Tensor h = in.value();
            for (int i = 0; i < 3; i++) {
                java.util.function.UnaryOperator<Tensor> block = t -> Dropout.apply(t.matmul(w.value()).tanh(), 0.3, Optional.of(rng));
                Tensor before = h;
                h = recompute ? Checkpoint.run(block, before, rng) : block.apply(before);
            }
            return h.square().sum();
        });
        return new double[][] {g.of(w).toDoubles(), g.of(in).toDoubles(), {rng.position()}};
    }

    @Test
    void aDeepRecurrenceNeedsNoDeepStack() {
        Variable v = Variable.of(Tensor.of(device, new double[] {0.5}));
        Gradients g = Autograd.valueAndGrad(List.of(v), () -> {
            Tensor h = Tensor.zeros(device, DType.F64, 1);
            for (int t = 0; t < 20_000; t++) {
                h = h.mul(0.5).add(v.value());
            }
            return h.sum();
        });
        assertThat(g.of(v).toDoubles()[0]).isCloseTo(2, org.assertj.core.data.Offset.offset(1e-12));
    }

    @Test
    void customOpsAreDifferentiatedByTheirOwnBackwardAndRefuseSecondDerivatives() {
        CustomOp cube = new CustomOp() {
            @Override
            public String name() {
                return "cube";
            }

            @Override
            public Tensor[] forward(Tensor[] in, Saver save) {
                save.save(in[0]);
                return new Tensor[] {in[0].pow(3), null};
            }

            @Override
            public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] dy) {
                return new Tensor[] {saved[0].square().mul(3).mul(dy[0]), null};
            }
        };
        GradientCheck.check("cube", in -> CustomOp.apply(cube, in.get(0), null)[0], TOLERANCE, x(38, 4));
        Variable v = Variable.of(x(39, 2));
        assertThatThrownBy(() -> Autograd.valueAndGrad(List.of(v),
                () -> Autograd.valueAndGrad(List.of(v), () -> CustomOp.apply(cube, v.value(), null)[0].sum()).of(v).sum()))
                .isInstanceOf(AutogradException.class).hasMessageContaining("cube");
    }

    @Test
    void onlyFloatScalarsCanBeDifferentiated() {
        Variable v = Variable.of(x(40, 2));
        assertThatThrownBy(() -> Autograd.valueAndGrad(List.of(v), v::value)).isInstanceOf(AutogradException.class)
                .hasMessageContaining("scalar");
        Variable ints = Variable.of(Tensor.arange(device, DType.I64, 3));
        assertThatThrownBy(() -> Autograd.valueAndGrad(List.of(ints), () -> ints.value().sum())).isInstanceOf(AutogradException.class);
    }
}
