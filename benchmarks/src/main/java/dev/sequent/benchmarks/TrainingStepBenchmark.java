package dev.sequent.benchmarks;

import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.train.AdamW;
import dev.sequent.train.Trainer;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** One training step (forward, backward, AdamW) of each family at two sequence lengths with the same number of tokens. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 4)
@Measurement(iterations = 6)
@Fork(value = 1, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class TrainingStepBenchmark {
    /** The family. */
    @Param({"transformer", "mamba", "hybrid", "s4d"})
    public String model;

    /** Sequence length; the batch has 4096 tokens in all. */
    @Param({"256", "1024", "4096"})
    public int time;

    private Device device;
    private LanguageModel network;
    private AdamW optimizer;
    private Trainer trainer;
    private double untrained;

    /** Makes the model, and checks on one validation batch that its loss is that of guessing. */
    @Setup(Level.Trial)
    public void open() {
        device = Device.openBest();
        network = StepModels.create(model, device);
        optimizer = new AdamW(network.namedParameters(), AdamW.Settings.defaults());
        trainer = StepModels.trainer(network, optimizer, 4096 / time, time);
        trainer.validateOn(java.util.List.of(StepModels.batch(4096 / time, time)));
        untrained = trainer.validate().loss();
        if (Math.abs(untrained - Math.log(256)) > 0.5) {
            throw new IllegalStateException("an untrained model guesses: expected a loss near " + Math.log(256) + ", given " + untrained);
        }
    }

    /** Trains one step. */
    @Benchmark
    public long step() {
        trainer.runUntil(trainer.position().step() + 1);
        return trainer.position().step();
    }

    /** Releases everything. */
    @TearDown(Level.Trial)
    public void close() {
        optimizer.close();
        network.close();
        device.close();
    }
}
