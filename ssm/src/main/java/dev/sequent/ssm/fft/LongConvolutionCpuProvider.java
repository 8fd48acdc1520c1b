package dev.sequent.ssm.fft;

import dev.sequent.fused.HostKernelProvider;

/** Offers the FFT convolution of the CPU backend. */
public final class LongConvolutionCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public LongConvolutionCpuProvider() {
        super(LongConvolutionKernel.class, LongConvolutionCpu::new);
    }
}
