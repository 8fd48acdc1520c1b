package dev.sequent.benchmarks;

import dev.sequent.tensor.Device;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every operation that is measured runs, and gives the reference's results and gradients. */
class KernelSubjectTest {
    static List<String> names() {
        return KernelSubject.NAMES;
    }

    @ParameterizedTest
    @MethodSource("names")
    void theCpuBackendAgreesWithTheReference(String name) {
        try (Device cpu = Device.open("cpu"); Device reference = Device.open("reference")) {
            KernelSubject.check(name, cpu, reference, 17);
        }
    }
}
