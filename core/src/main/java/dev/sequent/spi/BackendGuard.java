package dev.sequent.spi;

import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.DeviceMismatchException;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * What every backend checks before it works: that it is open, that a device is its own, that a buffer has the size of a tensor. It also
 * counts the operations that run, so that closing waits for them. Thread-safe.
 *
 * <pre>{@code
 * public TensorHandle iota(long n, DType dtype, int device) {
 *     guard.checkDevice("iota", device);
 *     return guard.run("iota", () -> ...);
 * }
 *
 * public void close() {
 *     if (guard.close()) {
 *         memory.close();
 *     }
 * }
 * }</pre>
 */
public final class BackendGuard {
    private static final long CLOSE_POLL_NANOS = 50_000;

    private final String backend;
    private final AtomicInteger inFlight = new AtomicInteger();
    private volatile boolean closed;

    /**
     * A guard of an open backend.
     *
     * @param backend what errors call it, such as "the CPU backend"
     */
    public BackendGuard(String backend) {
        this.backend = backend;
    }

    /**
     * Runs an operation; {@link #close} waits until all of them have ended.
     *
     * @param op its name in errors
     * @throws BackendException after {@link #close}
     */
    public <R> R run(String op, Supplier<R> body) {
        inFlight.incrementAndGet();
        try {
            checkOpen(op);
            return body.get();
        } finally {
            inFlight.decrementAndGet();
        }
    }

    /**
     * Lets no further operation begin and waits for those that run.
     *
     * @return whether this call has closed the backend, whose memory is then the caller's to free; false where another one has
     */
    public boolean close() {
        synchronized (this) {
            if (closed) {
                return false;
            }
            closed = true;
        }
        while (inFlight.get() > 0) {
            LockSupport.parkNanos(CLOSE_POLL_NANOS);
        }
        return true;
    }

    /**
     * For questions that wait for nothing.
     *
     * @throws BackendException after {@link #close}
     */
    public void checkOpen(String op) {
        if (closed) {
            throw new BackendException(op, "an open backend", backend + " after close()");
        }
    }

    /**
     * For a backend with one device.
     *
     * @throws BackendException after {@link #close}, or when {@code device} is not 0
     */
    public void checkDevice(String op, int device) {
        checkDevice(op, device, 1);
    }

    /**
     * For a backend with {@code count} devices.
     *
     * @throws BackendException after {@link #close}, or when there is no such device
     */
    public void checkDevice(String op, int device, int count) {
        checkOpen(op);
        if (device < 0 || device >= count) {
            throw new BackendException(op, count == 1 ? "device 0" : "a device from 0 to " + (count - 1), "device " + device);
        }
    }

    /**
     * What is uploaded or downloaded must be all of a tensor.
     *
     * @throws ShapeException when {@code buffer} has another number of bytes between its position and its limit
     */
    public static void checkBytes(String op, Shape shape, DType dtype, ByteBuffer buffer) {
        long bytes = Math.multiplyExact(shape.size(), (long) dtype.bytes());
        if (buffer.remaining() != bytes) {
            throw new ShapeException(op, bytes + " bytes for " + dtype + shape, buffer.remaining() + " bytes");
        }
    }

    /** The error for {@code x}, a handle that another backend made, or null. */
    public static DeviceMismatchException foreign(String op, TensorHandle x) {
        return new DeviceMismatchException(op, "a handle of this backend", x == null ? "null" : x.getClass().getName());
    }
}
