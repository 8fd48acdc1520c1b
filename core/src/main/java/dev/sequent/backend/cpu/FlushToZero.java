package dev.sequent.backend.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * Switches the current thread's SSE unit to flush-to-zero and denormals-are-zero. Arithmetic on denormal numbers is about fifty
 * times slower on x86, and decaying recurrent states produce them. Works on Linux x86-64 with platform threads and is a no-op elsewhere.
 */
final class FlushToZero {
    private static final int FLUSH_AND_DENORMALS_ARE_ZERO = 0x8040;
    /** Position of MXCSR in the fenv_t of glibc and musl on x86-64, and that structure's size. */
    private static final long MXCSR = 28;
    private static final long FENV_BYTES = 32;
    private static final Functions FUNCTIONS = find().orElse(null);

    private record Functions(MethodHandle get, MethodHandle set) {}

    private final MemorySegment environment;

    private FlushToZero(MemorySegment environment) {
        this.environment = environment;
    }

    /** Whether this platform has the switch. */
    static boolean supported() {
        return FUNCTIONS != null;
    }

    /** A switch with memory of its own; it is used by one thread at a time. */
    static FlushToZero create() {
        return new FlushToZero(FUNCTIONS == null ? null : Arena.ofAuto().allocate(FENV_BYTES, 16));
    }

    /** Turns flushing on for the current thread and answers whether that changed anything, for {@link #restore}. */
    boolean enter() {
        // A virtual thread may continue on another carrier, whose mode we must not leave changed.
        if (FUNCTIONS == null || Thread.currentThread().isVirtual()) {
            return false;
        }
        call(FUNCTIONS.get);
        int mode = environment.get(ValueLayout.JAVA_INT, MXCSR);
        if ((mode & FLUSH_AND_DENORMALS_ARE_ZERO) == FLUSH_AND_DENORMALS_ARE_ZERO) {
            return false;
        }
        environment.set(ValueLayout.JAVA_INT, MXCSR, mode | FLUSH_AND_DENORMALS_ARE_ZERO);
        call(FUNCTIONS.set);
        return true;
    }

    /** Turns flushing off again when {@link #enter} had turned it on. */
    void restore(boolean changed) {
        if (!changed) {
            return;
        }
        int mode = environment.get(ValueLayout.JAVA_INT, MXCSR);
        environment.set(ValueLayout.JAVA_INT, MXCSR, mode & ~FLUSH_AND_DENORMALS_ARE_ZERO);
        call(FUNCTIONS.set);
    }

    private void call(MethodHandle function) {
        try {
            int ignored = (int) function.invokeExact(environment);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    @SuppressWarnings("restricted")
    private static Optional<Functions> find() {
        if (!System.getProperty("os.name").startsWith("Linux") || !System.getProperty("os.arch").equals("amd64")) {
            return Optional.empty();
        }
        Linker linker = Linker.nativeLinker();
        FunctionDescriptor type = FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS);
        try {
            SymbolLookup lookup = SymbolLookup.libraryLookup("libm.so.6", Arena.global()).or(linker.defaultLookup());
            return lookup.find("fegetenv").flatMap(get -> lookup.find("fesetenv")
                    .map(set -> new Functions(linker.downcallHandle(get, type), linker.downcallHandle(set, type))));
        } catch (IllegalArgumentException noSuchLibrary) {
            return Optional.empty();
        }
    }
}
