package dev.sequent.ssm;

import dev.sequent.ssm.scan.SelectiveScan;
import dev.sequent.testkit.FirstCompiler;
import org.junit.jupiter.api.Test;

class KernelCompilationTest {
    @Test
    void theFirstCompilerTakesEveryKernel() {
        FirstCompiler.check(SelectiveScan.class);
    }
}
