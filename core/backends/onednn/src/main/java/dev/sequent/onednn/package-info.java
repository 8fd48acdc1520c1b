/**
 * Matrix products of the CPU backend through oneDNN, called by {@code java.lang.foreign}: F32, and BF16 with F32 results on machines
 * that have instructions for it (AMX, AVX-512 BF16).
 *
 * <p>Start with {@link dev.sequent.onednn.OneDnnMatmulProvider}. Nothing needs to be called: with the artifact on the class path the CPU
 * backend finds the provider, and its log line and {@code explain()} say so.
 *
 * <p>Invariants: oneDNN runs with one thread inside tasks of the backend's own pool, so only one pool of threads exists and denormal
 * numbers are treated alike everywhere; every size is checked before native code sees an address; every failure names the oneDNN
 * function and its status. The library itself comes from the artifact {@code org.bytedeco:dnnl}, of which only the two shared
 * libraries are used.
 *
 * <p>Example:
 * {@snippet :
 * try (Backend cpu = Backends.openBackend("cpu", Map.of("matmul", "onednn"))) {
 *     // ... fails where oneDNN does not work; without the option, the backend would use its own products instead
 * }
 * }
 *
 * <p>Other operations do not belong here: they are faster in the backend's own kernels.
 */
package dev.sequent.onednn;
