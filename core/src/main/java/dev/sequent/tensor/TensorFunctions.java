package dev.sequent.tensor;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;

/**
 * The functions of {@link Tensor} that have a name of their own but say no more than a primitive with some argument: they check nothing
 * and know nothing of handles. What they throw is what the primitives throw.
 */
abstract sealed class TensorFunctions permits Tensor {
    // the primitives

    abstract Tensor unary(UnaryOp f);

    abstract Tensor binary(BinaryOp f, Tensor other);

    abstract Tensor binary(BinaryOp f, double s, boolean reversed);

    abstract Tensor reduce(ReduceOp f, boolean keepDims, int... axes);

    abstract Tensor cumulative(ReduceOp f, int axis, boolean reverse);

    // of one tensor

    /** -x. */
    public Tensor neg() {
        return unary(UnaryOp.NEG);
    }

    /** |x|. */
    public Tensor abs() {
        return unary(UnaryOp.ABS);
    }

    /** x^2. */
    public Tensor square() {
        return unary(UnaryOp.SQUARE);
    }

    /** Square root. */
    public Tensor sqrt() {
        return unary(UnaryOp.SQRT);
    }

    /** 1 / sqrt(x). */
    public Tensor rsqrt() {
        return unary(UnaryOp.RSQRT);
    }

    /** 1 / x. */
    public Tensor reciprocal() {
        return unary(UnaryOp.RECIPROCAL);
    }

    /** e^x. */
    public Tensor exp() {
        return unary(UnaryOp.EXP);
    }

    /** Natural logarithm. */
    public Tensor log() {
        return unary(UnaryOp.LOG);
    }

    /** Sine. */
    public Tensor sin() {
        return unary(UnaryOp.SIN);
    }

    /** Cosine. */
    public Tensor cos() {
        return unary(UnaryOp.COS);
    }

    /** Hyperbolic tangent. */
    public Tensor tanh() {
        return unary(UnaryOp.TANH);
    }

    /** 1 / (1 + e^-x). */
    public Tensor sigmoid() {
        return unary(UnaryOp.SIGMOID);
    }

    /** x sigmoid(x). */
    public Tensor silu() {
        return unary(UnaryOp.SILU);
    }

    /** log(1 + e^x). */
    public Tensor softplus() {
        return unary(UnaryOp.SOFTPLUS);
    }

    /** Logical negation of a BOOL tensor. */
    public Tensor not() {
        return unary(UnaryOp.NOT);
    }

    // of two

    /** x + y. */
    public Tensor add(Tensor y) {
        return binary(BinaryOp.ADD, y);
    }

    /** x + s. */
    public Tensor add(double s) {
        return binary(BinaryOp.ADD, s, false);
    }

    /** x - y. */
    public Tensor sub(Tensor y) {
        return binary(BinaryOp.SUB, y);
    }

    /** x - s. */
    public Tensor sub(double s) {
        return binary(BinaryOp.SUB, s, false);
    }

    /** x y, elementwise. */
    public Tensor mul(Tensor y) {
        return binary(BinaryOp.MUL, y);
    }

    /** x s. */
    public Tensor mul(double s) {
        return binary(BinaryOp.MUL, s, false);
    }

    /** x / y. */
    public Tensor div(Tensor y) {
        return binary(BinaryOp.DIV, y);
    }

    /** x / s. */
    public Tensor div(double s) {
        return binary(BinaryOp.DIV, s, false);
    }

    /** x^s. */
    public Tensor pow(double s) {
        return binary(BinaryOp.POW, s, false);
    }

    /** Elementwise maximum; NaN wins. */
    public Tensor maximum(Tensor y) {
        return binary(BinaryOp.MAX, y);
    }

    /** Elementwise minimum; NaN wins. */
    public Tensor minimum(Tensor y) {
        return binary(BinaryOp.MIN, y);
    }

    /** Values below {@code low} become {@code low}, above {@code high} become {@code high}. */
    public Tensor clamp(double low, double high) {
        return Tensor.composed(() -> binary(BinaryOp.MAX, low, false).binary(BinaryOp.MIN, high, false));
    }

    // along axes

    /** Sum along axes (all when none are given), which vanish. */
    public Tensor sum(int... axes) {
        return reduce(ReduceOp.SUM, false, axes);
    }

    /** Maximum along axes (all when none are given), which vanish. */
    public Tensor max(int... axes) {
        return reduce(ReduceOp.MAX, false, axes);
    }

    /** Cumulative sum along an axis. */
    public Tensor cumsum(int axis) {
        return cumulative(ReduceOp.SUM, axis, false);
    }

    /** softmax along an axis. */
    public Tensor softmax(int axis) {
        return Tensor.composed(() -> {
            Tensor e = sub(reduce(ReduceOp.MAX, true, axis).detach()).exp();
            return e.div(e.reduce(ReduceOp.SUM, true, axis));
        });
    }

    /** log softmax along an axis. */
    public Tensor logSoftmax(int axis) {
        return Tensor.composed(() -> {
            Tensor shifted = sub(reduce(ReduceOp.MAX, true, axis).detach());
            return shifted.sub(shifted.exp().reduce(ReduceOp.SUM, true, axis).log());
        });
    }
}
