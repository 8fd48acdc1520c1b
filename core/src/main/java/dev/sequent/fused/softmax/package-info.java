/**
 * Softmax over the last axis in one pass over memory. Start at {@link dev.sequent.fused.softmax.Softmax}.
 *
 * {@snippet :
 * Tensor p = Softmax.apply(scores);   // (..., n), rows add up to 1
 * }
 *
 * <p>Backward saves the result only. An element at negative infinity gets exactly 0.
 *
 * <p>Does not belong here: attention, which never stores its probabilities; the loss of a classifier ({@link dev.sequent.fused.loss}).
 */
package dev.sequent.fused.softmax;
