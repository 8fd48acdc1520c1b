package dev.sequent.backend.djl;

import ai.djl.Device;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import dev.sequent.type.DType;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * One device of an opened backend: the DJL manager to which all its arrays are attached, and the account of what they occupy. Closing the
 * manager closes whatever is still attached. Thread-safe.
 */
final class DjlDevice {
    /** Scalars that are kept: a model's constants come first, and the numbers that change every step find no place any more. */
    private static final int MAX_SCALARS = 256;

    private final DjlBackend backend;
    private final int index;
    private final PtNDManager manager;
    private final Account account;
    private final ConcurrentMap<Scalar, PtNDArray> scalars = new ConcurrentHashMap<>();

    /** A scalar operand. */
    private record Scalar(long bits, DType dtype) {}

    DjlDevice(DjlBackend backend, int index, PtNDManager manager, Account account) {
        this.backend = backend;
        this.index = index;
        this.manager = manager;
        this.account = account;
    }

    DjlBackend backend() {
        return backend;
    }

    PtNDManager manager() {
        return manager;
    }

    Account account() {
        return account;
    }

    /** DJL's name for the device. */
    Device device() {
        return manager.getDevice();
    }

    /** The array of a scalar operand that {@link #keep} has kept, or null. */
    PtNDArray scalar(double value, DType dtype) {
        return scalars.get(new Scalar(Double.doubleToRawLongBits(value), dtype));
    }

    /** Keeps the array of a scalar operand until the device is closed, if there is room for it; false leaves it to the caller. */
    boolean keep(double value, DType dtype, PtNDArray array) {
        return scalars.size() < MAX_SCALARS && scalars.putIfAbsent(new Scalar(Double.doubleToRawLongBits(value), dtype), array) == null;
    }

    /** Arrays attached to the manager, without the scalars that are kept. */
    int attachedArrays() {
        return manager.getManagedArrays().size() - scalars.size();
    }

    /** Whether the arrays lie in memory that Java can reach. */
    boolean isHost() {
        return !device().isGpu();
    }

    @Override
    public String toString() {
        return DjlBackendProvider.NAME + ":" + index;
    }
}
