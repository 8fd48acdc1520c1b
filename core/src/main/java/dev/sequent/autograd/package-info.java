/**
 * Derivatives of anything computed with tensors. Start with {@link dev.sequent.autograd.Autograd#valueAndGrad}.
 *
 * <p>A tape records primitives while a function runs; the backward pass walks it in reverse with one exhaustive switch of derivatives, so
 * that a primitive without a derivative does not compile. {@link dev.sequent.autograd.CustomOp} is the one open node, for fused kernels;
 * {@link dev.sequent.autograd.Checkpoint} recomputes a block instead of keeping its values.
 *
 * <p>Invariants: no gradient is ever dropped silently; saved values are released as they are consumed; the backward pass is a loop, not a
 * recursion. Parameters and layers do not belong here: a {@link dev.sequent.autograd.Variable} is all that this package knows of them.
 *
 * <pre>{@code
 * Variable w = Variable.of(Tensor.of(device, new float[] {1, 2, 3}));
 * Gradients g = Autograd.valueAndGrad(List.of(w), () -> w.value().square().sum());
 * g.of(w).toFloats();   // 2, 4, 6
 * }</pre>
 */
package dev.sequent.autograd;
