package dev.sequent.backend.suite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withPrecision;

import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.MixerGradientLaws;
import dev.sequent.testkit.cuda.EmulatedCuda;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Example;

/**
 * State-space and attention mixers obey the laws of mixers on the CUDA backend, whose kernels run on the CPU here; see
 * {@link EmulatedCuda}.
 */
class CudaMixerLawsTest extends MixerGradientLaws {
    private static final int FIRST = 70;
    private static final int SECOND = 131;

    @Override
    protected List<Subject> subjects() {
        AttentionConfig attention = new AttentionConfig(4, 2, 6, 500, 0.67, true, true, 1e-6, 5, 0, 0.3);
        return List.of(new Subject("s4d", S4dConfig.defaults().withStateSize(4), 3),
                new Subject("mamba", MambaConfig.defaults().withStates(4), 5),
                new Subject("mamba2", Mamba2Config.defaults().withStates(4).withHeads(5, 1), 5), new Subject("attention", attention, 5));
    }

    @Override
    protected List<Platform> platforms() {
        return List.of(new Platform("cuda", EmulatedCuda.require().options(), DType.F32, 5e-5));
    }

    /** The scan's kernel cuts so many tokens into pieces of its own, whose states it must carry from the state before. */
    @Example
    void longPromptsContinueTheStateBefore() {
        Platform p = platforms().getFirst();
        try (Device device = Device.open(p.backend(), p.options()); Scope _ = Scope.open()) {
            for (Subject s : subjects()) {
                prefillInTwoPieces(s, p, s.config().create(s.width(), 2, new Init(device, p.dtype(), new Rng(7))));
            }
        }
    }

    private static <S extends MixerState> void prefillInTwoPieces(Subject subject, Platform p, SequenceMixer<S> created) {
        try (SequenceMixer<S> mixer = created) {
            Device device = mixer.parameters().iterator().next().value().device();
            Tensor x = new Rng(5).uniform(device, p.dtype(), -1.5, 1.5, 2, FIRST + SECOND, subject.width());
            try (S state = mixer.newState(new StateSpec(2, FIRST + SECOND, p.dtype(), device))) {
                mixer.prefill(x.slice(1, 0, FIRST), state);
                double[] actual = mixer.prefill(x.slice(1, FIRST, FIRST + SECOND), state).toDoubles();
                double[] expected = mixer.forward(x, SequenceInfo.of(x)).slice(1, FIRST, FIRST + SECOND).toDoubles();
                double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
                assertThat(actual).as(subject.name()).containsExactly(expected, withPrecision(p.tolerance() * largest));
            }
        }
    }
}
