package dev.sequent.transformer.attention;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.nn.Dropout;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.Optional;

/**
 * Softmax attention (Vaswani et al. 2017), out = softmax(scale q k^T + mask) v per head. With fewer key-value heads than query heads,
 * neighbouring query heads share one (grouped-query attention, Ainslie et al. 2023). Differentiable. A kernel of the device is used where
 * there is one, else tensor operations, which hold a (B, H, T, S) matrix.
 */
public final class Attention {
    private Attention() {}

    /**
     * Attention without dropout.
     *
     * @param q (B, T, H, P)
     * @param k (B, S, G, P), H a multiple of G
     * @param v (B, S, G, P)
     * @param scale factor of the scores, usually 1 / sqrt(P)
     * @return (B, T, H, P)
     * @throws ShapeException when the shapes do not fit each other or the mask
     */
    public static Tensor apply(Tensor q, Tensor k, Tensor v, AttentionMask mask, double scale) {
        return apply(q, k, v, mask, scale, 0, Optional.empty());
    }

    /**
     * Attention whose probabilities are subject to dropout in training. Dropout is done by tensor operations only.
     *
     * @param dropout probability that a weight becomes zero, in [0, 1)
     * @param rng the random stream; empty in evaluation
     */
    public static Tensor apply(Tensor q, Tensor k, Tensor v, AttentionMask mask, double scale, double dropout, Optional<Rng> rng) {
        AttentionSizes sizes = AttentionSizes.of(q, k, v);
        mask.expect(sizes);
        if (dropout > 0 && rng.isPresent()) {
            return decomposed(q, k, v, mask, scale, dropout, rng);
        }
        KernelTable kernels = KernelTable.of(q.device());
        if (q.dtype() == DType.F16 || q.dtype() == DType.BF16) {
            Optional<AttentionKernel> narrow = kernels.find(AttentionKernel.class, c -> c.refusal(q, k, v));
            return narrow.isPresent() ? fused(narrow.get(), q, k, v, mask, scale)
                    : apply(q.cast(DType.F32), k.cast(DType.F32), v.cast(DType.F32), mask, scale).cast(q.dtype());
        }
        Optional<AttentionKernel> kernel = kernels.select(AttentionKernel.class, c -> c.refusal(q, k, v));
        return kernel.isPresent() ? fused(kernel.get(), q, k, v, mask, scale) : decomposed(q, k, v, mask, scale, 0, rng);
    }

    private static Tensor fused(AttentionKernel kernel, Tensor q, Tensor k, Tensor v, AttentionMask mask, double scale) {
        return CustomOp.apply(new Fused(kernel, mask, scale), q, k, v)[0];
    }

    /** The definition in tensor operations, for every backend and dtype. */
    static Tensor decomposed(Tensor q, Tensor k, Tensor v, AttentionMask mask, double scale, double dropout, Optional<Rng> rng) {
        AttentionSizes n = AttentionSizes.of(q, k, v);
        Tensor sees = visible(q, n, mask);
        int shared = n.headsPerGroup();
        Tensor queries = q.reshape(n.batch(), n.queries(), n.groups(), shared, n.width()).permute(0, 2, 3, 1, 4); // (B, G, H/G, T, P)
        Tensor keys = k.permute(0, 2, 1, 3).unsqueeze(2); // (B, G, 1, S, P)
        Tensor values = v.permute(0, 2, 1, 3).unsqueeze(2); // (B, G, 1, S, P)
        Tensor scores = queries.mul(scale).matmul(keys, false, true); // (B, G, H/G, T, S)
        Tensor visible = sees.broadcastTo(scores.shape());
        Tensor hidden = Tensor.full(q.device(), q.dtype(), -1e30).broadcastTo(scores.shape());
        Tensor weights = visible.where(scores, hidden).softmax(-1);
        // a query that sees nothing has equal weights here, and none after this
        weights = visible.where(weights, Tensor.zeros(q.device(), q.dtype()).broadcastTo(scores.shape()));
        Tensor out = Dropout.apply(weights, dropout, rng).matmul(values); // (B, G, H/G, T, P)
        return out.permute(0, 3, 1, 2, 4).reshape(n.batch(), n.queries(), n.heads(), n.width());
    }

    /** Truth values (B, 1, 1, T, S), or (1, 1, 1, T, S) when all rows are alike. */
    private static Tensor visible(Tensor q, AttentionSizes n, AttentionMask mask) {
        int rows = mask.offsets() == null && !mask.hasDocuments() ? 1 : n.batch();
        long pairs = (long) rows * n.queries() * n.keys();
        if (pairs > Integer.MAX_VALUE) {
            throw new ShapeException("attention", "at most 2^31 - 1 pairs of queries and keys where no kernel computes it",
                    rows + " * " + n.queries() + " * " + n.keys());
        }
        boolean[] sees = new boolean[(int) pairs];
        int at = 0;
        for (int b = 0; b < rows; b++) {
            for (int i = 0; i < n.queries(); i++) {
                for (int j = 0; j < n.keys(); j++) {
                    sees[at++] = mask.sees(n, b, i, j);
                }
            }
        }
        return Tensor.of(q.device(), sees, rows, 1, 1, n.queries(), n.keys());
    }

    /** The kernel and its derivative on the tape. */
    private record Fused(AttentionKernel kernel, AttentionMask mask, double scale) implements CustomOp {
        @Override
        public String name() {
            return "attention";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            AttentionKernel.Result result = kernel.forward(in[0], in[1], in[2], mask, scale, save.recording());
            save.save(in[0], in[1], in[2], result.out(), result.lse());
            return new Tensor[] {result.out()};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            AttentionKernel.Result result = new AttentionKernel.Result(saved[3], saved[4]);
            return kernel.backward(saved[0], saved[1], saved[2], result, gradients[0], mask, scale);
        }
    }
}
