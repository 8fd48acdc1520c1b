package dev.sequent.fused.linear;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.Arrays;
import java.util.Optional;

/**
 * Linear maps of one input: y_i = x W_i^T over the last axis. Differentiable by the input and all weights.
 *
 * <p>Separate products would each give a derivative by x of its full size, to be added up in passes over memory; here each product is added
 * to the ones before it. On a device that rounds the operands of products to BF16, each operand is rounded once for all the products in
 * which it takes part, and what the derivative needs is kept in BF16. A kernel of the device is used where there is one, else tensor
 * operations.
 */
public final class Projections {
    /** So many rows at most are those of a step of generation; they are better off product by product. */
    private static final int FEW_ROWS = 8;

    private Projections() {}

    /**
     * x W^T for each of the weights.
     *
     * @param x (..., in)
     * @param weights (out_i, in) each, of the dtype of x
     * @return (..., out_i) each
     */
    public static Tensor[] apply(Tensor x, Tensor... weights) {
        if (x.rank() == 0) {
            throw new ShapeException("projections", "at least one axis", "a scalar");
        }
        check(x, weights);
        Tensor rows = x.rank() == 2 ? x : x.reshape(x.shape().without(-1).size(), x.dim(-1));
        Tensor[] y = products(rows, weights);
        for (int i = 0; i < y.length; i++) {
            y[i] = x.rank() == 2 ? y[i] : y[i].reshape(x.shape().with(-1, y[i].dim(1)));
        }
        return y;
    }

    private static void check(Tensor x, Tensor... weights) {
        for (Tensor w : weights) {
            w.expect("projections weight", -1, x.dim(-1));
            if (w.dtype() != x.dtype()) {
                throw new DTypeException("projections", "operands of dtype " + x.dtype(), w.toString());
            }
        }
    }

    /** {@link #apply} without a derivative; see {@link #underived(Tensor, Tensor)}. */
    public static Tensor[] underived(Tensor x, Tensor... weights) {
        if (x.rank() == 0 || x.size() > FEW_ROWS * x.dim(-1)) {
            return apply(x, weights);
        }
        return Arrays.stream(weights).map(w -> underived(x, w)).toArray(Tensor[]::new);
    }

    /**
     * x W^T without a derivative: on devices that have a kernel for it, one call for the few rows of a step of generation.
     *
     * @param x (..., in)
     * @param weight (out, in), of the dtype of x
     * @return (..., out)
     */
    public static Tensor underived(Tensor x, Tensor weight) {
        Optional<RowProductKernel> kernel = KernelTable.of(x.device()).find(RowProductKernel.class, _ -> Optional.empty());
        Optional<Tensor> product = kernel.isPresent() && x.device().equals(weight.device()) ? kernel.get().project(x, weight)
                : Optional.empty();
        if (product.isPresent()) {
            return product.get();
        }
        if (x.rank() == 2) {
            return x.matmul(weight, false, true);
        }
        Tensor rows = x.reshape(x.shape().without(-1).size(), x.dim(-1));
        return rows.matmul(weight, false, true).reshape(x.shape().with(-1, weight.dim(0)));
    }

    private static Tensor[] products(Tensor rows, Tensor[] weights) {
        Optional<ProductSumKernel> kernel = KernelTable.of(rows.device()).select(ProductSumKernel.class, k -> k.refusal(rows));
        boolean rounded = kernel.filter(k -> Arrays.stream(weights).allMatch(w -> k.rounds(rows, w))).isPresent();
        if (kernel.isEmpty() || !rounded && weights.length < 2) {
            return decompose(rows, weights);
        }
        Tensor[] operands = new Tensor[weights.length + 1];
        operands[0] = rows;
        System.arraycopy(weights, 0, operands, 1, weights.length);
        return CustomOp.apply(rounded ? new Rounded(kernel.get()) : new Fused(kernel.get()), operands);
    }

    /** The decomposition: runs on every backend and is what kernels are compared with. */
    static Tensor[] decompose(Tensor rows, Tensor... weights) {
        return Arrays.stream(weights).map(w -> rows.matmul(w, false, true)).toArray(Tensor[]::new);
    }

    /** The products and their derivative on the tape; operands x and the weights. */
    private record Fused(ProductSumKernel kernel) implements CustomOp {
        @Override
        public String name() {
            return "projections";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            save.save(in);
            return decompose(in[0], Arrays.copyOfRange(in, 1, in.length));
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            Tensor[] all = new Tensor[saved.length];
            for (int i = 0; i < gradients.length; i++) {
                Tensor dy = gradients[i];
                if (dy == null) {
                    continue;
                }
                if (needed[0]) {
                    all[0] = all[0] == null ? dy.matmul(saved[i + 1]) : kernel.add(all[0], dy, saved[i + 1]);
                }
                if (needed[i + 1]) {
                    all[i + 1] = dy.matmul(saved[0], true, false);
                }
            }
            return all;
        }
    }

    /** The same with operands rounded to BF16; operands x and the weights. */
    private record Rounded(ProductSumKernel kernel) implements CustomOp {
        @Override
        public String name() {
            return "rounded projections";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            Tensor[] rounded = Arrays.stream(in).map(x -> x.cast(DType.BF16)).toArray(Tensor[]::new);
            save.save(rounded);
            return Arrays.stream(rounded).skip(1).map(w -> kernel.addRounded(null, rounded[0], false, w, true)).toArray(Tensor[]::new);
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            Tensor[] all = new Tensor[saved.length];
            for (int i = 0; i < gradients.length; i++) {
                if (gradients[i] == null) {
                    continue;
                }
                Tensor dy = gradients[i].cast(DType.BF16);
                if (needed[0]) {
                    all[0] = kernel.addRounded(all[0], dy, false, saved[i + 1], false);
                }
                if (needed[i + 1]) {
                    all[i + 1] = kernel.addRounded(null, dy, true, saved[0], false);
                }
            }
            return all;
        }
    }
}
