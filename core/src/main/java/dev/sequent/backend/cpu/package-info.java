/**
 * The CPU backend: tensors in native memory, loops on the Vector API, one thread pool. It is found under the name {@code cpu} and is
 * the default.
 *
 * <p>Where to start: {@link dev.sequent.backend.cpu.CpuBackendProvider} for the options; {@code CpuBackend} has one short method per
 * operation and shows which class does the work. {@code Elementwise} and {@code Copies} turn operands of any layout into rows,
 * {@code Kernels} computes rows of F32 numbers, once on the Vector API and once in plain loops.
 *
 * <p>Invariants:
 * <ul>
 * <li>Memory comes from {@code Allocator} only: 64-byte aligned, not zeroed, reused by size class.
 * <li>Kernels see native segments only, never heap arrays: a loop that has seen both is several times slower.
 * <li>How work is cut into pieces depends on shapes, never on the number of threads, and every loop but the smallest runs with denormals
 *     flushed to zero, so results are bit-identical for any thread count.
 * <li>Classes that import {@code jdk.incubator.vector} (their names start with {@code Vector}, or they are the matrix product's) are
 *     touched only when that module is present.
 * </ul>
 *
 * {@snippet :
 * try (Backend cpu = new CpuBackendProvider().open(Map.of("threads", "2"))) {
 *     TensorHandle x = cpu.full(Shape.of(4, 1024), DType.F32, 0.5, 0);
 *     TensorHandle y = cpu.unary(UnaryOp.EXP, x);
 *     cpu.release(x);
 *     cpu.release(y);
 * }
 * }
 *
 * <p>What does not belong here: fused operations, which live with their contracts and reach this backend through
 * {@link dev.sequent.spi.HostMemory}.
 */
package dev.sequent.backend.cpu;
