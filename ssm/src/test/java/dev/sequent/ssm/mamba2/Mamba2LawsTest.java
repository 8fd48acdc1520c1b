package dev.sequent.ssm.mamba2;

import dev.sequent.testkit.MixerGradientLaws;
import java.util.List;

/** Mamba-2 is a lawful mixer, with one group and several, with heads that fill a width of their own, and without its options. */
class Mamba2LawsTest extends MixerGradientLaws {
    @Override
    protected List<Subject> subjects() {
        Mamba2Config grouped = new Mamba2Config(3, 4, 3, 2, 2, 5, 1, 12, 1e-2, 1, 1e-4, new Mamba2Config.Limit(0.1, 0.9), true, true, 1e-5,
                true, false, false);
        Mamba2Config bare = new Mamba2Config(1, 0, 1, 7, 3, 100, 1, 0, 1e-3, 0.1, 1e-4, Mamba2Config.Limit.NONE, false, true, 0, false,
                true, true);
        Mamba2Config whole = new Mamba2Config(17, 0, 3, 2, 4, 16, 2, 0, 1e-3, 0.1, 1e-4, Mamba2Config.Limit.NONE, true, false, 1e-5, false,
                true, true);
        return List.of(new Subject("mamba2", Mamba2Config.defaults().withStates(4).withHeads(5, 1), 5),
                new Subject("mamba2 with groups and limits", grouped, 5), new Subject("mamba2 without norm", bare, 7),
                new Subject("mamba2 with one norm for all groups", whole, 6));
    }
}
