/**
 * The {@code cuda} backend: tensors on NVIDIA GPUs, by NVIDIA's driver, run-time compiler and matrix library, called through
 * {@code java.lang.foreign}. No native code of our own: kernels are CUDA C++ sources among the resources, compiled on the user's machine
 * for the user's GPU and kept on disk.
 *
 * <p>Start with {@link dev.sequent.backend.cuda.CudaBackendProvider} (options, and a probe that says what is missing). Inside,
 * {@code CudaBackend} does the bookkeeping of handles, {@code CudaDevice} is the gate to one GPU (lock, context, lost devices),
 * {@code DeviceMemory} its memory, {@code Programs} and {@code KernelCache} its compiled code, {@code Elementwise}, {@code Movement},
 * {@code Reductions}, {@code Indexing} and {@code Matmul} the operations; {@code Driver}, {@code Nvrtc} and {@code CublasLt} are nothing
 * but bindings.
 *
 * <p>Invariants: all work of a device runs in one stream, in the order of submission, so memory is handed out again as soon as it is freed;
 * the order of summation depends on shapes and device alone; errors are typed and name the call; after a fault inside a kernel every call
 * says that the device is lost. Fused kernels of layers do not belong here: they stand beside their operations and come in through
 * {@link dev.sequent.spi.DeviceCode}.
 *
 * <pre>{@code
 * System.out.println(new CudaBackendProvider().probe());
 * try (Device gpu = Device.open("cuda", Map.of("tf32", "true"))) {
 *     Tensor x = Tensor.ones(gpu, DType.BF16, 1024, 1024);
 * }
 * }</pre>
 */
package dev.sequent.backend.cuda;
