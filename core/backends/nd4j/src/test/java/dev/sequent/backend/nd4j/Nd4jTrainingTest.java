package dev.sequent.backend.nd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.spi.MemoryStats;
import dev.sequent.tensor.Device;
import java.io.IOException;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Models of every family train on ND4J arrays as they do elsewhere, and leave nothing behind. */
class Nd4jTrainingTest {
    private static final int STEPS = 10;
    /** Largest difference of losses near 2.4 after ten steps in F32: rounding, which training may amplify by a few times. */
    private static final double TOLERANCE = 2e-5;

    private static final int WARM_UP = 50;
    private static final int LAST = 200;
    /**
     * Growth of the process over 150 steps that may come from the JVM: compiled code, classes. A few hundred bytes per operation would
     * exceed it.
     */
    private static final long GROWTH = 32L << 20;

    @ParameterizedTest
    @ValueSource(strings = {"SS", "MM", "AA", "MSA"})
    void tenStepsGiveTheReferenceLosses(String pattern) {
        double[] expected = losses("reference", pattern);
        double[] actual = losses(Nd4jBackendProvider.NAME, pattern);
        for (int step = 0; step < STEPS; step++) {
            assertThat(actual[step]).as("loss of " + pattern + " in step " + step).isCloseTo(expected[step], within(TOLERANCE));
        }
        assertThat(actual[STEPS - 1]).as("loss after training").isLessThan(actual[0]);
    }

    private static double[] losses(String backend, String pattern) {
        double[] losses = new double[STEPS];
        try (Device device = Device.open(backend)) {
            try (ToyTraining training = new ToyTraining(device, pattern)) {
                for (int step = 0; step < STEPS; step++) {
                    losses[step] = training.step();
                }
            }
            assertThat(device.memory().liveHandles()).as("live tensors on " + device).isZero();
        }
        return losses;
    }

    /** In a JVM of its own, whose heap is all there from the start: what grows is native memory. */
    @Test
    void twoHundredStepsLeaveNothingBehind() throws IOException, InterruptedException {
        assertThat(ChildJvm.run(List.of("-Xms128m", "-Xmx128m", "-XX:+AlwaysPreTouch"), Leaks.class)).isEqualTo("flat");
    }

    /** What the other JVM runs. */
    static final class Leaks {
        private Leaks() {}

        /** Trains, and prints {@code flat} or what has grown. */
        public static void main(String[] args) {
            try (Device device = Device.open(Nd4jBackendProvider.NAME)) {
                String verdict;
                try (ToyTraining training = new ToyTraining(device, "MSA")) {
                    MemoryStats early = null;
                    long before = 0;
                    for (int step = 0; step <= LAST; step++) {
                        training.step();
                        if (step == WARM_UP) {
                            early = device.memory();
                            before = Pointer.physicalBytes();
                        }
                    }
                    long growth = Pointer.physicalBytes() - before;
                    boolean isSame = device.memory().equals(early);
                    verdict = isSame && growth < GROWTH ? "flat" : early + " became " + device.memory()
                            + ", the process grew by " + growth + " bytes";
                }
                MemoryStats after = device.memory();
                System.out.print(after.liveHandles() == 0 && after.liveBytes() == 0 ? verdict : "left behind: " + after);
            }
        }
    }
}
