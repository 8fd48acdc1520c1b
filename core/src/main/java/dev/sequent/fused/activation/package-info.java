/**
 * Derivatives of elementwise activations in one pass: tanh, sigmoid, ReLU, softplus, SiLU and both forms of GELU. Nobody calls them: the
 * tape asks for {@link dev.sequent.autograd.UnaryDerivativeKernel} when it differentiates these functions.
 *
 * {@snippet :
 * Tensor y = x.silu();   // its derivative on the CPU: this package's kernel
 * }
 *
 * <p>Invariant: the results are those of the tape's own composition up to rounding, and a derivative that is itself differentiated is the
 * composition.
 *
 * <p>Does not belong here: the functions themselves ({@link dev.sequent.op.UnaryOp}), gated units ({@code dev.sequent.fused.glu}).
 */
package dev.sequent.fused.activation;
