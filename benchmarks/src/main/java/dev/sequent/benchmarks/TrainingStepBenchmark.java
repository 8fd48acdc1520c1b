package dev.sequent.benchmarks;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.train.AdamW;
import dev.sequent.train.Trainer;
import dev.sequent.type.DType;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** One training step (forward, backward, AdamW) of 4096 tokens in all, in rows of {@link #time}. */
public class TrainingStepBenchmark extends ModelBenchmark {
    /** T: tokens of a row. */
    @Param("1024")
    public int time;

    private AdamW optimizer;
    private Trainer trainer;

    /** Instantiated by JMH. */
    public TrainingStepBenchmark() {}

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
