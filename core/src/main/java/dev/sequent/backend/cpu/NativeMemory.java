package dev.sequent.backend.cpu;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * The C library's allocator, reached through {@link java.lang.foreign}. Unlike an {@link java.lang.foreign.Arena} it hands out
 * memory without zeroing it and returns large blocks to the operating system, one by one, and its segments carry no liveness
 * check. Thread-safe.
 */
final class NativeMemory {
    /** Every block starts at a multiple of this: a cache line, and the widest vector. */
    static final int ALIGNMENT = 64;
    private static final long HUGE_PAGE = 2L << 20;
    private static final int MADV_HUGEPAGE = 14;

    private static final MethodHandle MALLOC = find("malloc", FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
    private static final MethodHandle FREE = find("free", FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG));
    /** Null where the operating system has no such call. */
    private static final MethodHandle MADVISE = System.getProperty("os.name").startsWith("Linux")
            ? find("madvise", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_INT))
            : null;

    /**
     * One piece of memory.
     *
     * @param raw the address that {@code malloc} returned
     * @param segment the aligned part that callers use
     */
    record Piece(long raw, MemorySegment segment) {}

    private NativeMemory() {}

    /** Aligned, uninitialised memory of {@code bytes} bytes, or null when the operating system has none. */
    static Piece allocate(long bytes) {
        long alignment = bytes >= 2 * HUGE_PAGE && MADVISE != null ? HUGE_PAGE : ALIGNMENT;
        long raw = malloc(bytes + alignment);
        if (raw == 0) {
            return null;
        }
        long start = (raw + alignment - 1) / alignment * alignment;
        if (alignment == HUGE_PAGE) {
            adviseHugePages(start, bytes);
        }
        return new Piece(raw, segment(start, bytes));
    }

    /** Returns a piece; its segment must not be used again. */
    static void free(Piece piece) {
        try {
            FREE.invokeExact(piece.raw);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    private static long malloc(long bytes) {
        try {
            return (long) MALLOC.invokeExact(bytes);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    private static void adviseHugePages(long start, long bytes) {
        try {
            // Advice only: whatever it answers, the memory is usable.
            int ignored = (int) MADVISE.invokeExact(start, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    @SuppressWarnings("restricted")
    private static MemorySegment segment(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    @SuppressWarnings("restricted")
    private static MethodHandle find(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
    }
}
