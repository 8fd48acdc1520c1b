package dev.sequent.ssm.fft;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.Optional;

/**
 * Causal convolution of every channel with a kernel as long as the sequence: y[b, t, e] = sum_{s &lt;= t} k[e, s] u[b, t - s, e].
 *
 * <p>The kernel costs O(B E T log T) by FFT; the decomposition, a product with the T x T Toeplitz matrix of each channel, costs O(B E T^2)
 * and serves as the oracle. Differentiable.
 */
public final class LongConvolution {
    private LongConvolution() {}

    /**
     * Convolves.
     *
     * @param u input (B, T, E)
     * @param k one kernel per channel (E, T)
     * @return (B, T, E)
     */
    public static Tensor apply(Tensor u, Tensor k) {
        u.expect("long_convolution input", -1, -1, k.dim(0));
        k.expect("long_convolution kernel", u.dim(2), u.dim(1));
        if (u.dtype() != k.dtype()) {
            throw new DTypeException("long_convolution", "operands of one dtype", u.dtype() + " and " + k.dtype());
        }
        Optional<LongConvolutionKernel> kernel = KernelTable.of(u.device()).select(LongConvolutionKernel.class, c -> c.refusal(u));
        return kernel.isPresent() ? CustomOp.apply(new Fused(kernel.get()), u, k)[0] : decompose(u, k);
    }

    /** The decomposition: runs on every backend and is what kernels are compared with. */
    static Tensor decompose(Tensor u, Tensor k) {
        if (u.dim(1) * u.dim(1) > Integer.MAX_VALUE) {
            throw new ShapeException("long_convolution", "at most 46,340 tokens where no kernel computes it", u.dim(1) + "");
        }
        int time = (int) u.dim(1);
        long channels = u.dim(2);
        int[] lag = new int[time * time];
        for (int t = 0; t < time; t++) {
            for (int s = 0; s < time; s++) {
                lag[t * time + s] = s <= t ? t - s : time; // index T reads the zero behind the kernel
            }
        }
        Tensor toeplitz = k.pad(1, 0, 1, 0).indexSelect(1, Tensor.of(u.device(), lag)).reshape(channels, time, time); // (E, T, T)
        return toeplitz.matmul(u.permute(2, 1, 0)).permute(2, 1, 0); // (E, T, B) to (B, T, E)
    }

    /** The kernel and its derivative on the tape. */
    private record Fused(LongConvolutionKernel kernel) implements CustomOp {
        @Override
        public String name() {
            return "long_convolution";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            save.save(in);
            return new Tensor[] {kernel.forward(in[0], in[1])};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return kernel.backward(gradients[0], saved[0], saved[1]);
        }
    }
}
