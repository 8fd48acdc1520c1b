package dev.sequent.testkit.cuda;

import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.type.SequentException;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assertions;

/**
 * Proves that the tests of a kernel would notice a missing barrier: takes away each barrier of its source by turns and expects other
 * results, or an error, in some order of threads. What nobody would notice is either not needed or not tested. Not to be run at the same
 * time as other users of {@link EmulatedCuda#set}.
 */
public final class PlantedBugs {
    private static final String BARRIER = "__syncthreads();";

    private PlantedBugs() {}

    /**
     * Checks every barrier of a source.
     *
     * @param name the source, as {@link Source#name}
     * @param run uses the source's kernels on a device and returns results
     */
    public static void check(String name, Function<Device, List<double[]>> run) {
        int[] barriers = {0};
        List<double[]> good = results(0, run, source -> {
            barriers[0] = source.name().equals(name) ? parts(source).length - 1 : barriers[0];
            return source;
        });
        Assertions.assertTrue(good != null && barriers[0] > 0, name + " fails, or has no barrier");
        for (int number = 0; number < barriers[0]; number++) {
            int at = number;
            boolean noticed = false;
            for (int i = DeviceKernelLaw.ORDERS.size() - 1; i >= 0 && !noticed; i--) {
                noticed = differ(good, results(DeviceKernelLaw.ORDERS.get(i), run, source -> source.name().equals(name)
                    ? without(source, at) : source));
            }
            Assertions.assertTrue(noticed, "barrier " + number + " of " + name + " can be taken away without being noticed");
        }
    }

    private static String[] parts(Source source) {
        return source.text().split(Pattern.quote(BARRIER), -1);
    }

    private static Source without(Source source, int number) {
        String[] parts = parts(source);
        StringBuilder text = new StringBuilder(parts[0]);
        for (int i = 1; i < parts.length; i++) {
            text.append(i - 1 == number ? ";" : BARRIER).append(parts[i]);
        }
        return new Source(source.name(), text.toString(), source.functions(), source.defines(), source.headers());
    }

    /** Results of one run on a fresh device, or null when it fails. */
    private static List<double[]> results(int order, Function<Device, List<double[]>> run, UnaryOperator<Source> change) {
        EmulatedCuda cuda = EmulatedCuda.require();
        try (Device device = InterceptedCuda.open(cuda, change)) {
            cuda.set("order", order);
            try (Scope _ = Scope.open()) {
                return run.apply(device);
            }
        } catch (SequentException e) {
            return null;
        } finally {
            cuda.reset();
        }
    }

    private static boolean differ(List<double[]> good, List<double[]> other) {
        if (other == null) {
            return true;
        }
        for (int i = 0; i < good.size(); i++) {
            if (!Arrays.equals(good.get(i), other.get(i))) {
                return true;
            }
        }
        return false;
    }
}
