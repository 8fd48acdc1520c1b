package dev.sequent.benchmarks;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** One more token of a whole model after {@link #context} tokens, chosen greedily; see {@link Decoding}. */
public class ModelDecodeBenchmark extends ModelBenchmark {
    /** Tokens seen before. */
    @Param("1024")
    public int context;

    private Decoding decoding;

    /** Instantiated by JMH. */
    public ModelDecodeBenchmark() {}

    /** Steps, to be compared with the reference's forward pass. */
    @Override
    Tensor checked(int time) {
        return Decoding.steps(network(), ids(network(), 1, time));
    }

    @Override
    void prepare() {
        decoding = new Decoding(network(), context);
        Gauges.work(1, network().work(Workload.decode(1, context, DType.F32)), Work.NONE);
        Gauges.set(Gauges.STATE, decoding.stateBytes());
        Gauges.set(Gauges.PARAMETERS, network().parameterCount() * (double) DType.F32.bytes());
    }

    @Override
    void release() {
        decoding.close();
        super.release();
    }

    /** Generates one token. */
    @Benchmark
    public int token() {
        return decoding.token();
    }
}
