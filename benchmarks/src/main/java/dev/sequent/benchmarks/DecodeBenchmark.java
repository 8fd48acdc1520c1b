package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.mixer.StateSpec;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.cache.KvCache;
import dev.sequent.type.DType;
import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/**
 * One token through one mixer after {@link #context} tokens. Recurrent states have really read that many; a cache of keys and values
 * is filled with random ones, because reading a million tokens with attention would take longer than any benchmark.
 */
public class DecodeBenchmark extends DeviceBenchmark {
    private static final int CHECKED = 33;
    private static final int CHECKED_WINDOW = 20;
    private static final int CHUNK = 4096;
    private static final double TOLERANCE = 1e-4;

    /** The mixer, one of {@link StepModels#MIXERS}. */
    @Param("mamba")
    public String mixer;

    /** Tokens seen before. */
    @Param("1024")
    public int context;

    private SequenceMixer<?> layer;
    private MixerState state;
    private Tensor x;

    /** Instantiated by JMH. */
    public DecodeBenchmark() {}

    /** Steps equal the reference's forward pass. */
    @Override
    void check(Device reference) {
        layer = StepModels.mixer(mixer, device(), DType.F32);
        try (dev.sequent.tensor.Scope _ = dev.sequent.tensor.Scope.open();
                SequenceMixer<?> given = StepModels.mixer(mixer, device(), DType.F32, CHECKED_WINDOW);
                SequenceMixer<?> expected = StepModels.mixer(mixer, reference, DType.F64, CHECKED_WINDOW);
                MixerState fresh = given.newState(new StateSpec(1, CHECKED, DType.F32, device()))) {
            MixerBenchmark.copy(given, expected);
            Tensor input = new Rng(3).uniform(device(), DType.F32, -1.0, 1.0, 1, CHECKED, StepModels.WIDTH);
            Tensor same = Tensor.of(reference, input.toDoubles(), input.shape().toArray());
            Autograd.noGrad(() -> {
                Tensor all = expected.forward(same, SequenceInfo.of(same));
                for (int t = 0; t < CHECKED; t++) {
                    Check.close(mixer, List.of(step(given, input.slice(1, t, t + 1), fresh)), List.of(all.slice(1, t, t + 1)), TOLERANCE);
                }
                return null;
            });
        }
    }

    @Override
    void prepare() {
        x = new Rng(4).uniform(device(), DType.F32, -1.0, 1.0, 1, 1, StepModels.WIDTH);
        state = layer.newState(new StateSpec(1, context + 1, DType.F32, device()));
        for (int from = 0; from < context; from += CHUNK) {
            int count = Math.min(CHUNK, context - from);
            try (dev.sequent.tensor.Scope _ = dev.sequent.tensor.Scope.open()) {
                fill(count, from);
            }
        }
        Gauges.work(1, layer.work(Workload.decode(1, context, DType.F32)), Work.NONE);
        Gauges.set(Gauges.STATE, state.bytes());
        Gauges.set(Gauges.PARAMETERS, layer.parameterCount() * (double) DType.F32.bytes());
    }

    private void fill(int count, long seed) {
        SequenceInfo info = SequenceInfo.of(1, count);
        if (state instanceof KvCache cache) {
            long groups = cache.keys().dim(2);
            long width = cache.keys().dim(3);
            cache.append(new Rng(seed).uniform(device(), DType.F32, -1.0, 1.0, 1, count, groups, width),
                    new Rng(seed + 1).uniform(device(), DType.F32, -1.0, 1.0, 1, count, groups, width), info);
        } else {
            Autograd.noGrad(() -> prefill(layer, new Rng(seed).uniform(device(), DType.F32, -1.0, 1.0, 1, count, StepModels.WIDTH), info,
                    state));
        }
    }

    // the state was made by this layer
    @SuppressWarnings("unchecked")
    private static <S extends MixerState> Tensor prefill(SequenceMixer<S> layer, Tensor x, SequenceInfo info, MixerState state) {
        return layer.prefill(x, info, (S) state);
    }

    @SuppressWarnings("unchecked")
    private static <S extends MixerState> Tensor step(SequenceMixer<S> layer, Tensor x, MixerState state) {
        return layer.step(x, (S) state);
    }

    @Override
    void release() {
        state.close();
        layer.close();
    }

    /** One token, which a cache then forgets, so that the context stays what it is. */
    @Benchmark
    public double token() {
        double result = run(() -> List.of(step(layer, x, state)));
        if (state instanceof KvCache cache) {
            cache.rewind(1);
        }
        return result;
    }
}
