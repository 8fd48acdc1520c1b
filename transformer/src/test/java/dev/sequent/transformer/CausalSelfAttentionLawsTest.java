package dev.sequent.transformer;

import dev.sequent.testkit.MixerGradientLaws;
import dev.sequent.transformer.position.RopeScaling;
import java.util.List;

/** Attention is a lawful mixer in all its kinds. */
class CausalSelfAttentionLawsTest extends MixerGradientLaws {
    @Override
    protected List<Subject> subjects() {
        AttentionConfig all = new AttentionConfig(4, 2, 6, 500, 0.67, true, true, 1e-6, 5, 0, 0.3);
        AttentionConfig plain = new AttentionConfig(2, 2, 0, 10_000, 1, false, false, 1e-6, 0, 0, 0.3);
        return List.of(new Subject("attention", plain, 8), new Subject("multi-query attention without positions",
                plain.withKeyValueHeads(1).withRopeTheta(0), 6), new Subject("attention with all options", all, 5),
                new Subject("attention with frequencies that depend on the length",
                plain.withRopeScaling(new RopeScaling.Dynamic(3, 3, 0)), 8),
                new Subject("attention with an attention factor", all.withRopeScaling(new RopeScaling.Yarn(4, 8, 0.7, 32, 1, 0, 0, true)),
                5));
    }
}
