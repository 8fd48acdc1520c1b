package dev.sequent.backend.djl;

import dev.sequent.spi.MemoryStats;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.Shape;

/**
 * What live tensors of one device occupy, and the limit that they must not exceed. PyTorch owns the memory; this only counts it, before it
 * is asked for. Thread-safe.
 */
final class Account {
    private final long limit;
    private long handles;
    private long bytes;
    private long peak;

    Account(long limit) {
        this.limit = limit;
    }

    /** Charges for a tensor that is about to be made, and returns the charge. */
    synchronized long charge(String op, Shape shape, DType dtype) {
        if (shape.size() > (limit - bytes) / dtype.bytes()) {
            throw outOfMemory(op, dtype + shape.toString(), "limit " + limit, null);
        }
        long charge = shape.size() * dtype.bytes();
        bytes += charge;
        peak = Math.max(peak, bytes);
        return charge;
    }

    synchronized void refund(long charge) {
        bytes -= charge;
    }

    synchronized void handle(int change) {
        handles += change;
    }

    synchronized MemoryStats stats() {
        return new MemoryStats(handles, bytes, 0, peak, limit);
    }

    /** The error of a request that cannot be met; {@code cause} may be null. */
    synchronized OutOfDeviceMemoryException outOfMemory(String op, String request, String why, Throwable cause) {
        String message = "[" + op + "] expected a request that fits, given " + request + " with " + bytes + " bytes in use by " + handles
                + " tensors (" + why + ")";
        return new OutOfDeviceMemoryException(message, cause);
    }
}
