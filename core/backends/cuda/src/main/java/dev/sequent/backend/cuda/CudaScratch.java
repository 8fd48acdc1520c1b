package dev.sequent.backend.cuda;

import dev.sequent.spi.DeviceCode;
import dev.sequent.type.ReleasedTensorException;

/** Memory for intermediate results. Guarded by the device's lock. */
final class CudaScratch implements DeviceCode.Scratch {
    private final Storage storage;
    private final long bytes;
    private boolean closed;

    /** Takes over the only reference to {@code storage}. */
    CudaScratch(Storage storage, long bytes) {
        this.storage = storage;
        this.bytes = bytes;
    }

    @Override
    public long bytes() {
        return bytes;
    }

    long address(String op) {
        if (closed) {
            throw new ReleasedTensorException(op, "open scratch memory", bytes + " closed bytes");
        }
        return storage.address();
    }

    @Override
    public void close() {
        storage.device().locked(() -> {
            if (!closed) {
                closed = true;
                storage.release();
            }
        });
    }
}
