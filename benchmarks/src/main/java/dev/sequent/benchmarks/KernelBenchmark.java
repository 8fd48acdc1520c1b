package dev.sequent.benchmarks;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** The operations that decide the speed of a model, one at a time, on one row of {@link #time} tokens. */
public class KernelBenchmark extends DeviceBenchmark {
    private static final int CHECKED = 70;

    /** The operation, one of {@link KernelSubject#NAMES}. */
    @Param("selective_scan")
    public String kernel;

    /** T: tokens. */
    @Param("2048")
    public int time;

    private KernelSubject subject;
    private List<Tensor> cotangents;

    /** Instantiated by JMH. */
    public KernelBenchmark() {}

    @Override
    void check(Device reference) {
        KernelSubject.check(kernel, device(), reference, Math.min(time, CHECKED));
    }

    @Override
    void prepare() {
        subject = KernelSubject.of(kernel, device(), time);
        cotangents = subject.cotangents();
        Gauges.set(Gauges.TOKENS, time);
        Gauges.set(Gauges.FLOPS, subject.flops());
        Gauges.set(Gauges.BYTES, subject.bytes());
    }

    /** The forward pass. */
    @Benchmark
    public double forward() {
        return run(subject::forward);
    }

    /** Forward and backward pass. */
    @Benchmark
    public double gradient() {
        try (dev.sequent.tensor.Scope _ = dev.sequent.tensor.Scope.open()) {
            int results = subject.gradient(cotangents).size();
            device().synchronize();
            return results;
        }
    }
}
