package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * A benchmark on one device. Opens it, lets the subclass prepare and check itself against the reference backend, and notes the
 * memory used. One call is one operation however long it takes; short ones are repeated for a second.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow"})
public abstract class DeviceBenchmark {
    /** The backend. */
    @Param("cpu")
    public String backend;

    /** Threads of the backend; 0 for as many as it takes by itself. */
    @Param("0")
    public int threads;

    private Device device;
    private dev.sequent.tensor.Scope scope;

    /** For subclasses. */
    protected DeviceBenchmark() {}

    /** Where the benchmark runs. */
    final Device device() {
        return device;
    }

    /** Opens the device and prepares. */
    @Setup(Level.Trial)
    public final void open() {
        Map<String, String> options = new HashMap<>(options());
        if (threads != 0) {
            options.put("threads", Integer.toString(threads));
        }
        device = Device.open(backend, options);
        scope = dev.sequent.tensor.Scope.open();
        try (Device reference = Device.open("reference")) {
            check(reference);
        }
        prepare();
    }

    /** Options of the device besides the threads. */
    Map<String, String> options() {
        return Map.of();
    }

    /** Compares results of the device with those of the reference backend at a small size; throws where they differ. */
    abstract void check(Device reference);

    /** Makes what the calls need. */
    abstract void prepare();

    /** Releases what {@link #prepare} made and no scope owns. */
    void release() {}

    /** Notes the memory used so far. */
    @TearDown(Level.Iteration)
    public final void note() {
        Gauges.set(Gauges.PEAK_MEMORY, device.memory().peakBytes());
    }

    /** Releases everything. */
    @TearDown(Level.Trial)
    public final void close() {
        release();
        scope.close();
        device.close();
    }

    /**
     * Runs without recording a tape and releases all results. What they hold need not be read: compilers leave out neither native calls
     * nor writes to native memory.
     *
     * @return the number of results
     */
    final double run(Supplier<List<Tensor>> body) {
        return Autograd.noGrad(() -> {
            try (dev.sequent.tensor.Scope _ = dev.sequent.tensor.Scope.open()) {
                List<Tensor> results = body.get();
                device.synchronize();
                return (double) results.size();
            }
        });
    }
}
