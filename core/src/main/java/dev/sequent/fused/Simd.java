package dev.sequent.fused;

import java.util.function.Supplier;

/** Chooses between a kernel in vector instructions and its scalar twin. */
public final class Simd {
    private static final String MODULE = "jdk.incubator.vector";

    private Simd() {}

    /** How a kernel that {@link #choose} has chosen computes, for its name: {@code vector} or {@code scalar}. */
    public static String flavour() {
        return available() ? "vector" : "scalar";
    }

    /** Whether the JVM was started with the vector module ({@code --add-modules jdk.incubator.vector}). */
    public static boolean available() {
        return ModuleLayer.boot().findModule(MODULE).isPresent();
    }

    /**
     * The vector kernel where the module is there, else the scalar one. The classes that the suppliers name are loaded only when
     * the supplier runs, so that code without the module never touches a class that needs it.
     */
    public static <T> T choose(Supplier<T> vector, Supplier<T> scalar) {
        return available() ? vector.get() : scalar.get();
    }
}
