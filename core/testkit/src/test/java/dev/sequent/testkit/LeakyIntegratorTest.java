package dev.sequent.testkit;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.RecurrentMixer;
import dev.sequent.mixer.RecurrentState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The smallest recurrent mixer, h = sigmoid(a) h + x, y = h: shows that the laws can be satisfied, and how little that takes. */
class LeakyIntegratorTest extends MixerGradientLaws {
    @Override
    protected List<Subject> subjects() {
        return List.of(new Subject("leaky integrator", new Config(), 3));
    }

    record Config() implements MixerConfig {
        @Override
        public String type() {
            return "leaky";
        }

        @Override
        public Map<String, Object> toMap() {
            return Map.of();
        }

        @Override
        public SequenceMixer<?> create(int width, int layers, Init init) {
            return new LeakyIntegrator(width, init);
        }
    }

    private static final class LeakyIntegrator extends RecurrentMixer {
        private final int width;
        private final Parameter decay;

        LeakyIntegrator(int width, Init init) {
            this.width = width;
            this.decay = param("a", init.normal(1, width), Parameter.Flag.NO_DECAY);
        }

        @Override
        public int width() {
            return width;
        }

        @Override
        public List<RecurrentState.Slot> stateLayout(StateSpec spec) {
            return List.of(new RecurrentState.Slot("h", Shape.of(spec.batch(), width), spec.dtype()));
        }

        @Override
        public Carried scan(Tensor x, SequenceInfo info, List<Tensor> state) {
            Tensor a = decay.value().sigmoid();
            Tensor valid = info.validMask(x.device(), x.dtype());
            Tensor keep = info.keepMask(x.device(), x.dtype());
            Tensor h = state == null ? Tensor.zeros(x.device(), x.dtype(), x.dim(0), width) : state.getFirst().cast(x.dtype());
            List<Tensor> ys = new ArrayList<>();
            for (int t = 0; t < x.dim(1); t++) {
                Tensor v = valid.select(1, t);
                Tensor next = h.mul(keep.select(1, t)).mul(a).add(x.select(1, t));
                h = next.mul(v).add(h.mul(v.neg().add(1)));
                ys.add(h.mul(v));
            }
            return new Carried(Tensor.stack(1, ys.toArray(Tensor[]::new)), List.of(h));
        }

        @Override
        protected Carried advance(Tensor x, List<Tensor> state) {
            Tensor h = state.getFirst().cast(x.dtype()).mul(decay.value().sigmoid()).add(x.select(1, 0));
            return new Carried(h.unsqueeze(1), List.of(h));
        }

        @Override
        public Work work(Workload w) {
            return Work.pointwise(w, w.tokens() * width, 2, 1, 1).plus(Work.state(w, width * w.elementBytes()));
        }

        @Override
        public StateCost cost(StateSpec spec) {
            return new StateCost((long) width * spec.dtype().bytes(), 0, (long) width * decay.value().dtype().bytes());
        }
    }
}
