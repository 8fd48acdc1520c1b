package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/** One layer that mixes along the sequence, over one row of {@link #time} tokens: what a long sequence costs. */
public class MixerBenchmark extends DeviceBenchmark {
    private static final int CHECKED = 70;
    /** Shorter than what is checked, or a window would hide nothing there. */
    private static final int CHECKED_WINDOW = 20;
    private static final double TOLERANCE = 1e-3;

    /** The mixer, one of {@link StepModels#MIXERS}. */
    @Param("mamba")
    public String mixer;

    /** T: tokens. */
    @Param("1024")
    public int time;

    private SequenceMixer<?> layer;
    private Tensor x;
    private Tensor dy;

    /** Instantiated by JMH. */
    public MixerBenchmark() {}

    @Override
    void check(Device reference) {
        int small = Math.min(time, CHECKED);
        try (dev.sequent.tensor.Scope _ = dev.sequent.tensor.Scope.open();
                SequenceMixer<?> given = StepModels.mixer(mixer, device(), DType.F32, CHECKED_WINDOW);
                SequenceMixer<?> expected = StepModels.mixer(mixer, reference, DType.F64, CHECKED_WINDOW)) {
            copy(given, expected);
            Check.close(mixer, gradient(given, input(device(), DType.F32, small), null),
                    gradient(expected, input(reference, DType.F64, small), null), TOLERANCE);
        }
    }

    /** Sets the parameters of a mixer to those of another. */
    static void copy(SequenceMixer<?> from, SequenceMixer<?> to) {
        from.namedParameters().forEach((name, p) -> {
            Parameter target = to.namedParameters().get(name);
            target.set(Tensor.of(target.value().device(), p.value().toDoubles(), p.value().shape().toArray()));
        });
    }

    private static Tensor input(Device device, DType dtype, int time) {
        return new Rng(2).uniform(device, DType.F32, -1.0, 1.0, 1, time, StepModels.WIDTH).cast(dtype);
    }

    /** The result and the gradients of input and parameters. */
    private static List<Tensor> gradient(SequenceMixer<?> layer, Tensor x, Tensor dy) {
        Variable input = Variable.of(x);
        List<Variable> variables = new ArrayList<>(List.of(input));
        variables.addAll(layer.parameters());
        Tensor weights = dy == null ? Tensor.ones(x.device(), x.dtype(), x.shape().toArray()) : dy;
        Autograd.Pullback pullback = Autograd.vjp(variables, () -> List.of(layer.forward(x, SequenceInfo.of(x))), List.of(weights));
        List<Tensor> all = new ArrayList<>(pullback.outputs());
        variables.forEach(v -> all.add(pullback.gradients().get(v)));
        return all;
    }

    @Override
    void prepare() {
        layer = StepModels.mixer(mixer, device(), DType.F32);
        x = input(device(), DType.F32, time);
        dy = Tensor.ones(device(), DType.F32, x.shape().toArray());
        Work forward = layer.work(Workload.forward(1, time, DType.F32));
        Gauges.work(time, forward, layer.work(Workload.backward(1, time, DType.F32)));
    }

    @Override
    void release() {
        layer.close();
    }

    /** The forward pass. */
    @Benchmark
    public double forward() {
        return run(() -> List.of(layer.forward(x, SequenceInfo.of(x))));
    }

    /** Forward and backward pass. */
    @Benchmark
    public double gradient() {
        try (dev.sequent.tensor.Scope _ = dev.sequent.tensor.Scope.open()) {
            int results = gradient(layer, x, dy).size();
            device().synchronize();
            return results;
        }
    }
}
