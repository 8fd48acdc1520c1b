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
 * Thread-safe: every thread has its own switch.
 */
final class FlushToZero {
    private static final int FLUSH_AND_DENORMALS_ARE_ZERO = 0x8040;
    /** Position of MXCSR in the fenv_t of glibc and musl on x86-64, and that structure's size. */
    private static final long MXCSR = 28;
    private static final long FENV_BYTES = 32;
    private static final Functions FUNCTIONS = find().orElse(null);

    private final ThreadLocal<State> states = ThreadLocal.withInitial(State::new);

    private record Functions(MethodHandle get, MethodHandle set) {}

    /** A thread's environment as it was first found, the same with flushing on, and how many times it was entered. */
    private static final class State {
        private final MemorySegment found = Arena.ofAuto().allocate(FENV_BYTES, 16);
        private final MemorySegment flushing = Arena.ofAuto().allocate(FENV_BYTES, 16);
        private int depth;

        private State() {
            call(FUNCTIONS.get, found);
            flushing.copyFrom(found);
            flushing.set(ValueLayout.JAVA_INT, MXCSR, found.get(ValueLayout.JAVA_INT, MXCSR) | FLUSH_AND_DENORMALS_ARE_ZERO);
        }
    }

    /** Whether this platform has the switch. */
    static boolean supported() {
        return FUNCTIONS != null;
    }

    /** Turns flushing on for the current thread until the matching {@link #exit}; may be nested. */
    void enter() {
        if (applies()) {
            State state = states.get();
            if (state.depth++ == 0) {
                call(FUNCTIONS.set, state.flushing);
            }
        }
    }

    /** Ends what {@link #enter} began. */
    void exit() {
        if (applies()) {
            State state = states.get();
            if (--state.depth == 0) {
                call(FUNCTIONS.set, state.found);
            }
        }
    }

    /** A virtual thread may continue on another carrier, whose mode we must not leave changed. */
    private static boolean applies() {
        return FUNCTIONS != null && !Thread.currentThread().isVirtual();
    }

    private static void call(MethodHandle function, MemorySegment environment) {
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
