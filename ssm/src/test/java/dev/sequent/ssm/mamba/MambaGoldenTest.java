package dev.sequent.ssm.mamba;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.generate.Generator;
import dev.sequent.generate.Sampling;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.type.DType;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A two-layer Mamba language model gives what Hugging Face transformers gives for it in F64 (versions in the metadata of the golden file): logits,
 * loss, every gradient, the losses of five AdamW steps, and a greedy continuation. Agreement in F64 ends at
 * 1e-6 because transformers computes A and the norms in F32 even then.
 */
class MambaGoldenTest {
    private static final int VOCABULARY = 97;
    private static final int WIDTH = 24;

    private static Path file(String name) {
        try {
            return Path.of(MambaGoldenTest.class.getResource("/goldens/mamba/" + name).toURI());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    private static LanguageModel load(Device device, DType dtype) {
        LayerSpec layer = LayerSpec.of(MambaConfig.defaults().withStates(8));
        LanguageModel model = new LanguageModel(LanguageModelConfig.of(VOCABULARY, WIDTH, LayerPattern.repeat(2, layer)), new Init(device, dtype, new Rng(1)));
        try (WeightStore store = WeightStore.open(file("model.safetensors")); Scope _ = Scope.open()) {
            Map<String, Parameter> parameters = model.namedParameters();
            store.requireExactly(parameters.keySet().stream().map(n -> "backbone." + n).toList());
            parameters.forEach((name, p) -> p.set(TensorFiles.load(store, "backbone." + name, device, dtype)));
        }
        return model;
    }

    private static Tensor loss(Tensor logits, Tensor ids) {
        long time = ids.dim(1);
        return CrossEntropy.loss(logits.slice(1, 0, time - 1).reshape(-1, VOCABULARY), ids.slice(1, 1, time).reshape(-1));
    }

    private static void close(String what, double[] actual, double[] expected, double tolerance) {
        assertThat(actual.length).as(what).isEqualTo(expected.length);
        double scale = 0;
        for (double e : expected) {
            scale = Math.max(scale, Math.abs(e));
        }
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).as("%s, element %d, scale %g", what, i, scale).isCloseTo(expected[i], within(tolerance * scale));
        }
    }

    @ParameterizedTest
    @CsvSource({"reference,F64,1e-6", "cpu,F32,2e-5"})
    void modelAgreesWithTransformers(String backend, DType dtype, double tolerance) {
        try (Device device = Device.open(backend); Scope _ = Scope.open(); LanguageModel model = load(device, dtype);
                WeightStore golden = WeightStore.open(file("golden.safetensors"))) {
            Map<String, Tensor> expected = TensorFiles.load(golden, device);
            Tensor ids = expected.get("input_ids");
            Gradients g = Autograd.valueAndGrad(model.parameters(), () -> loss(model.forward(ids, SequenceInfo.of(ids)), ids));
            close("logits", model.forward(ids, SequenceInfo.of(ids)).toDoubles(), expected.get("logits").toDoubles(), tolerance);
            close("loss", g.loss().toDoubles(), expected.get("loss").toDoubles(), tolerance);
            model.namedParameters().forEach((name, p) ->
                    close("gradient of " + name, g.of(p).toDoubles(), expected.get("grad.backbone." + name).toDoubles(), 5 * tolerance));
        }
    }

    @ParameterizedTest
    @CsvSource({"reference,F64,1e-6", "cpu,F32,1e-3"})
    void trainingAndGenerationAgreeWithTransformers(String backend, DType dtype, double tolerance) {
        try (Device device = Device.open(backend); Scope _ = Scope.open(); LanguageModel model = load(device, dtype);
                WeightStore golden = WeightStore.open(file("golden.safetensors"));
                AdamW optimizer = new AdamW(model.namedParameters(), new AdamW.Settings(0.9, 0.95, 1e-8, 0))) {
            Map<String, Tensor> expected = TensorFiles.load(golden, device);
            Tensor ids = expected.get("input_ids");
            long[] tokens = ids.slice(1, 0, 8).toLongs();
            int[][] prompts = new int[2][8];
            for (int i = 0; i < tokens.length; i++) {
                prompts[i / 8][i % 8] = (int) tokens[i];
            }
            int[][] generated = new Generator(model).generate(prompts, new Generator.Request(16, Sampling.greedy(), Set.of()), (_, _) -> true);
            long[] continuation = expected.get("generated").toLongs();
            for (int i = 0; i < continuation.length; i++) {
                assertThat(generated[i / 16][i % 16]).as("token %d", i).isEqualTo((int) continuation[i]);
            }
            double[] losses = expected.get("losses").toDoubles();
            for (int step = 0; step < losses.length; step++) {
                Gradients g = Autograd.valueAndGrad(model.parameters(), () -> loss(model.forward(ids, SequenceInfo.of(ids)), ids));
                assertThat(g.loss().item()).as("loss before step %d", step + 1).isCloseTo(losses[step], within(tolerance));
                Map<Parameter, Tensor> gradients = new HashMap<>();
                model.parameters().forEach(p -> gradients.put(p, g.of(p)));
                optimizer.step(gradients, 1e-2, 1);
            }
        }
    }
}
