package dev.sequent.tensor;

import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.Shape;

/**
 * A counter-based random generator: a seed and a position in its stream. The same seed and position give the same numbers on
 * every backend (Philox 4x32-10; Salmon et al. 2011), and a stream can be resumed or replayed from a stored position.
 *
 * <p>Not thread-safe; give each thread its own by {@link #fork}.
 */
public final class Rng {
    private final long seed;
    private long position;

    /** A generator at the start of the stream of {@code seed}. */
    public Rng(long seed) {
        this(seed, 0);
    }

    /** A generator in the middle of a stream. */
    public Rng(long seed, long position) {
        this.seed = seed;
        this.position = position;
    }

    /** The stream's seed. */
    public long seed() {
        return seed;
    }

    /** Numbers drawn so far. */
    public long position() {
        return position;
    }

    /** Moves to a position, for resuming and replaying. */
    public void seek(long position) {
        this.position = position;
    }

    /** An independent stream, determined by this one's seed and {@code stream} (SplitMix64's finaliser over both). */
    public Rng fork(long stream) {
        long z = seed + 0x9E3779B97F4A7C15L * (stream + 1);
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return new Rng(z ^ (z >>> 31));
    }

    /** Uniform numbers in the unit interval [0, 1). */
    public Tensor unit(Device device, DType dtype, long... shape) {
        Shape s = Shape.of(shape);
        requireFloat(device, dtype);
        Tensor t = Tensor.wrap(device, device.backend().randomUniform(s, dtype, seed, position, device.index()));
        position += s.size();
        return t;
    }

    /** Uniform numbers in [low, high), which rounding to the dtype can bring up to {@code high} itself. */
    public Tensor uniform(Device device, DType dtype, double low, double high, long... shape) {
        return Scope.returning(() -> unit(device, dtype, shape).mul(high - low).add(low));
    }

    /** Normal numbers with the given mean and standard deviation (Box and Muller 1958). */
    public Tensor normal(Device device, DType dtype, double mean, double std, long... shape) {
        requireFloat(device, dtype);
        return Scope.returning(() -> {
            DType wide = dtype == DType.F64 ? DType.F64 : DType.F32;
            Tensor radius = unit(device, wide, shape).neg().add(1).log().mul(-2).sqrt(); // 1 - u lies in (0, 1]
            Tensor angle = unit(device, wide, shape).mul(2 * Math.PI).cos();
            return radius.mul(angle).mul(std).add(mean).cast(dtype);
        });
    }

    private static void requireFloat(Device device, DType dtype) {
        DTypeChecks.requireSupport(device, dtype, "random");
        if (!dtype.isFloat()) {
            throw new DTypeException("random", "a float dtype", dtype.toString());
        }
    }
}
