package dev.sequent.cost;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.function.Supplier;

/**
 * How fast a device is at most (Williams, Waterman and Patterson 2009).
 *
 * @param flopsPerSecond floating-point operations per second
 * @param bytesPerSecond bytes that memory delivers and takes per second
 */
public record Roofline(double flopsPerSecond, double bytesPerSecond) {
    private static final int[] SIDES = {256, 1024};
    private static final long[] LENGTHS = {1 << 20, 1 << 24};
    /** Seconds for each size: long enough that kernels are compiled. */
    private static final double BUDGET = 0.5;
    private static final double SLOW = 0.05;

    /** Checks that both are positive. */
    public Roofline {
        if (!(flopsPerSecond > 0) || !(bytesPerSecond > 0)) {
            throw new ConfigException("roofline", "positive rates", flopsPerSecond + " and " + bytesPerSecond);
        }
    }

    /**
     * Measures what the device reaches in F32: the best of several products of two square matrices of up to 1024 rows, and of several
     * sums x + x of up to 64 MiB; a slow backend is measured at smaller sizes. Takes two seconds and 128 MiB. Other load on the machine
     * lowers the result.
     */
    public static Roofline measure(Device device) {
        double flops = 0;
        double bytes = 0;
        try (Scope _ = Scope.open()) {
            for (int side : SIDES) {
                Tensor a = new Rng(1).unit(device, DType.F32, side, side);
                double seconds = best(device, () -> a.matmul(a));
                flops = Math.max(flops, 2.0 * side * side * side / seconds);
                if (seconds > SLOW) {
                    break;
                }
            }
            for (long length : LENGTHS) {
                Tensor x = Tensor.ones(device, DType.F32, length);
                double seconds = best(device, () -> x.add(x));
                bytes = 2.0 * length * DType.F32.bytes() / seconds; // the longest: shorter ones may lie in a cache
                if (seconds > SLOW) {
                    break;
                }
            }
        }
        return new Roofline(flops, bytes);
    }

    private static double best(Device device, Supplier<Tensor> body) {
        double best = Double.POSITIVE_INFINITY;
        long begin = System.nanoTime();
        for (int i = 0; i < 2 || (System.nanoTime() - begin) * 1e-9 < BUDGET; i++) {
            long start = System.nanoTime();
            try (Tensor _ = body.get()) {
                device.synchronize();
            }
            best = Math.min(best, (System.nanoTime() - start) * 1e-9);
        }
        return best;
    }

    /** The least time that {@code work} can take, in seconds: whichever of computing and moving takes longer. */
    public double seconds(Work work) {
        return Math.max(work.flops() / flopsPerSecond, work.bytes() / bytesPerSecond);
    }
}
