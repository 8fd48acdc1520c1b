/**
 * What a backend provides: about forty operations on opaque handles ({@link dev.sequent.spi.Backend}), how it is found
 * ({@link dev.sequent.spi.BackendProvider}), and the facilities that fused kernels use: {@link dev.sequent.spi.HostMemory},
 * {@link dev.sequent.spi.Parallel} and {@link dev.sequent.spi.MatmulProvider} on the CPU, {@link dev.sequent.spi.DeviceCode} on a GPU;
 * {@link dev.sequent.spi.GraphCapture} repeats recorded work.
 *
 * <p>Start with {@link dev.sequent.spi.Backend} and the reference implementation, {@code dev.sequent.backend.reference}. Invariants:
 * handles are immutable values and released exactly once; callers have checked shapes and dtypes; the set of operations is closed under
 * differentiation. Nothing here knows of tensors, scopes or derivatives.
 *
 * <pre>{@code
 * try (Backend backend = Backends.openBackend("reference")) {
 *     TensorHandle x = backend.iota(4, DType.F32, 0);
 *     TensorHandle y = backend.unary(UnaryOp.EXP, x);
 *     backend.release(x);
 *     backend.release(y);
 * }
 * }</pre>
 */
package dev.sequent.spi;
