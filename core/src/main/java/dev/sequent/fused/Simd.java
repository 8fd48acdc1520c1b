package dev.sequent.fused;

import java.util.function.Supplier;

/** Chooses between a kernel in vector instructions and its scalar twin. */
public final class Simd {
    private static final String MODULE = "jdk.incubator.vector";

    private Simd() {}

    /** Whether the JVM was started with the vector module ({@code --add-modules jdk.incubator.vector}). */
    public static boolean available() {
        return ModuleLayer.boot().findModule(MODULE).isPresent();
    }

    /**
     * The vector kernel if it is wanted and the vector module is there, else the scalar one. The classes that the suppliers name are
     * loaded only when the supplier runs, so that code without the module never touches a class that needs it. The suppliers must be
     * lambdas, {@code () -> new RowMathVector()}: a constructor reference loads its class when it is evaluated, before this call.
     */
    public static <T> T choose(boolean wanted, Supplier<T> vector, Supplier<T> scalar) {
        return wanted && available() ? vector.get() : scalar.get();
    }
}
