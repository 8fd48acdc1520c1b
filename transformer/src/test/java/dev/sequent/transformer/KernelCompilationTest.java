package dev.sequent.transformer;

import dev.sequent.testkit.FirstCompiler;
import dev.sequent.transformer.attention.Attention;
import org.junit.jupiter.api.Test;

class KernelCompilationTest {
    @Test
    void theFirstCompilerTakesEveryKernel() {
        FirstCompiler.check(Attention.class);
    }
}
