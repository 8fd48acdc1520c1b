package dev.sequent.backend.cpu;

import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Elementary functions on vectors of F32, from additions, multiplications and divisions only: the Vector API's own functions differ
 * between interpreted and compiled code, so that the same seed would not give the same numbers. Small enough for C2 to inline them
 * into loops that call one of them once; larger kernels must write them out. Results that would be denormal are 0. Polynomials are
 * minimax fits made for this class. Errors in units in the last place, measured over every 17th bit pattern: exp 1, expm1 1.5, log 3,
 * log1p 3.5, sigmoid 2.5, silu 2.5, softplus 3.5, tanh 3.
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

    private static final int SQRT_HALF_BITS = Float.floatToRawIntBits((float) Math.sqrt(0.5));
    private static final int MANTISSA = 0x007FFFFF;

    /** Half of pi in three parts that make 72 bits, so that the reduced argument is exact for multiples up to 2^22. */
    private static final float HALF_PI_1 = 0x1.921fb6p0f;
    private static final float HALF_PI_2 = -0x1.777a5cp-25f;
    private static final float HALF_PI_3 = -0x1.ee59dap-50f;
    private static final float TWO_OVER_PI = 0x1.45f306p-1f;
    /** Greatest argument of {@link #sin} and {@link #cos}. */
    static final float MAX_ANGLE = 0x1p22f;

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

    /** e^x - 1 = 2^n (e^r - 1) + (2^n - 1), computed at half its size so that the largest results do not overflow on the way. */
    static FloatVector expm1(FloatVector x) {
        FloatVector c = x.blend(-20f, x.compare(VectorOperators.LT, -20f));
        FloatVector z = c.fma(FloatVector.broadcast(S, LOG2_E), FloatVector.broadcast(S, ROUNDER));
        FloatVector n = z.sub(ROUNDER);
        FloatVector r = n.fma(FloatVector.broadcast(S, -LN_2_HIGH), c);
        r = n.fma(FloatVector.broadcast(S, -LN_2_LOW), r);
        FloatVector q = r.fma(FloatVector.broadcast(S, 0x1.6a234ap-10f), FloatVector.broadcast(S, 0x1.123a6cp-7f));
        q = q.fma(r, FloatVector.broadcast(S, 0x1.5558f4p-5f));
        q = q.fma(r, FloatVector.broadcast(S, 0x1.555490p-3f));
        q = q.fma(r, FloatVector.broadcast(S, 0x1.fffffcp-2f));
        FloatVector p = q.fma(r.mul(r), r);
        FloatVector half = FloatVector.broadcast(S, 0.5f);
        FloatVector scale = half.reinterpretAsInts().add(z.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
        FloatVector y = p.fma(scale, scale.sub(0.5f));
        y = y.add(y).blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, EXP_MAX));
        return y.blend(x, x.compare(VectorOperators.NE, x));
    }

    /** The natural logarithm: x = 2^e (1 + f) with 1 + f between sqrt(1/2) and sqrt 2. */
    static FloatVector log(FloatVector x) {
        IntVector bits = x.reinterpretAsInts().sub(SQRT_HALF_BITS);
        FloatVector f = bits.and(MANTISSA).add(SQRT_HALF_BITS).reinterpretAsFloats().sub(1f);
        FloatVector e = (FloatVector) bits.lanewise(VectorOperators.ASHR, 23).convert(VectorOperators.I2F, 0);
        return logLimits(x, log(e, f));
    }

    /** log(1 + x): 1 + x is rounded, so where it needs no scaling f is x itself. */
    static FloatVector log1p(FloatVector x) {
        FloatVector u = x.add(1f);
        IntVector bits = u.reinterpretAsInts().sub(SQRT_HALF_BITS);
        FloatVector f = bits.and(MANTISSA).add(SQRT_HALF_BITS).reinterpretAsFloats().sub(1f);
        FloatVector e = (FloatVector) bits.lanewise(VectorOperators.ASHR, 23).convert(VectorOperators.I2F, 0);
        return logLimits(u, log(e, f.blend(x, e.compare(VectorOperators.EQ, 0f))));
    }

    /** e ln 2 + log(1 + f); log(1 + f) = 2 atanh s = 2 s p(s^2) with s = f / (2 + f), p of degree 3 with a relative error of 7e-10. */
    private static FloatVector log(FloatVector e, FloatVector f) {
        FloatVector s = f.div(f.add(2f));
        FloatVector t = s.mul(s);
        FloatVector p = t.fma(FloatVector.broadcast(S, 0.14969835f), FloatVector.broadcast(S, 0.19987138f));
        p = p.fma(t, FloatVector.broadcast(S, 0.3333341f));
        p = p.fma(t, ONE);
        FloatVector low = s.add(s).fma(p, e.mul(LN_2_LOW));
        return e.fma(FloatVector.broadcast(S, LN_2_HIGH), low);
    }

    /** The values of a logarithm at 0, below 0, at infinity and at NaN. */
    private static FloatVector logLimits(FloatVector x, FloatVector y) {
        FloatVector z = y.blend(Float.NEGATIVE_INFINITY, x.compare(VectorOperators.LT, Float.MIN_NORMAL));
        z = z.blend(Float.NaN, x.compare(VectorOperators.LT, 0f));
        return z.blend(x, x.compare(VectorOperators.LT, Float.POSITIVE_INFINITY).not().andNot(x.compare(VectorOperators.LT, 0f)));
    }

    /** (e^2a - 1) / (e^2a + 1) with the sign of x; 1 from 10 on. */
    static FloatVector tanh(FloatVector x) {
        FloatVector a = x.abs();
        FloatVector t = expm1(a.add(a).blend(20f, a.compare(VectorOperators.GT, 10f)));
        FloatVector y = t.div(t.add(2f));
        return y.blend(y.neg(), x.compare(VectorOperators.LT, 0f));
    }

    /** The sine of |x| up to {@link #MAX_ANGLE}, with an absolute error of 1e-7. */
    static FloatVector sin(FloatVector x) {
        return sinOfQuadrant(x, 0);
    }

    /** The cosine of |x| up to {@link #MAX_ANGLE}, with an absolute error of 1e-7: the sine a quadrant further. */
    static FloatVector cos(FloatVector x) {
        return sinOfQuadrant(x, 1);
    }

    private static FloatVector sinOfQuadrant(FloatVector x, int ahead) {
        FloatVector z = x.fma(FloatVector.broadcast(S, TWO_OVER_PI), FloatVector.broadcast(S, ROUNDER));
        FloatVector n = z.sub(ROUNDER);
        FloatVector r = n.fma(FloatVector.broadcast(S, -HALF_PI_1), x);
        r = n.fma(FloatVector.broadcast(S, -HALF_PI_2), r);
        r = n.fma(FloatVector.broadcast(S, -HALF_PI_3), r);
        IntVector quadrant = z.reinterpretAsInts().add(ahead);
        FloatVector t = r.mul(r);
        FloatVector sine = t.fma(FloatVector.broadcast(S, -0.0001951601f), FloatVector.broadcast(S, 0.008332169f));
        sine = sine.fma(t, FloatVector.broadcast(S, -0.16666655f)).mul(t).fma(r, r);
        FloatVector cosine = t.fma(FloatVector.broadcast(S, 2.4437004e-05f), FloatVector.broadcast(S, -0.0013887355f));
        cosine = cosine.fma(t, FloatVector.broadcast(S, 0.041666646f)).fma(t, FloatVector.broadcast(S, -0.5f)).fma(t, ONE);
        FloatVector y = sine.blend(cosine, quadrant.and(1).compare(VectorOperators.NE, 0).cast(S));
        return y.blend(y.neg(), quadrant.and(2).compare(VectorOperators.NE, 0).cast(S));
    }

    static FloatVector sigmoid(FloatVector x) {
        return ONE.div(exp(x.neg()).add(1f));
    }

    static FloatVector silu(FloatVector x) {
        return x.div(exp(x.neg()).add(1f));
    }

    /**
     * max(x, 0) + log(1 + e), e = e^-|x|: with s = e / (2 + e), log(1 + e) = 2 atanh s = 2 s p(s^2), p of degree 4, a minimax fit on
     * [0, 1/9] with a relative error of 4e-9.
     */
    static FloatVector softplus(FloatVector x) {
        FloatVector e = exp(x.abs().neg());
        FloatVector s = e.div(e.add(2f));
        FloatVector t = s.mul(s);
        FloatVector p = t.fma(FloatVector.broadcast(S, 0.14089158f), FloatVector.broadcast(S, 0.13980304f));
        p = p.fma(t, FloatVector.broadcast(S, 0.20012455f));
        p = p.fma(t, FloatVector.broadcast(S, 0.33333158f));
        p = p.fma(t, ONE);
        return s.add(s).fma(p, relu(x));
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

    /**
     * x Phi(x) with Phi(x) = erfc(-x / sqrt 2) / 2, and erfc(t) = e^-q(t) for t in [0, 5], q of degree 9, which makes an error below
     * 1.3e-7 in Phi; beyond, it is taken for 0. Simpler than {@link #erf}, whose relative error near 0 does not matter here.
     */
    static FloatVector gelu(FloatVector x) {
        FloatVector t = x.abs().mul(SQRT_HALF);
        FloatVector q = t.fma(FloatVector.broadcast(S, -1.0198646e-06f), FloatVector.broadcast(S, 2.0782514e-05f));
        q = q.fma(t, FloatVector.broadcast(S, -0.0001599713f));
        q = q.fma(t, FloatVector.broadcast(S, 0.00043504324f));
        q = q.fma(t, FloatVector.broadcast(S, 0.0016721505f));
        q = q.fma(t, FloatVector.broadcast(S, -0.020703707f));
        q = q.fma(t, FloatVector.broadcast(S, 0.10348453f));
        q = q.fma(t, FloatVector.broadcast(S, 0.6364658f));
        q = q.fma(t, FloatVector.broadcast(S, 1.1283914f));
        q = q.fma(t, FloatVector.broadcast(S, -1.501631e-07f));
        FloatVector tail = exp(q.neg()).mul(0.5f).blend(ZERO, t.compare(VectorOperators.GT, 5f));
        return x.mul(tail.blend(ONE.sub(tail), x.compare(VectorOperators.GT, 0f)));
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

    /**
     * erfc for x from 1 on: e^-q(x), q of degree 7 fitted to -log erfc on [1, 4] with a relative error of 3.3e-7 in erfc; beyond 4,
     * below 2e-8.
     */
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
