package dev.sequent.fused.embedding;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers the look-up kernel of the CUDA backend. */
public final class EmbeddingCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public EmbeddingCudaProvider() {
        super(EmbeddingKernel.class, EmbeddingCuda::new);
    }
}
