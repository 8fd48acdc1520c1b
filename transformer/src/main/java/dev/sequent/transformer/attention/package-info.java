/**
 * Softmax attention: softmax(scale q k^T + mask) v, for every head, without ever holding the T x S matrix of probabilities.
 *
 * <p>Kernels on host memory work through tiles that fit the caches, with an online softmax; the backward pass recomputes the tiles from one
 * saved number per query. BF16 tensors, and F32 tensors of a device that rounds the operands of products, go through BF16 products of the
 * backend's provider where it has them. A mask ({@link dev.sequent.transformer.attention.AttentionMask}) is causal or full, may have a
 * window, and keeps packed documents and padding apart.
 *
 * <p>Invariants: results do not depend on the number of threads, nor on other rows of a batch; a query that sees no key gives zeros and
 * passes no gradient; padding keys are not read, so anything may lie there; NaN in an operand shows in the results that depend on it.
 * Classes that import {@code jdk.incubator.vector} are loaded only where that module is present; plain loops stand in for them elsewhere.
 *
 * {@snippet :
 * AttentionMask mask = AttentionMask.CAUSAL.withWindow(512);
 * }
 *
 * <p>Does not belong here: projections, positions and caches.
 */
package dev.sequent.transformer.attention;
