package dev.sequent.fused.conv;

import dev.sequent.autograd.CustomOp;
import dev.sequent.fused.conv.CausalConvKernel.Problem;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Causal depthwise convolution along time, y_t = f(bias + sum_k weight_k x_{t-K+1+k}) for each of E channels, f = SiLU or the identity.
 * Differentiable. A kernel of the device is used where there is one, else tensor operations.
 *
 * <p>Tokens may carry flags: {@link #RESET} starts a document, before which every input counts as zero; {@link #SKIP} is padding, which
 * is left out of the sequence as if it were not there, and whose output is zero. Cost O(T E K).
 */
public final class CausalConv {
    /** Flag of the first token of a document: inputs before it count as zero. */
    public static final byte RESET = 1;
    /** Flag of padding. */
    public static final byte SKIP = 2;

    private CausalConv() {}

    /**
     * An output and the state after it.
     *
     * @param y (B, T, E)
     * @param finalState the last K - 1 inputs, oldest first, (B, K - 1, E)
     */
    public record Result(Tensor y, Tensor finalState) {}

    /**
     * Applies the convolution.
     *
     * @param x (B, T, E)
     * @param weight (E, 1, K), K >= 2, oldest input first
     * @param bias (E), or null
     * @param silu whether the result passes through SiLU
     * @param initialState the K - 1 inputs before the first, oldest first, (B, K - 1, E), or null for zeros
     * @param flags {@link #RESET} and {@link #SKIP} of the tokens (B T), or null
     */
    public static Result apply(Tensor x, Tensor weight, Tensor bias, boolean silu, Tensor initialState, byte[] flags) {
        Problem p = new Problem(x, weight, bias, silu, initialState, flags);
        check(p);
        Optional<CausalConvKernel> kernel = KernelTable.of(x.device()).select(CausalConvKernel.class, k -> k.refusal(p));
        if (kernel.isPresent()) {
            Tensor[] out = CustomOp.apply(new Fused(kernel.get(), silu, flags), x, weight, bias, initialState);
            return new Result(out[0], out[1]);
        }
        return decompose(p);
    }

    private static void check(Problem p) {
        p.x().expect("causalConv x", -1, -1, -1);
        if (p.weight().rank() != 3 || p.weight().dim(0) != p.x().dim(2) || p.weight().dim(1) != 1 || p.weight().dim(2) < 2) {
            throw new ShapeException("causalConv weight", "(" + p.x().dim(2) + ", 1, K) with K >= 2", p.weight().shape().toString());
        }
        long taps = p.weight().dim(2);
        if (p.bias() != null) {
            p.bias().expect("causalConv bias", p.x().dim(2));
        }
        if (p.initialState() != null) {
            p.initialState().expect("causalConv initial state", p.x().dim(0), taps - 1, p.x().dim(2));
        }
        if (p.flags() != null && p.flags().length != p.x().dim(0) * p.x().dim(1)) {
            throw new ShapeException("causalConv flags", p.x().dim(0) * p.x().dim(1) + " flags", p.flags().length + "");
        }
        for (Tensor t : new Tensor[] {p.weight(), p.bias(), p.initialState()}) {
            if (t != null && t.dtype() != p.x().dtype()) {
                throw new DTypeException("causalConv", "operands of dtype " + p.x().dtype(), t.toString());
            }
        }
    }

    /** The decomposition: runs on every backend and is what kernels are compared with. */
    static Result decompose(Problem p) {
        Tensor x = p.x();
        int taps = p.taps();
        Tensor before = p.initialState() != null ? p.initialState() : Tensor.zeros(x.device(), x.dtype(), x.dim(0), taps - 1, x.dim(2));
        return p.flags() == null || p.flags().length == 0 ? whole(p, before) : tokenByToken(p, before);
    }

    /** Shifted copies of the sequence, weighted and added. */
    private static Result whole(Problem p, Tensor before) {
        Tensor all = Tensor.concat(1, before, p.x()); // (B, K - 1 + T, E)
        long time = p.x().dim(1);
        Tensor y = null;
        for (int k = 0; k < p.taps(); k++) {
            Tensor term = all.slice(1, k, k + time).mul(p.weight().select(2, k).reshape(-1));
            y = y == null ? term : y.add(term);
        }
        return new Result(activate(p, y), all.slice(1, time, time + p.taps() - 1));
    }

    private static Tensor activate(Problem p, Tensor y) {
        Tensor sum = p.bias() == null ? y : y.add(p.bias());
        return p.silu() ? sum.silu() : sum;
    }

    private static Result tokenByToken(Problem p, Tensor before) {
        Tensor x = p.x();
        Tensor weight = p.weight().squeeze(1).transpose(0, 1); // (K, E)
        Tensor valid = mask(p, SKIP);
        Tensor keep = mask(p, RESET);
        Tensor window = before; // (B, K - 1, E)
        List<Tensor> ys = new ArrayList<>();
        for (int t = 0; t < x.dim(1); t++) {
            Tensor v = valid.slice(1, t, t + 1);
            window = window.mul(keep.slice(1, t, t + 1));
            Tensor taps = Tensor.concat(1, window, x.slice(1, t, t + 1)); // (B, K, E)
            ys.add(activate(p, taps.mul(weight).sum(1)).unsqueeze(1).mul(v)); // (B, 1, E)
            window = taps.slice(1, 1, p.taps()).mul(v).add(window.mul(v.neg().add(1)));
        }
        return new Result(Tensor.concat(1, ys.toArray(Tensor[]::new)), window);
    }

    /** 0 where a flag is set and 1 elsewhere, (B, T, 1). */
    private static Tensor mask(Problem p, byte flag) {
        float[] m = new float[p.flags().length];
        for (int i = 0; i < m.length; i++) {
            m[i] = (p.flags()[i] & flag) != 0 ? 0 : 1;
        }
        return Tensor.of(p.x().device(), m, p.x().dim(0), p.x().dim(1), 1).cast(p.x().dtype());
    }

    /** The kernel and its derivative on the tape. */
    private record Fused(CausalConvKernel kernel, boolean silu, byte[] flags) implements CustomOp {
        @Override
        public String name() {
            return "causalConv";
        }

        private Problem problem(Tensor[] in) {
            return new Problem(in[0], in[1], in[2], silu, in[3], flags);
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            save.save(in);
            return kernel.forward(problem(in));
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return kernel.backward(problem(saved), gradients[0], gradients[1]);
        }
    }
}
