/**
 * CUDA without a GPU: {@link dev.sequent.testkit.cuda.EmulatedCuda} builds stand-ins for the driver, the run-time compiler and the matrix
 * library, on which the CUDA backend and every kernel written for {@link dev.sequent.spi.DeviceCode} run on the CPU; and
 * {@link dev.sequent.testkit.cuda.Nvcc} compiles kernels for real architectures where NVIDIA's compiler is installed.
 *
 * <p>Start with {@link dev.sequent.testkit.cuda.EmulatedCuda#require()} in a test. Invariants: the sources of kernels and the Java code are
 * the ones that run on a GPU; threads of a block are resumed in several orders, shared and fresh memory is NaN, writes outside of an
 * allocation are found. What the stand-ins cannot show: races between blocks, the memory model, approximate instructions, speed.
 *
 * <pre>{@code
 * EmulatedCuda cuda = EmulatedCuda.require();
 * try (Device device = Device.open("cuda", cuda.options())) {
 *     cuda.set("order", 3);        // one warp runs as far as it can
 * }
 * }</pre>
 */
package dev.sequent.testkit.cuda;
