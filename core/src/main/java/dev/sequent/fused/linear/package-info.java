/**
 * Several linear maps of one input. Start at {@link dev.sequent.fused.linear.Projections}.
 *
 * {@snippet :
 * Tensor[] qkv = Projections.apply(x, wq, wk, wv);   // x W^T for each of the weights
 * }
 *
 * <p>Invariant: the results are those of one product per weight. What is fused is the derivative by x, a sum of products: kernels add each
 * product to what is there, so that no product is stored only to be added. On a device that rounds products to BF16 (its option
 * {@code products}), the results are those of rounded operands, up to the order of sums.
 *
 * <p>{@link dev.sequent.fused.linear.Projections#underived} is for generation: the row of a token in one call, without views around it.
 *
 * <p>Does not belong here: layers with parameters ({@code dev.sequent.nn}), products themselves ({@code dev.sequent.op}).
 */
package dev.sequent.fused.linear;
