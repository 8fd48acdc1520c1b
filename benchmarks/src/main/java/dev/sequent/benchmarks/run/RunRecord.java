package dev.sequent.benchmarks.run;

import dev.sequent.cost.Roofline;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.tensor.Device;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Under what conditions results were obtained: machine, JDK, flags, backend with its measured peaks, version of the code.
 */
public final class RunRecord {
    private static final long MAX_BYTES = 1 << 20;
    /** What must not change within a run. */
    private static final List<String> CONDITIONS = List.of("preset", "commit", "changed_files", "cpu", "processors", "jdk", "backend",
            "threads");

    private RunRecord() {}

    /**
     * The record of a run that begins now; measures the peaks of the first backend, which takes seconds. {@code threads} is 0 for a
     * backend's own choice.
     */
    public static Json of(String preset, List<String> backends, int threads, String notes) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("started", Instant.now().toString());
        m.put("preset", preset);
        m.put("notes", notes);
        m.put("commit", firstLine("git", "rev-parse", "HEAD"));
        m.put("changed_files", lines("git", "status", "--porcelain", "--untracked-files=no").size());
        m.put("cpu", cpu());
        m.put("processors", Runtime.getRuntime().availableProcessors());
        m.put("memory_bytes", memory());
        m.put("os", System.getProperty("os.name") + " " + System.getProperty("os.version") + " " + System.getProperty("os.arch"));
        m.put("jdk", System.getProperty("java.vendor") + " " + Runtime.version());
        m.put("flags", ManagementFactory.getRuntimeMXBean().getInputArguments());
        m.put("backend", String.join(", ", backends));
        m.put("threads", threads == 0 ? "the backend's choice" : Integer.toString(threads));
        Map<String, String> options = threads == 0 ? Map.of() : Map.of("threads", Integer.toString(threads));
        try (Device device = Device.open(backends.getFirst(), options)) {
            Roofline peak = Roofline.measure(device);
            m.put("device", device.backend().name() + ", " + device.capabilities());
            m.put("peak_flops_per_second", peak.flopsPerSecond());
            m.put("peak_bytes_per_second", peak.bytesPerSecond());
        }
        for (String other : backends.subList(1, backends.size())) {
            try (Device device = Device.open(other, options)) {
                m.put("device_" + other, device.backend().name() + ", " + device.capabilities());
            }
        }
        return Json.ofJava(m);
    }

    /**
     * Makes sure that results obtained now may stand beside those of the run that {@code file} describes, and returns what it says.
     *
     * @throws DataException if code, machine or settings are others
     */
    static Json.Obj requireSameConditions(Path file, Json.Obj now) {
        Json record = Json.read(file, MAX_BYTES, Json.Dialect.PYTHON, DataException::new);
        JsonView then = JsonView.of(record, file.toString(), DataException::new);
        for (String name : CONDITIONS) {
            Json before = then.at(name).value();
            Json present = now.members().get(name);
            if (!before.equals(present)) {
                throw new DataException("bench", "the " + name.replace('_', ' ') + " of the run in " + file + ", " + before,
                        present.toString());
            }
        }
        return (Json.Obj) record;
    }

    private static String cpu() {
        try {
            return Files.readAllLines(Path.of("/proc/cpuinfo")).stream().filter(l -> l.startsWith("model name")).findFirst()
                    .map(l -> l.substring(l.indexOf(':') + 1).strip()).orElse("unknown");
        } catch (IOException e) {
            return "unknown";
        }
    }

    private static long memory() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean os
                ? os.getTotalMemorySize() : 0;
    }

    private static String firstLine(String... command) {
        List<String> lines = lines(command);
        return lines.isEmpty() ? "unknown" : lines.getFirst();
    }

    private static List<String> lines(String... command) {
        try {
            Process p = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
            List<String> lines = p.inputReader().lines().toList();
            return p.waitFor(10, TimeUnit.SECONDS) && p.exitValue() == 0 ? lines : List.of();
        } catch (IOException e) {
            return List.of();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return List.of();
        }
    }
}
