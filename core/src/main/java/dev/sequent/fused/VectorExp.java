package dev.sequent.fused;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Exponential function on vectors of floats. Needs {@code jdk.incubator.vector}; see {@link Simd}.
 *
 * <p>Small enough for the compiler to inline into kernels with one or two calls; a kernel with many calls must write the
 * formula out, because vectors that cross a real call are allocated on the heap.
 */
public final class VectorExp {
    /** Below this value e^x is flushed to zero: the results stay above the smallest normal float, 2^-126. */
    public static final float MIN = -87.3f;

    /** 1.5 * 2^23 + 127: adding it rounds a float to an integer n, and n + 127, the exponent of 2^n, stands in the low bits of the sum. */
    private static final float ROUND = 12583039f;

    private static final float LOG2E = 1.44269504f;
    // ln 2 = HIGH + LOW, where products of HIGH with integers below 2^15 are exact (Cody and Waite's reduction)
    private static final float LN2_HIGH = 0.69140625f;
    private static final float LN2_LOW = 0.0017409306f;
    // minimax polynomial of e^f on |f| <= ln(2)/2, relative error 1.9e-9
    private static final float C1 = 1.0000000363447201f;
    private static final float C2 = 0.4999999207508964f;
    private static final float C3 = 0.1666642007212615f;
    private static final float C4 = 0.041668226189109016f;
    private static final float C5 = 0.008374824050592818f;
    private static final float C6 = 0.0013836835752956823f;

    private VectorExp() {}

    /**
     * e^x for x not above 0, with a relative error below 9.4e-8 (1.2 ulp; measured over all floats); exactly 1 at 0 and exactly 0 below
     * {@link #MIN}, for negative infinity too. NaN gives NaN. Not defined for x above 0.5.
     */
    public static FloatVector exp(FloatVector x) {
        FloatVector shifted = x.fma(LOG2E, ROUND);
        FloatVector n = shifted.sub(ROUND);
        FloatVector f = n.fma(n.broadcast(-LN2_LOW), n.fma(n.broadcast(-LN2_HIGH), x));
        FloatVector p = f.fma(C6, C5).fma(f, n.broadcast(C4)).fma(f, n.broadcast(C3)).fma(f, n.broadcast(C2))
            .fma(f, n.broadcast(C1)).fma(f, n.broadcast(1f));
        // times 2^n; adding n to p's exponent instead would make a number of a NaN with a payload
        FloatVector e = p.mul(shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
        return e.blend(0f, x.compare(VectorOperators.LT, MIN));
    }
}
