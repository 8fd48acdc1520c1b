/**
 * The ND4J backend: tensors are ND4J arrays outside the Java heap, F32 and F64 arithmetic is ND4J's, matrix products are those of its
 * BLAS.
 *
 * <p>Start with {@link dev.sequent.backend.nd4j.Nd4jBackendProvider}, whose options are described there, then {@code Nd4jBackend},
 * which decides for every operation who computes it: {@code Engine}, behind {@code Arithmetic}, runs ND4J's operations and says
 * which are left out and why, {@code Products} calls BLAS, and the {@code Host...} classes are loops over ND4J's buffers for the
 * rest. {@code Memory} allocates, counts and closes arrays.
 *
 * <p>Invariants: an array lives until the last handle to its {@code Storage} is released, and then is closed or waits to be used
 * again; nothing waits for the garbage collector. ND4J computes dense vectors that start where their buffer starts; all other
 * layouts are strides of ours. No result depends on the number of threads. 16-bit floats are computed in F32 and rounded once.
 * Nothing of ND4J is loaded before a backend is opened.
 *
 * <pre>{@code
 * try (Device device = Device.open("nd4j", Map.of("threads", "4")); Scope _ = Scope.open()) {
 *     Tensor x = Tensor.zeros(device, DType.F32, 2, 3);
 *     System.out.println(x.exp().sum().item());   // 6.0
 * }
 * }</pre>
 *
 * <p>What does not belong here: fused kernels, and ND4J types in public signatures.
 */
package dev.sequent.backend.nd4j;
