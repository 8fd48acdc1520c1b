package dev.sequent.backend.djl;

import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.testkit.MixerGradientLaws;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import java.util.List;
import java.util.Map;

/** State-space and attention mixers obey the laws of mixers on this backend, and agree with the reference, derivatives included. */
class DjlMixerLawsTest extends MixerGradientLaws {
    @Override
    protected List<Subject> subjects() {
        AttentionConfig attention = new AttentionConfig(4, 2, 6, 500, 0.67, true, true, 1e-6, 5, 0, 0.3);
        return List.of(new Subject("s4d", S4dConfig.defaults().withStateSize(4), 3),
                new Subject("mamba", MambaConfig.defaults().withStates(4), 5),
                new Subject("mamba2", Mamba2Config.defaults().withStates(4).withHeads(5, 1), 5), new Subject("attention", attention, 5));
    }

    @Override
    protected List<Platform> platforms() {
        return List.of(new Platform("djl", Map.of(), DType.F32, 5e-5), new Platform("djl", Map.of(), DType.F64, 1e-9));
    }
}
