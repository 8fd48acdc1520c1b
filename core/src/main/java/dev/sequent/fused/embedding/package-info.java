/**
 * Look-up of table rows by token ids and its gradient, a scatter-add. Start at {@link dev.sequent.fused.embedding.Lookup}.
 *
 * {@snippet :
 * Tensor x = Lookup.apply(table, ids);   // (V, D) and (B, T) to (B, T, D)
 * }
 *
 * <p>The gradient is the same to the bit for any number of threads: positions are grouped by id, and each row of the table is summed
 * in ascending order of position by one thread.
 *
 * <p>Does not belong here: the layer that owns the table ({@code dev.sequent.nn}).
 */
package dev.sequent.fused.embedding;
