package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.ModelState;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** Reading a prompt of {@link #time} tokens in chunks: whole models, states included. */
public class PrefillBenchmark extends ModelBenchmark {
    /** Tokens of a chunk. */
    static final int CHUNK = 2048;

    /** T: tokens of the prompt. */
    @Param("8192")
    public int time;

    private Tensor ids;

    /** Instantiated by JMH. */
    public PrefillBenchmark() {}

    @Override
    void prepare() {
        int chunk = Math.min(time, CHUNK);
        ids = ids(network(), 1, chunk);
        Work work = Work.NONE;
        for (long from = 0; from < time; from += chunk) {
            Workload read = new Workload(Workload.Pass.FORWARD, 1, Math.min(chunk, time - from), from, DType.F32);
            work = work.plus(network().work(read)).plus(unused(read));
        }
        Gauges.work(time, work, Work.NONE);
    }

    /** Less work than that of logits of every token: a chunk gives those of its last token. */
    private Work unused(Workload read) {
        double tokens = read.tokens() - 1;
        double width = network().config().hidden_size();
        double vocabulary = network().config().vocab_size();
        return new Work(2 * width * vocabulary, 0, read.elementBytes() * (width + vocabulary)).times(-tokens);
    }

    /** Reads the prompt into a new state. */
    @Benchmark
    public float prompt() {
        return Autograd.noGrad(() -> {
            try (ModelState state = network().newState(new StateSpec(1, time, DType.F32, device()))) {
                float last = 0;
                for (int from = 0; from < time; from += CHUNK) {
                    int count = Math.min(CHUNK, time - from);
                    try (dev.sequent.tensor.Scope _ = dev.sequent.tensor.Scope.open()) {
                        Tensor chunk = ids.slice(1, 0, count);
                        last = network().prefill(chunk, SequenceInfo.of(1, count), state).toFloats()[0];
                    }
                }
                Gauges.set(Gauges.STATE, state.bytes());
                return last;
            }
        });
    }
}
