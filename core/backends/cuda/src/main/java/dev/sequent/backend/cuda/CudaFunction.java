package dev.sequent.backend.cuda;

import dev.sequent.spi.DeviceCode;

/** A function of a loaded module. Guarded by the device's lock. */
final class CudaFunction implements DeviceCode.Function {
    /** Dynamic shared memory that a launch may use without asking for more. */
    private static final int DEFAULT_SHARED = 48 * 1024;
    /** The most parameters of a kernel that are looked at. */
    private static final int MAX_PARAMETERS = 256;

    private final CudaDevice device;
    private final String name;
    private final long handle;
    private final int[] sizes;
    private int shared = DEFAULT_SHARED;

    CudaFunction(CudaDevice device, String name, long handle) {
        this.device = device;
        this.name = name;
        this.handle = handle;
        this.sizes = device.driver().parameterSizes(handle, MAX_PARAMETERS);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int device() {
        return device.index();
    }

    CudaDevice owner() {
        return device;
    }

    long handle() {
        return handle;
    }

    /** Bytes of every parameter, or null where the driver does not tell. */
    int[] parameterSizes() {
        return sizes;
    }

    /** Makes sure that a launch may use so much dynamic shared memory. */
    void allowShared(int bytes) {
        if (bytes > shared) {
            device.driver().setDynamicShared(handle, bytes);
            shared = bytes;
        }
    }

    @Override
    public int registers() {
        return device.run("registers", () -> device.driver().functionAttribute(Driver.FUNCTION_REGISTERS, handle));
    }

    @Override
    public int localBytes() {
        return device.run("localBytes", () -> device.driver().functionAttribute(Driver.FUNCTION_LOCAL_BYTES, handle));
    }

    @Override
    public int blocksPerMultiprocessor(int threads, int sharedBytes) {
        return device.run("blocksPerMultiprocessor", () -> {
            allowShared(sharedBytes);
            return device.driver().blocksPerMultiprocessor(handle, threads, sharedBytes);
        });
    }
}
