package dev.sequent.benchmarks;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.type.DType;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/**
 * One more token of a model of 1.7 GB in F32: its weights lie in no cache, and a token takes as long as reading them does. The reference
 * backend is too slow for such a model; what is checked is that steps give the logits of the forward pass, which other benchmarks check
 * against the reference at a smaller width.
 */
public class LargeDecodeBenchmark extends DeviceBenchmark {
    private static final int CHECKED = 5;

    /** The model, one of {@link StepModels#LARGE}. */
    @Param("mamba")
    public String model;

    /** Element type of parameters and states: F32 or BF16. */
    @Param("F32")
    public String dtype;

    /** Tokens seen before. */
    @Param("64")
    public int context;

    private LanguageModel network;
    private Decoding decoding;

    /** Instantiated by JMH. */
    public LargeDecodeBenchmark() {}

    @Override
    void check(Device reference) {
        network = StepModels.large(model, device(), DType.valueOf(dtype));
        Decoding.check(model, network, CHECKED, StepModels.tolerance(DType.valueOf(dtype)));
    }

    @Override
    void prepare() {
        decoding = new Decoding(network, context);
        Gauges.work(1, network.work(Workload.decode(1, context, DType.valueOf(dtype))), Work.NONE);
        Gauges.set(Gauges.STATE, decoding.stateBytes());
        Gauges.set(Gauges.PARAMETERS, StepModels.parameterBytes(network));
    }

    @Override
    void release() {
        decoding.close();
        network.close();
    }

    /** Generates one token. */
    @Benchmark
    public int token() {
        return decoding.token();
    }
}
