package dev.sequent.benchmarks.baselines;

import dev.sequent.benchmarks.Gauges;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The forward pass of a library's own layer of width {@value Weights#WIDTH} over one row of {@link #time} tokens. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow"})
public class BaselineBenchmark {
    /** Libraries. */
    public static final List<String> LIBRARIES = List.of("sequent", "djl", "nd4j");

    private static final int CHECKED = 40;
    private static final double TOLERANCE = 1e-4;

    /** Whose layer, one of {@link #LIBRARIES}. */
    @Param("sequent")
    public String library;

    /** {@code attention} or {@code lstm}. */
    @Param("attention")
    public String layer;

    /** T: tokens. */
    @Param("1024")
    public int time;

    private Baseline baseline;

    /** Instantiated by JMH. */
    public BaselineBenchmark() {}

    /** Checks the layer on few tokens, then prepares it for all. */
    @Setup
    public void open() {
        check(library, layer);
        baseline = Baseline.of(library);
        baseline.prepare(Weights.of(layer), Weights.input(time));
        Gauges.set(Gauges.TOKENS, time);
    }

    /**
     * Compares a layer with plain loops.
     *
     * @throws IllegalStateException when its results differ, or the library is not there
     */
    static void check(String library, String layer) {
        Weights weights = Weights.of(layer);
        float[] x = Weights.input(CHECKED);
        double[] expected = weights.expected(x);
        try (Baseline small = Baseline.of(library)) {
            small.prepare(weights, x);
            small.call();
            float[] given = small.result();
            for (int i = 0; i < expected.length; i++) {
                if (given.length != expected.length || !(Math.abs(given[i] - expected[i]) <= TOLERANCE)) {
                    throw new IllegalStateException(library + " " + layer + ": expected " + expected[i] + " at " + i + ", given "
                            + given[i]);
                }
            }
        }
    }

    /** Releases what the layer holds. */
    @TearDown
    public void close() {
        baseline.close();
    }

    /** The forward pass. */
    @Benchmark
    public Object forward() {
        return baseline.call();
    }
}
