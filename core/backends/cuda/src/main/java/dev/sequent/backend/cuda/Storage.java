package dev.sequent.backend.cuda;

/** A block of memory that several handles (views of one another) share; it is freed with the last of them. Guarded by the device's lock. */
final class Storage {
    private final CudaDevice device;
    private final DeviceMemory.Block block;
    private int references = 1;

    /** A storage with one reference. */
    Storage(CudaDevice device, DeviceMemory.Block block) {
        this.device = device;
        this.block = block;
    }

    CudaDevice device() {
        return device;
    }

    long address() {
        return block.address();
    }

    /** Whether the memory belongs to the graph that is being recorded. */
    boolean isGraphs() {
        return device.memory().isGraphs(block);
    }

    Storage retain() {
        references++;
        return this;
    }

    void release() {
        if (--references == 0) {
            device.memory().free(block);
        }
    }
}
