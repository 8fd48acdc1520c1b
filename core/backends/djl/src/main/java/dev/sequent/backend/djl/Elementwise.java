package dev.sequent.backend.djl;

import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;

/**
 * Elementwise functions as DJL has them, and compositions of those for the ones that it lacks or means differently. Every method returns a
 * new array; intermediate ones belong to the call.
 */
final class Elementwise {
    private static final double SQRT_HALF = Math.sqrt(0.5);
    private static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
    private static final double GELU_CUBIC = 0.044715;

    private Elementwise() {}

    /** The dtype in which floats are computed: 16 bits are widened, so that an operation rounds once. */
    static DType compute(DType dtype) {
        return dtype == DType.F16 ? DType.F32 : dtype;
    }

    /**
     * Whether DJL's function is less accurate than the contract wants and nothing that it has would repair it: MKL's root and erf in F64.
     */
    static boolean isInaccurate(UnaryOp op, DType dtype) {
        return dtype == DType.F64 && (op == UnaryOp.SQRT || op == UnaryOp.ERF);
    }

    /** {@code op(x)}; {@code dtype} is that of x and not F16, and the pair is not {@link #isInaccurate inaccurate}. */
    static PtNDArray unary(Call c, UnaryOp op, PtNDArray x, DType dtype) {
        return switch (op) {
            case NEG -> JniUtils.neg(x);
            case ABS -> JniUtils.abs(x);
            case SIGN -> dtype.isFloat() ? sign(c, x) : JniUtils.sign(x);
            case SQUARE -> JniUtils.mul(x, x);
            // MKL's F32 root is off by a unit here and there; that of F64, rounded, is not
            case SQRT -> c.to(c.keep(JniUtils.sqrt(c.keep(c.to(x, DType.F64)))), dtype);
            case RSQRT -> JniUtils.div(c.scalar(1, dtype), c.keep(JniUtils.sqrt(x)));
            case RECIPROCAL -> JniUtils.div(c.scalar(1, dtype), x);
            case EXP -> JniUtils.exp(x);
            case EXPM1 -> expm1(c, x, dtype);
            case LOG -> JniUtils.log(x);
            case LOG1P -> log1p(c, x, dtype);
            case SIN -> JniUtils.sin(x);
            case COS -> JniUtils.cos(x);
            case TANH -> JniUtils.tanh(x);
            case ERF -> JniUtils.erf(x);
            case SIGMOID -> JniUtils.sigmoid(x);
            case SOFTPLUS -> softplus(c, x, dtype);
            case RELU -> JniUtils.relu(x);
            case SILU -> JniUtils.mul(x, c.keep(JniUtils.sigmoid(x)));
            case GELU -> gelu(c, x, dtype);
            case GELU_TANH -> geluTanh(c, x, dtype);
            case FLOOR -> JniUtils.floor(x);
            case NOT -> JniUtils.logicalNot(x);
        };
    }

    /** PyTorch's sign of NaN is 0. */
    private static PtNDArray sign(Call c, PtNDArray x) {
        return JniUtils.where(c.keep(JniUtils.eq(x, x)), c.keep(JniUtils.sign(x)), x);
    }

    /** e^x - 1 = tanh(x / 2) (e^x + 1), which cancels nothing. */
    private static PtNDArray expm1(Call c, PtNDArray x, DType dtype) {
        PtNDArray tanh = c.keep(JniUtils.tanh(c.keep(JniUtils.mul(x, c.scalar(0.5, dtype)))));
        return JniUtils.mul(tanh, c.keep(JniUtils.add(c.keep(JniUtils.exp(x)), c.scalar(1, dtype))));
    }

    /**
     * log(1 + x) = log(u) x / (u - 1) with u = 1 + x as rounded: the factor repairs what rounding u has lost. Source: W. Kahan, quoted as
     * theorem 4 of Goldberg: What every computer scientist should know about floating-point arithmetic (1991).
     */
    private static PtNDArray log1p(Call c, PtNDArray x, DType dtype) {
        PtNDArray one = c.scalar(1, dtype);
        PtNDArray u = c.keep(JniUtils.add(x, one));
        PtNDArray rounded = c.keep(JniUtils.sub(u, one));
        PtNDArray ratio = c.keep(JniUtils.div(x, rounded));
        // equal also where both are infinite
        PtNDArray factor = c.keep(JniUtils.where(c.keep(JniUtils.eq(rounded, x)), one, ratio));
        PtNDArray y = c.keep(JniUtils.mul(c.keep(JniUtils.log(u)), factor));
        return JniUtils.where(c.keep(JniUtils.eq(rounded, c.scalar(0, dtype))), x, y);
    }

    /** PyTorch's softplus is x above 20, which F64 can tell from the function. */
    private static PtNDArray softplus(Call c, PtNDArray x, DType dtype) {
        if (dtype != DType.F64) {
            return JniUtils.softPlus(x);
        }
        PtNDArray tail = c.keep(JniUtils.exp(c.keep(JniUtils.neg(c.keep(JniUtils.abs(x))))));
        return JniUtils.add(c.keep(JniUtils.relu(x)), c.keep(log1p(c, tail, dtype)));
    }

    /** PyTorch's F32 gelu of infinity is NaN. */
    private static PtNDArray gelu(Call c, PtNDArray x, DType dtype) {
        PtNDArray erf = c.keep(JniUtils.erf(c.keep(JniUtils.mul(x, c.scalar(SQRT_HALF, dtype)))));
        PtNDArray gate = c.keep(JniUtils.add(erf, c.scalar(1, dtype)));
        return JniUtils.mul(c.keep(JniUtils.mul(x, c.scalar(0.5, dtype))), gate);
    }

    private static PtNDArray geluTanh(Call c, PtNDArray x, DType dtype) {
        PtNDArray square = c.keep(JniUtils.mul(x, x));
        PtNDArray inner = c.keep(JniUtils.add(c.keep(JniUtils.mul(square, c.scalar(GELU_CUBIC, dtype))), c.scalar(1, dtype)));
        PtNDArray argument = c.keep(JniUtils.mul(c.keep(JniUtils.mul(x, inner)), c.scalar(SQRT_2_OVER_PI, dtype)));
        PtNDArray gate = c.keep(JniUtils.add(c.keep(JniUtils.tanh(argument)), c.scalar(1, dtype)));
        return JniUtils.mul(c.keep(JniUtils.mul(x, c.scalar(0.5, dtype))), gate);
    }

    /** Whether DJL computes {@code op} on integers exactly: it divides them as floats and refuses negative exponents and a divisor of 0. */
    static boolean isExact(BinaryOp op) {
        return op != BinaryOp.DIV && op != BinaryOp.MOD && op != BinaryOp.POW;
    }

    /** {@code op(a, b)}, either of which may be a scalar; not F16, and not the integer operations that are inexact. */
    static PtNDArray binary(Call c, BinaryOp op, PtNDArray a, PtNDArray b) {
        return switch (op) {
            case ADD -> JniUtils.add(a, b);
            case SUB -> JniUtils.sub(a, b);
            case MUL -> JniUtils.mul(a, b);
            case DIV -> JniUtils.div(a, b);
            case POW -> JniUtils.pow(a, b);
            case MAX -> JniUtils.max(a, b);
            case MIN -> JniUtils.min(a, b);
            // PyTorch's remainder by an infinity is the dividend, not NaN
            case MOD -> JniUtils.sub(a, c.keep(JniUtils.mul(b, c.keep(JniUtils.floor(c.keep(JniUtils.div(a, b)))))));
            case AND -> JniUtils.logicalAnd(a, b);
            case OR -> JniUtils.logicalOr(a, b);
        };
    }

    static PtNDArray compare(CompareOp op, PtNDArray a, PtNDArray b) {
        return switch (op) {
            case EQ -> JniUtils.eq(a, b);
            case NE -> JniUtils.neq(a, b);
            case LT -> JniUtils.lt(a, b);
            case LE -> JniUtils.lte(a, b);
            case GT -> JniUtils.gt(a, b);
            case GE -> JniUtils.gte(a, b);
        };
    }

    /** {@code y}, computed in {@code from}, as {@code to}: a new array, as {@code y} is one. */
    static PtNDArray narrow(Call c, PtNDArray y, DType from, DType to) {
        return from == to ? y : c.to(c.keep(y), to);
    }
}
