/**
 * RMS and layer normalisation, alone or fused with the residual addition before it. Start at {@link dev.sequent.fused.norm.Normalize}.
 *
 * {@snippet :
 * Normalize.Added a = Normalize.addRms(x, mixed, weight, 1e-5);
 * Tensor next = a.sum().add(mlp.forward(a.normalised()));
 * }
 *
 * <p>Backward saves the normalised sum and one or two numbers per row, nothing else of its size. Gradients of weight and bias are
 * summed over blocks of rows that depend on the shape alone, so they do not change with the number of threads.
 *
 * <p>Does not belong here: layers with parameters ({@code dev.sequent.nn}), normalisation over other axes or groups.
 */
package dev.sequent.fused.norm;
