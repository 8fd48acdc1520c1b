package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.List;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Param;

/** A benchmark of a whole model. */
public abstract class ModelBenchmark extends DeviceBenchmark {
    private static final int CHECKED = 40;
    private static final double TOLERANCE = 1e-3;

    /** The model, one of {@link StepModels#MODELS}. */
    @Param("mamba")
    public String model;

    private LanguageModel network;

    /** For subclasses. */
    protected ModelBenchmark() {}

    @Override
    final void check(Device reference) {
        network = StepModels.create(model, device());
        try (dev.sequent.tensor.Scope _ = dev.sequent.tensor.Scope.open();
                LanguageModel expected = new LanguageModel(network.config(), new Init(reference, DType.F64, new Rng(1)))) {
            network.namedParameters().forEach((name, p) -> expected.namedParameters().get(name)
                    .set(Tensor.of(reference, p.value().toDoubles(), p.value().shape().toArray())));
            Check.close(model, List.of(checked(CHECKED)), List.of(logits(expected, CHECKED)), tolerance());
        }
    }

    /** How far logits may be from the reference's, relative to the largest. */
    double tolerance() {
        return TOLERANCE;
    }

    /** What is compared with the reference's logits of {@link #ids}: those of the forward pass, or of what a subclass measures. */
    Tensor checked(int time) {
        return logits(network, time);
    }

    private static Tensor logits(LanguageModel model, int time) {
        return Autograd.noGrad(() -> model.forward(ids(model, 1, time), SequenceInfo.of(1, time)));
    }

    /** Token ids (B, T) that look random. */
    static Tensor ids(LanguageModel model, int batch, int time) {
        return model.ids(IntStream.range(0, batch * time).map(i -> (int) (i * 7919L % model.config().vocab_size())).toArray(), batch, time);
    }

    /** The model. */
    final LanguageModel network() {
        return network;
    }

    @Override
    void release() {
        network.close();
    }
}
