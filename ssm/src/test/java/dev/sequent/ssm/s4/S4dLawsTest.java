package dev.sequent.ssm.s4;

import dev.sequent.testkit.MixerGradientLaws;
import java.util.List;

/** S4D obeys the laws of mixers, with every initial spectrum and both discretisations. */
class S4dLawsTest extends MixerGradientLaws {
    @Override
    protected List<Subject> subjects() {
        S4dConfig c = S4dConfig.defaults().withStateSize(4);
        return List.of(new Subject("s4d-lin zoh", c, 3), new Subject("s4d-inv bilinear",
                c.withInit("inv").withDiscretisation("bilinear"), 2), new Subject("s4d-legs zoh", c.withInit("legs"), 17));
    }
}
