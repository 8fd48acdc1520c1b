package dev.sequent.fused.linear;

import dev.sequent.fused.HostKernelProvider;

/** Offers the product that is added to a matrix to the CPU backend. */
public final class ProductSumCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public ProductSumCpuProvider() {
        super(ProductSumKernel.class, ProductSumCpu::new);
    }
}
