package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** The operations that decide the speed of a model, one at a time, on one row of {@link #time} tokens. */
public class KernelBenchmark extends DeviceBenchmark {
    private static final int CHECKED = 70;
    private static final double TOLERANCE = 2e-4;

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
        int small = Math.min(time, CHECKED);
        try (dev.sequent.tensor.Scope _ = dev.sequent.tensor.Scope.open()) {
            KernelSubject given = KernelSubject.of(kernel, device(), small);
            KernelSubject expected = KernelSubject.of(kernel, reference, small);
            Check.close(kernel, given.gradient(ones(given)), expected.gradient(ones(expected)), TOLERANCE);
        }
    }

    @Override
    void prepare() {
        subject = KernelSubject.of(kernel, device(), time);
        cotangents = ones(subject);
        Gauges.set(Gauges.TOKENS, time);
        Gauges.set(Gauges.FLOPS, subject.flops());
        Gauges.set(Gauges.BYTES, subject.bytes());
    }

    private static List<Tensor> ones(KernelSubject subject) {
        try (dev.sequent.tensor.Scope scope = dev.sequent.tensor.Scope.open()) {
            List<Tensor> outputs = Autograd.noGrad(subject::forward);
            return outputs.stream().map(y -> scope.keep(Tensor.ones(y.device(), y.dtype(), y.shape().toArray()))).toList();
        }
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
