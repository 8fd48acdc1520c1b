package dev.sequent.backend.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.sequent.spi.TensorHandle;
import dev.sequent.type.BackendException;
import dev.sequent.type.DeviceMismatchException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The arguments of one launch as the driver wants them: values one after the other, and a table of pointers to them. The driver copies the
 * values before it returns, so one block serves all launches of a device. Guarded by the device's lock.
 */
final class Arguments {
    /** The most bytes that the driver accepts as parameters, on the newest GPUs. */
    private static final int MAX_BYTES = 32_764;
    private static final int MAX_PARAMETERS = 1024;
    private static final int ALIGNMENT = 16;

    private final CudaDevice device;
    private final MemorySegment values;
    private final MemorySegment table;
    private int used;

    Arguments(CudaDevice device, Arena arena) {
        this.device = device;
        this.values = arena.allocate(MAX_BYTES + 2L * ALIGNMENT, ALIGNMENT);
        this.table = arena.allocate(ADDRESS, MAX_PARAMETERS + 1L);
    }

    /** A device address as an argument. */
    record Address(long at) {}

    /** The table for a call of {@code function}, valid until the next one. */
    MemorySegment of(CudaFunction function, Object... arguments) {
        int[] sizes = function.parameterSizes();
        if (sizes != null && sizes.length != arguments.length || arguments.length > MAX_PARAMETERS) {
            throw new BackendException("launch " + function.name(), (sizes == null ? MAX_PARAMETERS : sizes.length) + " arguments",
                    Integer.toString(arguments.length));
        }
        used = 0;
        for (int i = 0; i < arguments.length; i++) {
            int start = used;
            int bytes = put(function, i, arguments[i]);
            if (sizes != null && sizes[i] != bytes) {
                throw new BackendException("launch " + function.name(), "argument " + i + " of " + sizes[i] + " bytes",
                        bytes + " bytes: " + arguments[i]);
            }
            table.setAtIndex(JAVA_LONG, i, values.address() + start);
            used = start + (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        table.setAtIndex(JAVA_LONG, arguments.length, 0);
        return table;
    }

    private int put(CudaFunction function, int i, Object argument) {
        return switch (argument) {
            case null -> put(0L);
            case TensorHandle x -> put(address(function, x));
            case Address a -> put(a.at);
            case CudaScratch s -> put(s.address("launch " + function.name()));
            case Long v -> put(v.longValue());
            case Double v -> put(Double.doubleToRawLongBits(v));
            case Integer v -> {
                values.set(JAVA_INT, used, v);
                yield Integer.BYTES;
            }
            case Float v -> {
                values.set(JAVA_FLOAT, used, v);
                yield Float.BYTES;
            }
            case long[] v -> {
                reserve(function, (long) v.length * Long.BYTES);
                MemorySegment.copy(v, 0, values, JAVA_LONG, used, v.length);
                yield v.length * Long.BYTES;
            }
            case int[] v -> {
                reserve(function, (long) v.length * Integer.BYTES);
                MemorySegment.copy(v, 0, values, JAVA_INT, used, v.length);
                yield v.length * Integer.BYTES;
            }
            case float[] v -> {
                reserve(function, (long) v.length * Float.BYTES);
                MemorySegment.copy(v, 0, values, JAVA_FLOAT, used, v.length);
                yield v.length * Float.BYTES;
            }
            case double[] v -> {
                reserve(function, (long) v.length * Double.BYTES);
                MemorySegment.copy(v, 0, values, JAVA_DOUBLE, used, v.length);
                yield v.length * Double.BYTES;
            }
            case TensorHandle[] v -> {
                reserve(function, (long) v.length * Long.BYTES);
                for (int k = 0; k < v.length; k++) {
                    values.set(JAVA_LONG, used + (long) k * Long.BYTES, v[k] == null ? 0 : address(function, v[k]));
                }
                yield v.length * Long.BYTES;
            }
            default -> throw new BackendException("launch " + function.name(),
                    "argument " + i + " to be a tensor, scratch memory, a number, or an array of numbers or tensors",
                    argument.getClass().getName());
        };
    }

    private int put(long word) {
        values.set(JAVA_LONG, used, word);
        return Long.BYTES;
    }

    private void reserve(CudaFunction function, long bytes) {
        if (used + bytes > MAX_BYTES) {
            throw new BackendException("launch " + function.name(), "at most " + MAX_BYTES + " bytes of arguments",
                    used + bytes + " bytes");
        }
    }

    private long address(CudaFunction function, TensorHandle x) {
        String op = "launch " + function.name();
        if (!(x instanceof CudaHandle handle) || handle.device() != device) {
            throw new DeviceMismatchException(op, "tensors of device " + device.index() + " of this backend", x.getClass().getName());
        }
        handle.check(op);
        device.use(handle.storage());
        return handle.address();
    }
}
