package dev.sequent.fused;

import java.lang.foreign.MemorySegment;

/**
 * All of a process's memory as one constant segment, for the innermost loops of kernels.
 *
 * <p>An access to a segment asks which kind of segment it is, whether it is alive and how long it is. The compiler answers from what it has
 * seen of all segments of the process, in the library and elsewhere, so that one loop is fast in one program and slower in another. Of a
 * constant it knows everything: an access to {@link #ALL} asks nothing. What checks the bounds is {@link #at}, once for all accesses
 * of a loop.
 *
 * <p>Whoever uses an address keeps the memory behind it alive meanwhile. Thread-safe.
 */
public final class AddressSpace {
    /** Memory by address. */
    public static final MemorySegment ALL = all();

    /** Bits of an address. Tells the compiler that it is not negative, and that adding offsets to it does not overflow. */
    private static final long ADDRESSES = (1L << 56) - 1;

    private AddressSpace() {}

    @SuppressWarnings("restricted")
    private static MemorySegment all() {
        return MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
    }

    /**
     * Where a part of native memory lies within {@link #ALL}.
     *
     * @param memory a segment outside the heap
     * @param offset in bytes
     * @param bytes that will be accessed from there on
     * @throws IndexOutOfBoundsException for a part that is not within {@code memory}
     * @throws IllegalArgumentException for memory of an array
     */
    public static long at(MemorySegment memory, long offset, long bytes) {
        if (!memory.isNative()) {
            throw new IllegalArgumentException("[address] expected native memory, given " + memory);
        }
        return memory.asSlice(offset, bytes).address() & ADDRESSES;
    }
}
