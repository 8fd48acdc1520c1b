/**
 * What the fused operations of the sub-packages share: how rows are divided among threads, index tensors, whether vector
 * instructions are there, the vectorised exponential, and memory by address for innermost loops
 * ({@link dev.sequent.fused.AddressSpace}).
 *
 * <p>A fused operation is one package with its contract, its decomposition in tensor operations and its kernels:
 * {@link dev.sequent.fused.norm} (RMS and layer normalisation), {@link dev.sequent.fused.glu} (gated linear units),
 * {@link dev.sequent.fused.loss} (cross-entropy), {@link dev.sequent.fused.embedding} (table look-up),
 * {@link dev.sequent.fused.activation} (derivatives of activations), {@link dev.sequent.fused.softmax} and
 * {@link dev.sequent.fused.optim} (optimizer steps over many tensors).
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
 * <p>Kernels for GPUs are CUDA C++ in resources beside the class that launches them ({@code norm.cu} beside {@code NormCuda}), written for
 * {@link dev.sequent.spi.DeviceCode} and its header {@code sequent.cuh}, with {@code fused.cuh} of this package for what they share. Their
 * invariants:
 * <ul>
 *   <li>F32, BF16 and F16 elements, arithmetic in F32, one rounding at the end.
 *   <li>Equal bits every time: sums go through parts that depend on the shape alone, added up in order; no atomics on floats.
 *   <li>{@link dev.sequent.fused.DeviceTensors} reads and makes tensors and launches; {@link dev.sequent.fused.DeviceKernelProvider} offers
 *   a kernel.
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
