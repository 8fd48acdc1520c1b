/**
 * The kinds of primitive operations, as enums with the scalar function that each one means, and {@link dev.sequent.op.Op}, a sealed
 * description of a primitive with its attributes. Backends execute them, automatic differentiation records them.
 *
 * <p>Invariants: a new constant or record does not compile until its execution and its derivative exist; the scalar functions are the
 * meaning that contract tests hold every backend to. {@link dev.sequent.op.Philox} and {@link dev.sequent.op.ScalarMath} are here because
 * they are part of that meaning. Composite functions (softmax, losses) do not belong here.
 *
 * <pre>{@code
 * UnaryOp.SILU.apply(1.0);               // 0.7310585786300049
 * new Op.Unary(UnaryOp.SILU).label();    // "silu"
 * }</pre>
 */
package dev.sequent.op;
