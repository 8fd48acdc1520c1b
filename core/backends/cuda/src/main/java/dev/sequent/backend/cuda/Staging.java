package dev.sequent.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * The way of elements between Java and a device: through slots of page-locked memory, from which the device copies while the program goes
 * on. A slot is used again when the copy that read it has ended. Guarded by the device's lock.
 */
final class Staging {
    private static final int SLOTS = 4;
    private static final int SLOT_BYTES = 1 << 20;

    private final Driver driver;
    private final long stream;
    private final MemorySegment[] slots = new MemorySegment[SLOTS];
    private final long[] events = new long[SLOTS];
    private int next;
    private List<MemorySegment> captured;

    Staging(Driver driver, long stream) {
        this.driver = driver;
        this.stream = stream;
    }

    /** Copies the buffer's remaining bytes to a device address; the buffer may be changed as soon as this returns. */
    void upload(ByteBuffer source, long to) {
        MemorySegment from = MemorySegment.ofBuffer(source);
        long size = from.byteSize();
        if (captured != null && size > 0) {
            // a replay reads this memory again
            MemorySegment own = driver.allocateHost(size);
            captured.add(own);
            MemorySegment.copy(from, 0, own, 0, size);
            driver.copyToDevice(to, own, size, stream);
            return;
        }
        for (long at = 0; at < size; at += SLOT_BYTES) {
            long bytes = Math.min(SLOT_BYTES, size - at);
            int slot = free();
            MemorySegment.copy(from, at, slots[slot], 0, bytes);
            driver.copyToDevice(to + at, slots[slot], bytes, stream);
            driver.recordEvent(events[slot], stream);
        }
    }

    /** Copies from a device address into the buffer's remaining bytes, and waits for it. */
    void download(long from, ByteBuffer target) {
        MemorySegment to = MemorySegment.ofBuffer(target);
        long size = to.byteSize();
        for (long at = 0; at < size; at += SLOT_BYTES) {
            long bytes = Math.min(SLOT_BYTES, size - at);
            int slot = free();
            driver.copyToHost(slots[slot], from + at, bytes, stream);
            driver.synchronize(stream);
            MemorySegment.copy(slots[slot], 0, to, at, bytes);
        }
    }

    private int free() {
        int slot = next;
        next = (next + 1) % SLOTS;
        if (slots[slot] == null) {
            events[slot] = driver.createEvent();
            slots[slot] = driver.allocateHost(SLOT_BYTES);
        } else {
            driver.waitForEvent(events[slot]);
        }
        return slot;
    }

    /** From now on uploads keep their bytes, in the list returned, until {@link #endCapture}. */
    List<MemorySegment> beginCapture() {
        captured = new ArrayList<>();
        return captured;
    }

    void endCapture() {
        captured = null;
    }

    void close() {
        for (int slot = 0; slot < SLOTS; slot++) {
            if (slots[slot] != null) {
                driver.destroyEvent(events[slot]);
                driver.freeHost(slots[slot]);
            }
        }
    }
}
