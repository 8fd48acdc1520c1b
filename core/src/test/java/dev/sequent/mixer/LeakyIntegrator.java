package dev.sequent.mixer;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.nn.Init;
import dev.sequent.nn.Linear;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The smallest recurrent mixer, for tests of what is built from mixers: u = in x, h = sigmoid(a) h + u, y = out h. */
public final class LeakyIntegrator extends RecurrentMixer {
    private final int width;
    private final int inner;
    private final Linear in;
    private final Linear out;
    private final Parameter decay;

    /**
     * Its configuration.
     *
     * @param channels states per channel of the input
     */
    public record Config(int channels) implements MixerConfig {
        static final String TYPE = "leaky";

        @Override
        public String type() {
            return TYPE;
        }

        @Override
        public Map<String, Object> toMap() {
            return Map.of("channels", channels);
        }

        @Override
        public SequenceMixer<?> create(int width, int layers, Init init) {
            return new LeakyIntegrator(width, channels, init);
        }
    }

    private LeakyIntegrator(int width, int channels, Init init) {
        this.width = width;
        this.inner = Math.multiplyExact(width, channels);
        this.in = child("in_proj", Linear.normal(init, 0.3, width, inner, false));
        this.decay = param("a", init.normal(1, inner), Parameter.Flag.NO_DECAY);
        this.out = child("out_proj", Linear.normal(init, 0.3, inner, width, true));
    }

    @Override
    public int width() {
        return width;
    }

    @Override
    public List<RecurrentState.Slot> stateLayout(StateSpec spec) {
        return List.of(new RecurrentState.Slot("h", Shape.of(spec.batch(), inner), spec.dtype()));
    }

    @Override
    public Carried scan(Tensor x, SequenceInfo info, List<Tensor> state) {
        Tensor u = in.forward(x);
        Tensor a = decay.value().sigmoid();
        Tensor valid = info.validMask(x.device(), x.dtype());
        Tensor keep = info.keepMask(x.device(), x.dtype());
        Tensor h = state == null ? Tensor.zeros(x.device(), x.dtype(), x.dim(0), inner) : state.getFirst();
        List<Tensor> ys = new ArrayList<>();
        for (int t = 0; t < x.dim(1); t++) {
            Tensor v = valid.select(1, t);
            Tensor next = h.mul(keep.select(1, t)).mul(a).add(u.select(1, t));
            h = next.mul(v).add(h.mul(v.neg().add(1)));
            ys.add(h.mul(v));
        }
        Tensor y = out.forward(Tensor.stack(1, ys.toArray(Tensor[]::new)));
        return new Carried(y.mul(valid), List.of(h));
    }

    @Override
    protected Carried advance(Tensor x, List<Tensor> state) {
        return scan(x, SequenceInfo.of(x), state);
    }

    @Override
    public Work work(Workload w) {
        return in.work(w).plus(Work.pointwise(w, w.tokens() * inner, 2, 1, 1)).plus(out.work(w))
                .plus(Work.state(w, inner * w.elementBytes()));
    }

    @Override
    public StateCost cost(StateSpec spec) {
        return new StateCost((long) inner * spec.dtype().bytes(), 0, 0);
    }
}
