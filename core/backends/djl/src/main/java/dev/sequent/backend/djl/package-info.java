/**
 * The DJL backend: tensors are arrays of the Deep Java Library on its PyTorch engine. Start at
 * {@link dev.sequent.backend.djl.DjlBackendProvider}; the backend is found by name, {@code djl}, when this module is on the class path.
 *
 * <p>Invariants: an element type that PyTorch or DJL cannot handle is refused before a native call is made; every array is attached to the
 * one manager of its device and closed when its last handle is released; intermediate arrays of composed operations are closed before the
 * operation returns; gradients are ours, so that PyTorch never records any; nothing is downloaded unless an option asks for it.
 * What DJL lacks or means differently is composed of what it has ({@code Elementwise}, {@code Reductions}), or done by Java loops over
 * DJL's memory ({@code HostLoops}); {@code Backends.explain()} lists which.
 *
 * <pre>{@code
 * try (Device device = Device.open("djl", Map.of("threads", "2"))) {
 *     Tensor x = Tensor.arange(device, 4);
 * }
 * }</pre>
 *
 * <p>What does not belong here: DJL's models, training and gradients; kernels for fused operations, which run as decompositions.
 */
package dev.sequent.backend.djl;
