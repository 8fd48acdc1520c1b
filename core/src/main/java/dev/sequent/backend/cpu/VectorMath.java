package dev.sequent.backend.cpu;

import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Elementary functions on vectors of F32. Small enough for C2 to inline them into loops that call one of them once; larger kernels
 * must write them out. Results that would be denormal are 0.
 */
final class VectorMath {
    static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    static final int LANES = S.length();
    static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

    private static final FloatVector ZERO = FloatVector.zero(S);
    private static final FloatVector ONE = FloatVector.broadcast(S, 1f);

    /** Adding and subtracting this rounds a number below 2^22 to an integer, which stands in the low bits of the sum. */
    private static final float ROUNDER = 0x1.8p23f;
    private static final float LOG2_E = 0x1.715476p0f;
    /** The natural logarithm of 2 in two parts, the first with few bits, so that its product with an exponent is exact. */
    private static final float LN_2_HIGH = 0x1.62e4p-1f;
    private static final float LN_2_LOW = (float) (Math.log(2) - 0x1.62e4p-1);
    /** Above it e^x overflows. */
    private static final float EXP_MAX = 88.72284f;
    /** Below it e^x is denormal. */
    private static final float EXP_MIN = -87.33654f;

    private static final float SQRT_HALF = 0x1.6a09e6p-1f;
    private static final float TWO_SQRT_2_OVER_PI = (float) (2 * Math.sqrt(2 / Math.PI));

    private VectorMath() {}

    /**
     * e^x with a relative error below 1.2e-7 (one unit in the last place): x = n ln 2 + r with |r| at most (ln 2)/2, and
     * e^r = 1 + r + r^2 q(r) with q of degree 4, a minimax fit with an error of 3e-9.
     */
    static FloatVector exp(FloatVector x) {
        FloatVector z = x.fma(FloatVector.broadcast(S, LOG2_E), FloatVector.broadcast(S, ROUNDER));
        FloatVector n = z.sub(ROUNDER);
        FloatVector r = n.fma(FloatVector.broadcast(S, -LN_2_HIGH), x);
        r = n.fma(FloatVector.broadcast(S, -LN_2_LOW), r);
        FloatVector q = r.fma(FloatVector.broadcast(S, 0x1.6a234ap-10f), FloatVector.broadcast(S, 0x1.123a6cp-7f));
        q = q.fma(r, FloatVector.broadcast(S, 0x1.5558f4p-5f));
        q = q.fma(r, FloatVector.broadcast(S, 0x1.555490p-3f));
        q = q.fma(r, FloatVector.broadcast(S, 0x1.fffffcp-2f));
        FloatVector e = q.fma(r.mul(r), r).add(ONE);
        FloatVector y = e.reinterpretAsInts().add(z.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
        y = y.blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, EXP_MAX));
        y = y.blend(ZERO, x.compare(VectorOperators.LT, EXP_MIN));
        return y.blend(x, x.compare(VectorOperators.NE, x));
    }

    static FloatVector sigmoid(FloatVector x) {
        return ONE.div(exp(x.neg()).add(1f));
    }

    static FloatVector silu(FloatVector x) {
        return x.div(exp(x.neg()).add(1f));
    }

    static FloatVector relu(FloatVector x) {
        return x.blend(ZERO, x.compare(VectorOperators.LE, 0f));
    }

    static FloatVector sign(FloatVector x) {
        return x.blend(1f, x.compare(VectorOperators.GT, 0f)).blend(-1f, x.compare(VectorOperators.LT, 0f));
    }

    /** Numbers from 2^23 on are integers already. */
    static FloatVector floor(FloatVector x) {
        FloatVector t = (FloatVector) x.convert(VectorOperators.F2I, 0).convert(VectorOperators.I2F, 0);
        t = t.blend(t.sub(1f), t.compare(VectorOperators.GT, x));
        return x.blend(t, x.abs().compare(VectorOperators.LT, 0x1p23f));
    }

    /** 0.5 (1 + tanh(u)) = 1 / (1 + e^-2u). */
    static FloatVector geluTanh(FloatVector x) {
        FloatVector cubic = x.mul(x).fma(FloatVector.broadcast(S, 0.044715f), ONE);
        FloatVector minus2u = x.mul(cubic).mul(-TWO_SQRT_2_OVER_PI);
        return x.div(exp(minus2u).add(1f));
    }

    /** The error function, with an error below 1e-7. */
    static FloatVector erf(FloatVector x) {
        FloatVector a = x.abs();
        FloatVector large = ONE.sub(erfcLarge(a));
        large = large.blend(large.neg(), x.compare(VectorOperators.LT, 0f));
        return large.blend(erfSmall(x), a.compare(VectorOperators.LT, 1f));
    }

    /** x Phi(x) with Phi(x) = erfc(-x / sqrt 2) / 2: the upper tail is not computed as a difference from 1. */
    static FloatVector gelu(FloatVector x) {
        FloatVector t = x.mul(SQRT_HALF);
        FloatVector a = t.abs();
        FloatVector tail = erfcLarge(a).mul(0.5f);
        FloatVector phi = tail.blend(ONE.sub(tail), x.compare(VectorOperators.GT, 0f));
        phi = phi.blend(erfSmall(t).fma(FloatVector.broadcast(S, 0.5f), FloatVector.broadcast(S, 0.5f)), a.compare(VectorOperators.LT, 1f));
        return x.mul(phi);
    }

    /** erf for |x| up to 1: x p(x^2), p of degree 6, a minimax fit with a relative error of 1.2e-9. */
    private static FloatVector erfSmall(FloatVector x) {
        FloatVector s = x.mul(x);
        FloatVector p = s.fma(FloatVector.broadcast(S, 7.853854e-05f), FloatVector.broadcast(S, -0.00080101914f));
        p = p.fma(s, FloatVector.broadcast(S, 0.0051883273f));
        p = p.fma(s, FloatVector.broadcast(S, -0.026853811f));
        p = p.fma(s, FloatVector.broadcast(S, 0.112835854f));
        p = p.fma(s, FloatVector.broadcast(S, -0.37612626f));
        p = p.fma(s, FloatVector.broadcast(S, 1.1283791f));
        return p.mul(x);
    }

    /** erfc for x from 1 on: e^-q(x), q of degree 7 fitted to -log erfc on [1, 4] with a relative error of 3.3e-7 in erfc; beyond 4, below 2e-8. */
    private static FloatVector erfcLarge(FloatVector x) {
        FloatVector a = x.blend(4f, x.compare(VectorOperators.GT, 4f));
        FloatVector q = a.fma(FloatVector.broadcast(S, 1.3345455e-05f), FloatVector.broadcast(S, -0.00031818918f));
        q = q.fma(a, FloatVector.broadcast(S, 0.0034412465f));
        q = q.fma(a, FloatVector.broadcast(S, -0.022638636f));
        q = q.fma(a, FloatVector.broadcast(S, 0.10335551f));
        q = q.fma(a, FloatVector.broadcast(S, 0.6390472f));
        q = q.fma(a, FloatVector.broadcast(S, 1.1259569f));
        q = q.fma(a, FloatVector.broadcast(S, 0.0007484193f));
        return exp(q.neg()).blend(ZERO, x.compare(VectorOperators.GT, 5.5f));
    }
}
