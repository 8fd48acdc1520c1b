/**
 * Losses of classifiers over a vocabulary. Start at {@link dev.sequent.fused.loss.CrossEntropy}.
 *
 * {@snippet :
 * Tensor loss = CrossEntropy.loss(model.forward(ids, info), targets);   // (B, T, V) and (B, T) to a scalar
 * }
 *
 * <p>Beside the logits one tensor of their size exists, their derivative; probabilities are never stored. Sums of exponentials and of
 * losses are accumulated in double, in an order that does not depend on the number of threads.
 *
 * <p>Does not belong here: metrics, and losses that plain tensor operations express well.
 */
package dev.sequent.fused.loss;
