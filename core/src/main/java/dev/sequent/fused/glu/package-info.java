/**
 * Gated linear units. Start at {@link dev.sequent.fused.glu.Swiglu}.
 *
 * {@snippet :
 * Tensor h = Swiglu.apply(gate.forward(x), up.forward(x));   // (B, T, F)
 * Tensor same = Swiglu.gateFirst(gateAndUp.forward(x));      // the halves of one (B, T, 2F)
 * }
 *
 * <p>Backward saves the operands, not the result, and computes the logistic function again.
 *
 * <p>Does not belong here: layers with parameters ({@code dev.sequent.nn}), activations of one operand.
 */
package dev.sequent.fused.glu;
