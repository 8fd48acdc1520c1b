package dev.sequent.ssm.scan;

import dev.sequent.kernel.Kernel;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * Contract of what a state-space layer does with one token between its projections, in generation: no derivatives, and states that are
 * overwritten where they are. Everything is F32; the last axis of operands is dense, states and parameters are dense altogether. Results
 * equal those of {@link dev.sequent.fused.conv.CausalConv}, {@link SelectiveScan} and {@link StateSpaceDual} up to rounding. Called without
 * recording, inside a scope.
 */
public interface TokenStepKernel extends Kernel {
    /** The kernel of a device; empty where there is none or kernels are switched off. */
    static Optional<TokenStepKernel> of(Device device) {
        return KernelTable.of(device).find(TokenStepKernel.class, _ -> Optional.empty());
    }

    /**
     * Columns {@code [from, from + count)} of a tensor (B, 1, C): what a projection has made for one purpose.
     */
    record Columns(Tensor x, int from, int count) {
        /** All columns. */
        public static Columns of(Tensor x) {
            return new Columns(x, 0, Math.toIntExact(x.dim(2)));
        }
    }

    /**
     * SiLU of the causal depthwise convolution.
     *
     * @param x (B, 1, E)
     * @param weight (E, 1, K), oldest input first
     * @param bias (E), or null
     * @param window the last K - 1 inputs, oldest first, (B, K - 1, E); afterwards with x as the last
     * @return (B, 1, E)
     */
    Tensor convolve(Columns x, Tensor weight, Tensor bias, Tensor window);

    /**
     * Operands of {@link #select}: those of {@link SelectiveScan.Operands}, with softplus and with the matrix A given by its logarithm.
     *
     * @param u (B, 1, E)
     * @param delta (B, 1, E)
     * @param aLog log(-A), (E, N)
     * @param b (B, 1, N)
     * @param c (B, 1, N)
     * @param skip (E)
     * @param deltaBias (E)
     * @param z (B, 1, E)
     * @param state (B, E, N), overwritten
     */
    record Selection(Tensor u, Tensor delta, Tensor aLog, Columns b, Columns c, Tensor skip, Tensor deltaBias, Columns z, Tensor state) {}

    /** The selective scan of one token, gated: (B, 1, E). */
    Tensor select(Selection in);

    /**
     * Operands of {@link #advance}: those of {@link StateSpaceDual.Operands}, with step sizes before bias, softplus and limits, A
     * given by its logarithm, and a gate.
     *
     * @param x (B, 1, H P)
     * @param dt (B, 1, H)
     * @param dtBias (H)
     * @param low least step size
     * @param high largest step size
     * @param aLog log(-A), (H)
     * @param b (B, 1, G N)
     * @param c (B, 1, G N)
     * @param skip (H)
     * @param z (B, 1, H P)
     * @param groups G
     * @param state (B, H, P, N), overwritten
     */
    record Heads(Columns x, Columns dt, Tensor dtBias, double low, double high, Tensor aLog, Columns b, Columns c, Tensor skip, Columns z,
            int groups, Tensor state) {}

    /** The state-space dual of one token, times SiLU(z): (B, 1, H P). */
    Tensor advance(Heads in);
}
