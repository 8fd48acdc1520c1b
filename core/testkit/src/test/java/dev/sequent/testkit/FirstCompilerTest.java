package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.tensor.Device;
import java.util.Set;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

/** The kernels of core, and that a method which is too large for the first compiler is noticed. */
class FirstCompilerTest {
    @Test
    void theFirstCompilerTakesEveryKernelOfCore() {
        FirstCompiler.check(Device.class);
    }

    @Test
    void aMethodThatItSkipsIsNoticed() {
        String large = Large.class.getName() + "::kernel";
        String small = Large.class.getName() + "::small";
        FirstCompiler.Log log = FirstCompiler.run(Set.of(large, small));
        assertThat(log.compiled()).contains(large, small);
        assertThat(log.skipped()).singleElement().asString().contains(large).contains("COMPILE SKIPPED");
    }

    /** Short methods of vector operations that are inlined into each other, two thousand operations in all. */
    static final class Large {
        private Large() {}

        static FloatVector small(FloatVector x) {
            return x.fma(x, x).mul(x);
        }

        static FloatVector four(FloatVector x) {
            return small(small(small(small(x))));
        }

        static FloatVector sixteen(FloatVector x) {
            return four(four(four(four(x))));
        }

        static FloatVector many(FloatVector x) {
            return sixteen(sixteen(sixteen(sixteen(x))));
        }

        static FloatVector kernel(FloatVector x) {
            return many(many(many(many(many(many(many(many(many(many(many(many(many(many(many(many(x))))))))))))))));
        }
    }
}
