package dev.sequent.op;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;

/**
 * One primitive with its attributes but without its operands: what a backend executes and what automatic differentiation
 * records. The hierarchy is sealed so that execution and derivatives are exhaustive switches: a primitive without a
 * derivative does not compile. Arrays in attributes are never changed after construction.
 */
public sealed interface Op {
    /** Short name for messages, for example {@code matmul}. */
    default String label() {
        return switch (this) {
            case Unary u -> u.f().name().toLowerCase(java.util.Locale.ROOT);
            case Binary b -> b.f().name().toLowerCase(java.util.Locale.ROOT);
            case Scalar s -> s.f().name().toLowerCase(java.util.Locale.ROOT);
            case Reduce r -> r.f().name().toLowerCase(java.util.Locale.ROOT);
            default -> getClass().getSimpleName().toLowerCase(java.util.Locale.ROOT);
        };
    }

    /** Elementwise function of one operand. */
    record Unary(UnaryOp f) implements Op {}

    /** Elementwise function of two operands of equal shape. */
    record Binary(BinaryOp f) implements Op {}

    /** f(x, s), or f(s, x) when reversed. */
    record Scalar(BinaryOp f, double s, boolean reversed) implements Op {}

    /** Elementwise comparison. */
    record Compare(CompareOp f) implements Op {}

    /** Operands: condition, a, b. */
    record Where() implements Op {}

    /** Conversion of the element type. */
    record Cast(DType to) implements Op {}

    /** Reduction along ascending axes, which keep size 1. */
    record Reduce(ReduceOp f, int[] axes) implements Op {}

    /** Index of the extreme element along an axis, which keeps size 1. */
    record ArgReduce(ReduceOp f, int axis) implements Op {}

    /** Inclusive cumulative reduction. */
    record Cumulative(ReduceOp f, int axis, boolean reverse) implements Op {}

    /** Same elements, another shape. */
    record Reshape(Shape to) implements Op {}

    /** Reordered axes. */
    record Permute(int[] order) implements Op {}

    /** Repetition along axes of size 1 and new outer axes. */
    record BroadcastTo(Shape to) implements Op {}

    /** A box of elements. */
    record Slice(long[] start, long[] stop) implements Op {}

    /** A constant border. */
    record Pad(long[] before, long[] after, double value) implements Op {}

    /** Reversed axes. */
    record Flip(int[] axes) implements Op {}

    /** Operands joined along an axis. */
    record Concat(int axis) implements Op {}

    /** Dense layout. */
    record Contiguous() implements Op {}

    /** Operands: x, index. */
    record Gather(int axis) implements Op {}

    /** Operands: x, index, source. */
    record ScatterAdd(int axis) implements Op {}

    /** Operands: x, vector of indices. */
    record IndexSelect(int axis) implements Op {}

    /** Operands: x, vector of indices, source. */
    record IndexAdd(int axis) implements Op {}

    /** Indices of the largest elements of the last axis. */
    record TopK(int k) implements Op {}

    /** Product of the two innermost axes. */
    record MatMul(boolean transposeA, boolean transposeB) implements Op {}
}
