package dev.sequent.benchmarks;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.train.AdamW;
import dev.sequent.train.Trainer;
import dev.sequent.type.DType;
import java.util.Map;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** One training step (forward, backward, AdamW) of 4096 tokens in all, in rows of {@link #time}. */
public class TrainingStepBenchmark extends ModelBenchmark {
    private static final double BF16_TOLERANCE = 3e-2;
    /** T: tokens of a row. */
    @Param("1024")
    public int time;

    /** How products of F32 matrices are computed on the CPU backend: {@code f32}, or {@code bf16} for operands rounded to BF16. */
    @Param("f32")
    public String products;

    private AdamW optimizer;
    private Trainer trainer;

    /** Instantiated by JMH. */
    public TrainingStepBenchmark() {}

    @Override
    Map<String, String> options() {
        return products.equals("f32") ? Map.of() : Map.of("products", products);
    }

    @Override
    double tolerance() {
        return products.equals("f32") ? super.tolerance() : BF16_TOLERANCE;
    }

    @Override
    void prepare() {
        int batch = Math.max(1, StepModels.TOKENS / time);
        optimizer = new AdamW(network().namedParameters(), AdamW.Settings.defaults());
        trainer = StepModels.trainer(network(), optimizer, batch, time);
        Work forward = network().work(Workload.forward(batch, time, DType.F32));
        Gauges.work((double) batch * time, forward, network().work(Workload.backward(batch, time, DType.F32)));
    }

    @Override
    void release() {
        optimizer.close();
        super.release();
    }

    /** Trains one step. */
    @Benchmark
    public long step() {
        trainer.runUntil(trainer.position().step() + 1);
        device().synchronize();
        return trainer.position().step();
    }
}
