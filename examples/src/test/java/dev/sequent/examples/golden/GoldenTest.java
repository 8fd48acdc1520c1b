package dev.sequent.examples.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.generate.Generator;
import dev.sequent.generate.Sampling;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.train.Evaluation;
import dev.sequent.train.LanguageModelLoss;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.TrainListener;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Whole models against the public PyTorch implementations: logits, loss, every gradient, the losses of six AdamW steps and the greedy continuation.
 *
 * <p>Errors are relative to the largest magnitude of the expected tensor.
 */
class GoldenTest {
    /** Of tensors computed in F32; measured: at most 1.2e-6. */
    private static final double F32_TOLERANCE = 1e-5;

    private static double largest(double[] values) {
        return Arrays.stream(values).map(Math::abs).max().orElseThrow();
    }

    private static double error(double[] actual, double[] expected) {
        return error(actual, expected, largest(expected));
    }

    private static double error(double[] actual, double[] expected, double scale) {
        assertThat(actual).hasSameSizeAs(expected);
        return IntStream.range(0, expected.length).mapToDouble(i -> Math.abs(actual[i] - expected[i])).max().orElseThrow() / scale;
    }

    /** Largest relative error of each quantity. */
    private static Map<String, Double> errors(Golden golden, Device device, DType dtype) {
        Map<String, Double> errors = new LinkedHashMap<>();
        try (Device host = Device.open("reference"); Scope _ = Scope.open(); LanguageModel model = golden.model(device, dtype)) {
            Map<String, Tensor> expected = golden.values(host);
            TokenBatch batch = batch(expected.get("input_ids"));
            Tensor ids = model.ids(batch.inputs(), batch.batch(), batch.time());
            errors.put("logits", error(model.forward(ids, SequenceInfo.of(ids)).toDoubles(), expected.get("logits").toDoubles()));
            Gradients gradients = Autograd.valueAndGrad(model.parameters(), () -> LanguageModelLoss.of(model, batch, null, false));
            errors.put("loss", error(gradients.loss().toDoubles(), expected.get("loss").toDoubles()));
            Set<String> compared = new TreeSet<>();
            expected.forEach((name, stored) -> {
                if (name.startsWith("grad.")) {
                    // relative to the stored tensor: of GPT-2's joined projection, the keys' part of the bias has a gradient of zero
                    double scale = largest(stored.toDoubles());
                    golden.convert(name.substring("grad.".length()), stored).forEach((own, t) -> {
                        Tensor actual = gradients.of(model.namedParameters().get(own));
                        errors.put("gradient of " + own, error(actual.toDoubles(), t.toDoubles(), scale));
                        compared.add(own);
                    });
                }
            });
            assertThat(compared).isEqualTo(model.namedParameters().keySet());
            greedy(model, batch, expected.get("generated").toLongs());
            errors.put("losses", error(losses(model, batch), expected.get("losses").toDoubles()));
        }
        return errors;
    }

    private static TokenBatch batch(Tensor stored) {
        int rows = (int) stored.dim(0);
        int time = (int) stored.dim(1);
        int[] inputs = Arrays.stream(stored.toLongs()).mapToInt(Math::toIntExact).toArray();
        int[] targets = new int[inputs.length];
        for (int i = 0; i < targets.length; i++) {
            targets[i] = i % time == time - 1 ? TokenBatch.IGNORE : inputs[i + 1];
        }
        return new TokenBatch(rows, time, inputs, targets, null);
    }

    private static void greedy(LanguageModel model, TokenBatch batch, long[] expected) {
        int[][] prompts = new int[batch.batch()][];
        for (int b = 0; b < prompts.length; b++) {
            prompts[b] = Arrays.copyOfRange(batch.inputs(), b * batch.time(), b * batch.time() + 8);
        }
        int[][] tokens = new Generator(model).generate(prompts, new Generator.Request(16, Sampling.greedy(), Set.of()), (row, id) -> true);
        assertThat(Arrays.stream(tokens).flatMapToInt(Arrays::stream).asLongStream().toArray()).as("greedy continuation").isEqualTo(expected);
    }

    /** The loss before each of five steps on the same batch, and after the last. */
    private static double[] losses(LanguageModel model, TokenBatch batch) {
        List<Double> losses = new ArrayList<>();
        try (AdamW optimizer = new AdamW(model.namedParameters(), new AdamW.Settings(0.9, 0.95, 1e-8, 0))) {
            new Trainer(model, optimizer, LrSchedule.constant(1e-2), index -> batch, Trainer.Settings.of(5, 1).withClip(0)).listen(new TrainListener() {
                @Override
                public void step(Step s) {
                    losses.add(s.loss());
                }
            }).run();
        }
        losses.add(Evaluation.of(model, List.of(batch)).loss());
        return losses.stream().mapToDouble(Double::doubleValue).toArray();
    }

    @ParameterizedTest
    @EnumSource
    void referenceInF64AgreesWithPyTorch(Golden golden) {
        try (Device device = Device.open("reference")) {
            Map<String, Double> errors = errors(golden, device, DType.F64);
            errors.forEach((what, error) -> assertThat(error).as(golden + ": " + what).isLessThan(golden.tolerance()));
        }
    }

    @ParameterizedTest
    @EnumSource
    void cpuInF32AgreesWithPyTorch(Golden golden) {
        try (Device device = Device.open("cpu", Map.of("poison", "true", "threads", "2"))) {
            Map<String, Double> errors = errors(golden, device, DType.F32);
            errors.forEach((what, error) -> assertThat(error).as(golden + ": " + what).isLessThan(F32_TOLERANCE));
        }
    }
}
