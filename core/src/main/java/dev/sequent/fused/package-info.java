/**
 * What the fused operations of the sub-packages share: how rows are divided among threads, index tensors, whether vector
 * instructions are there, and the vectorised exponential.
 *
 * <p>A fused operation is one package with its contract, its decomposition in tensor operations and its kernels:
 * {@link dev.sequent.fused.norm} (RMS and layer normalisation), {@link dev.sequent.fused.glu} (gated linear units),
 * {@link dev.sequent.fused.loss} (cross-entropy), {@link dev.sequent.fused.embedding} (table look-up),
 * {@link dev.sequent.fused.softmax} and {@link dev.sequent.fused.optim} (optimizer steps over many tensors).
 *
 * <p>Invariants of the kernels on host memory, in every sub-package:
 * <ul>
 *   <li>Segments are native memory, contiguous, little-endian F32, element-aligned; 64-byte alignment is faster. Any row length works.
 *   <li>Results do not depend on the number of threads: reductions over rows run over blocks that depend on the shape alone.
 *   <li>Nothing is allocated per row; scratch memory is given by the caller and may hold anything.
 *   <li>NaN in an input shows in the outputs that depend on it.
 *   <li>Classes whose names end in {@code Vector} import {@code jdk.incubator.vector} and are loaded only through
 *       {@link dev.sequent.fused.Simd}; each has a {@code Scalar} twin in plain loops.
 * </ul>
 *
 * {@snippet :
 * Rows.forEach(parallel, rows, width, (from, to) -> {
 *     for (int r = from; r < to; r++) {
 *         // one row; blocks of rows are handed out dynamically
 *     }
 * });
 * }
 *
 * <p>Does not belong here: operations themselves, anything that knows tensors or layers.
 */
package dev.sequent.fused;
