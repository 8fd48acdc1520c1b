package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.autograd.Variable;
import dev.sequent.cost.Workload;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.nn.LoadBalancing;
import dev.sequent.nn.MixtureOfExperts;
import dev.sequent.nn.Parameter;
import dev.sequent.op.ReduceOp;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.LanguageModelLoss;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The sparse layer against its dense form, in which every expert sees every token; and the load-balancing loss against its formula. */
class MixtureOfExpertsTest {
    private static final int WIDTH = 6;
    private static final int HIDDEN = 5;

    private static MixtureOfExperts layer(Device device, DType dtype, int experts, int chosen, boolean renormalise) {
        return new MixtureOfExperts(new Init(device, dtype, new Rng(3)), WIDTH, HIDDEN, experts, chosen, renormalise, experts % 2 == 1,
                0.7, 0.7);
    }

    @Test
    void noTokensAreNoOutputsAndOtherWidthsAreRefused() {
        for (String backend : List.of("reference", "cpu")) {
            try (Device device = Device.open(backend); Scope _ = Scope.open();
                    MixtureOfExperts layer = layer(device, DType.F32, 4, 2, true)) {
                assertThat(layer.forward(Tensor.zeros(device, DType.F32, 2, 0, WIDTH)).shape()).isEqualTo(Shape.of(2, 0, WIDTH));
                for (int width : new int[] {0, 2 * WIDTH}) {
                    assertThatThrownBy(() -> layer.forward(Tensor.zeros(device, DType.F32, 3, width))).isInstanceOf(ShapeException.class)
                            .hasMessageContaining("[experts] expected (..., 6), given ");
                }
            }
        }
    }

    /** Every expert computes every token; the weights of those that are not among the k largest are zero. */
    private static Tensor dense(Map<String, Parameter> p, Tensor x, int experts, int chosen, boolean renormalise) {
        Tensor rows = x.reshape(-1, WIDTH);
        Tensor weights = project(rows, p, "router").softmax(1);
        double[] values = weights.toDoubles();
        double[] mask = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            int row = i / experts * experts;
            int larger = 0;
            for (int e = 0; e < experts; e++) {
                larger += values[row + e] > values[i] ? 1 : 0;
            }
            mask[i] = larger < chosen ? 1 : 0;
        }
        weights = weights.mul(Tensor.of(x.device(), mask, rows.dim(0), experts).cast(x.dtype()));
        if (renormalise) {
            weights = weights.div(weights.reduce(ReduceOp.SUM, true, 1));
        }
        Tensor y = null;
        for (int e = 0; e < experts; e++) {
            String name = "experts." + e + ".";
            Tensor h = project(rows, p, name + "gate_proj").silu().mul(project(rows, p, name + "up_proj"));
            Tensor out = project(h, p, name + "down_proj").mul(weights.slice(1, e, e + 1));
            y = y == null ? out : y.add(out);
        }
        return y.reshape(x.shape());
    }

    private static Tensor project(Tensor x, Map<String, Parameter> p, String name) {
        Tensor y = x.matmul(p.get(name + ".weight").value(), false, true);
        return p.containsKey(name + ".bias") ? y.add(p.get(name + ".bias").value()) : y;
    }

    private static void close(String what, Tensor actual, Tensor expected, double tolerance) {
        assertThat(GoldenCheck.relative(actual.toDoubles(), expected.toDoubles())).as(what).isLessThanOrEqualTo(tolerance);
    }

    @ParameterizedTest
    @CsvSource({"4,2,false", "4,2,true", "1,1,false", "5,1,false", "3,3,true", "7,4,false", "64,2,false"})
    void sparseEqualsDense(int experts, int chosen, boolean renormalise) {
        for (String backend : List.of("reference", "cpu")) {
            DType dtype = backend.equals("cpu") ? DType.F32 : DType.F64;
            double tolerance = dtype == DType.F32 ? 2e-6 : 1e-13;
            try (Device device = Device.open(backend); MixtureOfExperts layer = layer(device, dtype, experts, chosen, renormalise)) {
                for (int[] size : new int[][] {{1, 1}, {1, 3}, {2, 17}, {1, 63}, {100, 1}}) {
                    try (Scope _ = Scope.open()) {
                        Variable x = Variable.of(new Rng(size[1]).normal(device, dtype, 0, 1, size[0], size[1], WIDTH));
                        Tensor dy = new Rng(7).normal(device, dtype, 0, 1, size[0], size[1], WIDTH);
                        List<Variable> all = new ArrayList<>(layer.parameters());
                        all.add(x);
                        Gradients sparse = Autograd.valueAndGrad(all, () -> layer.forward(x.value()).mul(dy).sum());
                        Gradients dense = Autograd.valueAndGrad(all, () ->
                                dense(layer.namedParameters(), x.value(), experts, chosen, renormalise).mul(dy).sum());
                        String what = backend + " " + size[0] + "x" + size[1];
                        close(what + " output", layer.forward(x.value()),
                                dense(layer.namedParameters(), x.value(), experts, chosen, renormalise), tolerance);
                        for (Variable v : all) {
                            double[] actual = sparse.of(v).toDoubles();
                            double[] expected = dense.of(v).toDoubles();
                            double scale = 1;
                            for (double e : expected) {
                                scale = Math.max(scale, Math.abs(e));
                            }
                            for (int i = 0; i < expected.length; i++) {
                                assertThat(actual[i]).as(what + " gradient of " + v).isCloseTo(expected[i], within(10 * tolerance * scale));
                            }
                        }
                        assertThat(layer.forward(x.value()).toDoubles()).as("repeated").isEqualTo(layer.forward(x.value()).toDoubles());
                    }
                }
            }
        }
    }

    @Test
    void expertsThatNoTokenTakesAreNotComputed() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open(); MixtureOfExperts layer = layer(device, DType.F32, 8, 2, false)) {
            Variable x = Variable.of(new Rng(1).normal(device, DType.F32, 0, 1, 1, 1, WIDTH));
            Tensor expected = layer.forward(x.value());
            long[] taken = project(x.value().reshape(1, WIDTH), layer.namedParameters(), "router").topK(2).toLongs();
            layer.namedParameters().forEach((name, p) -> {
                if (name.startsWith("experts.") && !name.startsWith("experts." + taken[0] + ".")
                        && !name.startsWith("experts." + taken[1] + ".")) {
                    p.set(Tensor.full(device, DType.F32, Double.NaN, p.value().shape().toArray()));
                }
            });
            assertThat(layer.forward(x.value()).toDoubles()).isEqualTo(expected.toDoubles());
            Gradients g = Autograd.valueAndGrad(layer.parameters(), () -> layer.forward(x.value()).sum());
            layer.namedParameters().forEach((name, p) -> {
                boolean used = name.startsWith("router") || name.startsWith("experts." + taken[0] + ".")
                        || name.startsWith("experts." + taken[1] + ".");
                assertThat(g.of(p).square().sum().item()).as(name).matches(v -> used ? v > 0 && v < 1e30 : v == 0);
            });
        }
    }

    @Test
    void bfloat16RoutesWithWideProbabilities() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open(); MixtureOfExperts narrow = layer(device, DType.BF16, 4, 2, false);
                MixtureOfExperts wide = layer(device, DType.F32, 4, 2, false)) {
            Tensor x = new Rng(1).normal(device, DType.BF16, 0, 1, 1, 1, WIDTH);
            Tensor y = narrow.forward(x);
            assertThat(y.dtype()).isEqualTo(DType.BF16);
            close("output", y, wide.forward(x.cast(DType.F32)), 0.03);
        }
    }

    @Test
    void loadBalancingLossIsItsFormulaAndItsDerivative() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open(); MixtureOfExperts a = layer(device, DType.F64, 4, 2, false);
                MixtureOfExperts b = new MixtureOfExperts(new Init(device, DType.F64, new Rng(9)), WIDTH, HIDDEN, 4, 2, true, false, 0.7,
                        0.7)) {
            Tensor x = new Rng(2).normal(device, DType.F64, 0, 1, 3, 5, WIDTH);
            double expected = 0;
            double[] f = new double[4];
            double[] p = new double[4];
            Tensor second = x.add(a.forward(x));
            for (MixtureOfExperts layer : List.of(a, b)) {
                Tensor probabilities = project((layer == a ? x : second).reshape(-1, WIDTH), layer.namedParameters(), "router").softmax(1);
                double[] values = probabilities.toDoubles();
                for (int i = 0; i < values.length; i++) {
                    p[i % 4] += values[i] / 30;
                }
                for (long e : probabilities.topK(2).toLongs()) {
                    f[(int) e] += 1 / 30.0;
                }
            }
            for (int e = 0; e < 4; e++) {
                expected += 4 * f[e] * p[e];
            }
            Tensor loss = LoadBalancing.add(0.25, () -> b.forward(x.add(a.forward(x))).square().mean());
            double plain = b.forward(second).square().mean().item();
            assertThat(loss.item()).isCloseTo(plain + 0.25 * expected, within(1e-12));
            assertThat(expected).isBetween(1.5, 4.0);
            GradientCheck.check("load balancing", in -> LoadBalancing.add(3,
                    () -> b.forward(in.getFirst().add(a.forward(in.getFirst()))).mul(0).sum()), 1e-8, x);
            assertThat(device.memory().liveHandles()).as("nothing is left behind").isLessThan(200);
        }
    }

    private static LanguageModelConfig config(double balancing) {
        MlpConfig mixture = new MlpConfig("gated", 7, false, 4, 2, false, balancing);
        return LanguageModelConfig.of(13, WIDTH, List.of(new LayerSpec(new LeakyIntegratorTest.Config(), mixture),
                new LayerSpec(new LeakyIntegratorTest.Config(), MlpConfig.gated(5)),
                new LayerSpec(new LeakyIntegratorTest.Config(), mixture)));
    }

    @Test
    void trainingAddsTheLoadBalancingLossAndEvaluationDoesNot() {
        TokenBatch batch = new TokenBatch(2, 3, new int[] {1, 2, 3, 4, 5, 6}, new int[] {2, 3, 4, 5, 6, 7}, null);
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            double[] training = new double[2];
            double[] evaluation = new double[2];
            for (int i = 0; i < 2; i++) {
                try (LanguageModel model = new LanguageModel(config(i), new Init(device, 5))) {
                    training[i] = Autograd.valueAndGrad(model.parameters(), () -> LanguageModelLoss.of(model, batch, new Rng(1), false))
                            .loss().item();
                    evaluation[i] = LanguageModelLoss.of(model, batch, null, false).item();
                    if (i == 1) {
                        assertThatThrownBy(() -> Autograd.valueAndGrad(model.parameters(),
                                () -> LanguageModelLoss.of(model, batch, new Rng(1), true)))
                                .isInstanceOf(ConfigException.class).hasMessageContaining("recompute");
                    }
                }
            }
            assertThat(evaluation[1]).isEqualTo(evaluation[0]);
            assertThat(training[1] - training[0]).isBetween(1.9, 4.0);
            assertThat(training[0]).isCloseTo(evaluation[0], within(1e-6));
        }
    }

    @Test
    void costCountsTheExpertsThatATokenTakes() {
        try (Device device = Device.open("cpu"); LanguageModel model = new LanguageModel(config(0), new Init(device, 5))) {
            StateSpec spec = new StateSpec(1, 8, DType.F32, device);
            long experts = model.namedParameters().entrySet().stream().filter(e -> e.getKey().contains(".experts."))
                    .mapToLong(e -> e.getValue().value().size()).sum();
            assertThat(model.cost(spec).parameterBytes()).isEqualTo(4 * (model.parameterCount() - experts / 2));
            double gated = 2.0 * WIDTH * 3;
            assertThat(model.work(Workload.decode(1, 8, DType.F32)).matmulFlops())
                    .isEqualTo(2.0 * WIDTH * 13 + gated * 5 + 2 * (2.0 * WIDTH * 4 + 2 * gated * 7));
        }
    }

    @Test
    void wrongConfigurationsAreTypedErrors() {
        assertThat(config(0.5).toMap().toString()).contains("num_experts=4", "num_experts_per_tok=2", "norm_topk_prob=false",
                "router_aux_loss_coef=0.5");
        assertThatThrownBy(() -> MlpConfig.mixture(7, 4, 5)).isInstanceOf(ConfigException.class)
                .hasMessageContaining("num_experts_per_tok");
        assertThatThrownBy(() -> MlpConfig.mixture(7, 4, 0)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> MlpConfig.mixture(7, -1, 0)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> new MlpConfig("gelu", 7, false, 4, 2, false, 0)).isInstanceOf(ConfigException.class)
                .hasMessageContaining("gated");
        assertThatThrownBy(() -> new MlpConfig("gated", 7, false, 4, 2, false, Double.NaN)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> new MlpConfig("gated", 7, false, 0, 0, true, 0)).isInstanceOf(ConfigException.class);
        try (Device device = Device.open("cpu")) {
            assertThatThrownBy(() -> layer(device, DType.F32, 2, 3, false)).isInstanceOf(ConfigException.class);
        }
    }
}
