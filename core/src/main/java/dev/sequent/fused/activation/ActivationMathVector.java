package dev.sequent.fused.activation;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.sequent.fused.VectorExp;
import dev.sequent.op.ScalarMath;
import dev.sequent.op.UnaryOp;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** {@link ActivationMath} in vector instructions; what does not fill a vector is left to the scalar twin. */
final class ActivationMathVector implements ActivationMath {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = S.length();
    private static final float INV_SQRT_2PI = (float) (1 / Math.sqrt(2 * Math.PI));
    /** 2 u of GELU_TANH is x (SLOPE + CUBE x^2). */
    private static final float SLOPE = (float) (2 * ScalarMath.SQRT_2_OVER_PI);
    private static final float CUBE = (float) (2 * ScalarMath.SQRT_2_OVER_PI * 0.044715);
    /** Beyond it all derivatives are 0 or 1 in F32; squares of larger numbers would overflow. */
    private static final float FAR = 1e4f;

    private final ActivationMathScalar scalar = new ActivationMathScalar();

    @Override
    public void derivative(UnaryOp f, MemorySegment dy, MemorySegment value, MemorySegment dx, long at, int n) {
        int whole = S.loopBound(n);
        MemorySegment d = dy.asSlice(at << 2, (long) n << 2);
        MemorySegment v = value.asSlice(at << 2, (long) n << 2);
        MemorySegment r = dx.asSlice(at << 2, (long) n << 2);
        switch (f) {
            case TANH -> tanh(d, v, r, whole);
            case SIGMOID -> sigmoid(d, v, r, whole);
            case RELU -> relu(d, v, r, whole);
            case SOFTPLUS -> softplus(d, v, r, whole);
            case SILU -> silu(d, v, r, whole);
            case GELU -> gelu(d, v, r, whole);
            case GELU_TANH -> geluTanh(d, v, r, whole);
            default -> throw new AssertionError(f);
        }
        scalar.derivative(f, dy, value, dx, at + whole, n - whole);
    }

    private static void tanh(MemorySegment dy, MemorySegment y, MemorySegment dx, int n) {
        for (int i = 0; i < n; i += LANES) {
            long o = (long) i << 2;
            FloatVector v = FloatVector.fromMemorySegment(S, y, o, LITTLE_ENDIAN);
            FloatVector d = FloatVector.fromMemorySegment(S, dy, o, LITTLE_ENDIAN);
            v.mul(v).neg().add(1f).mul(d).intoMemorySegment(dx, o, LITTLE_ENDIAN);
        }
    }

    private static void sigmoid(MemorySegment dy, MemorySegment y, MemorySegment dx, int n) {
        for (int i = 0; i < n; i += LANES) {
            long o = (long) i << 2;
            FloatVector v = FloatVector.fromMemorySegment(S, y, o, LITTLE_ENDIAN);
            FloatVector d = FloatVector.fromMemorySegment(S, dy, o, LITTLE_ENDIAN);
            v.neg().add(1f).mul(v).mul(d).intoMemorySegment(dx, o, LITTLE_ENDIAN);
        }
    }

    private static void relu(MemorySegment dy, MemorySegment y, MemorySegment dx, int n) {
        for (int i = 0; i < n; i += LANES) {
            long o = (long) i << 2;
            FloatVector v = FloatVector.fromMemorySegment(S, y, o, LITTLE_ENDIAN);
            FloatVector d = FloatVector.fromMemorySegment(S, dy, o, LITTLE_ENDIAN);
            FloatVector.zero(S).blend(d, v.compare(VectorOperators.GT, 0f)).intoMemorySegment(dx, o, LITTLE_ENDIAN);
        }
    }

    private static void softplus(MemorySegment dy, MemorySegment x, MemorySegment dx, int n) {
        for (int i = 0; i < n; i += LANES) {
            long o = (long) i << 2;
            FloatVector v = FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN);
            FloatVector d = FloatVector.fromMemorySegment(S, dy, o, LITTLE_ENDIAN);
            logistic(v).mul(d).intoMemorySegment(dx, o, LITTLE_ENDIAN);
        }
    }

    private static void silu(MemorySegment dy, MemorySegment x, MemorySegment dx, int n) {
        for (int i = 0; i < n; i += LANES) {
            long o = (long) i << 2;
            FloatVector v = FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN);
            FloatVector d = FloatVector.fromMemorySegment(S, dy, o, LITTLE_ENDIAN);
            selfGated(v, v).mul(d).intoMemorySegment(dx, o, LITTLE_ENDIAN);
        }
    }

    private static void gelu(MemorySegment dy, MemorySegment x, MemorySegment dx, int n) {
        for (int i = 0; i < n; i += LANES) {
            long o = (long) i << 2;
            FloatVector v = FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN);
            FloatVector d = FloatVector.fromMemorySegment(S, dy, o, LITTLE_ENDIAN);
            FloatVector cdf = FloatVector.fromMemorySegment(S, dx, o, LITTLE_ENDIAN).add(1f).mul(0.5f);
            FloatVector near = within(v);
            FloatVector pdf = VectorExp.exp(near.mul(near).mul(-0.5f)).mul(INV_SQRT_2PI);
            near.fma(pdf, cdf).mul(d).intoMemorySegment(dx, o, LITTLE_ENDIAN);
        }
    }

    private static void geluTanh(MemorySegment dy, MemorySegment x, MemorySegment dx, int n) {
        for (int i = 0; i < n; i += LANES) {
            long o = (long) i << 2;
            FloatVector d = FloatVector.fromMemorySegment(S, dy, o, LITTLE_ENDIAN);
            FloatVector v = within(FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN));
            FloatVector square = v.mul(v);
            FloatVector inner = square.mul(3 * CUBE).add(SLOPE).mul(v);
            selfGated(square.mul(CUBE).add(SLOPE).mul(v), inner).mul(d).intoMemorySegment(dx, o, LITTLE_ENDIAN);
        }
    }

    /** x, or {@link #FAR} with its sign where it lies beyond; NaN stays. */
    private static FloatVector within(FloatVector x) {
        FloatVector below = x.blend(FAR, x.compare(VectorOperators.GT, FAR));
        return below.blend(-FAR, below.compare(VectorOperators.LT, -FAR));
    }

    /** s = 1 / (1 + e^-x) by t = e^-|x|, which cannot overflow: 1 / (1 + t) for x >= 0, t / (1 + t) below. */
    private static FloatVector logistic(FloatVector x) {
        FloatVector t = VectorExp.exp(x.abs().neg());
        FloatVector numerator = t.blend(1f, x.compare(VectorOperators.GE, 0f));
        return numerator.div(t.add(1f));
    }

    /** s + inner s (1 - s) for s as in {@link #logistic}; s (1 - s) is t / (1 + t)^2, where 1 - s would lose digits. */
    private static FloatVector selfGated(FloatVector x, FloatVector inner) {
        FloatVector t = VectorExp.exp(x.abs().neg());
        FloatVector r = FloatVector.broadcast(S, 1f).div(t.add(1f));
        FloatVector tr = t.mul(r);
        return inner.fma(tr.mul(r), tr.blend(r, x.compare(VectorOperators.GE, 0f)));
    }
}
