package dev.sequent.fused.optim;

import dev.sequent.autograd.Autograd;
import dev.sequent.kernel.KernelTable;
import dev.sequent.op.ReduceOp;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Optimizer updates and the gradient norm over lists of tensors. Parameters and optimizer state change in place: tensors that share
 * memory with them change too.
 *
 * <p>A kernel of the device takes all tensors that it accepts in one loop; the others are updated by tensor operations. Arithmetic is in
 * F32 at least, and results are rounded to the tensors' own types: updates smaller than the rounding of a 16-bit tensor are lost, which is
 * why the optimizers of {@code dev.sequent.train} keep F32 copies.
 */
public final class OptimizerSteps {
    private OptimizerSteps() {}

    /** One AdamW update; {@code steps.get(i)} belongs to {@code parameters.get(i)}. */
    public static void adamw(List<AdamWStep> steps, List<Tensor> parameters, List<Tensor> gradients, List<Tensor> first,
            List<Tensor> second) {
        run(gradients, List.of(parameters, first, second), new Update() {
            @Override
            public void fused(OptimizerKernel kernel, int[] at) {
                kernel.adamw(pick(steps, at), pick(parameters, at), pick(gradients, at), pick(first, at), pick(second, at));
            }

            @Override
            public void decomposed(int i) {
                adamw(steps.get(i), parameters.get(i), gradients.get(i), first.get(i), second.get(i));
            }
        });
    }

    /** One step of gradient descent with momentum; {@code steps.get(i)} belongs to {@code parameters.get(i)}. */
    public static void sgd(List<SgdStep> steps, List<Tensor> parameters, List<Tensor> gradients, List<Tensor> velocities) {
        run(gradients, List.of(parameters, velocities), new Update() {
            @Override
            public void fused(OptimizerKernel kernel, int[] at) {
                kernel.sgd(pick(steps, at), pick(parameters, at), pick(gradients, at), pick(velocities, at));
            }

            @Override
            public void decomposed(int i) {
                sgd(steps.get(i), parameters.get(i), gradients.get(i), velocities.get(i));
            }
        });
    }

    /** Square root of the sum of the squares of all elements of all tensors. */
    public static double norm(List<Tensor> tensors) {
        double[] sum = {0};
        run(tensors, List.of(), new Update() {
            @Override
            public void fused(OptimizerKernel kernel, int[] at) {
                sum[0] += kernel.sumSquares(pick(tensors, at));
            }

            @Override
            public void decomposed(int i) {
                sum[0] += sumSquares(tensors.get(i));
            }
        });
        return Math.sqrt(sum[0]);
    }

    /** One kind of update, in both forms. */
    private interface Update {
        void fused(OptimizerKernel kernel, int[] at);

        void decomposed(int i);
    }

    private static void run(List<Tensor> read, List<List<Tensor>> changed, Update update) {
        if (read.isEmpty()) {
            return;
        }
        KernelTable table = KernelTable.of(read.getFirst().device());
        List<Integer> accepted = new ArrayList<>();
        OptimizerKernel[] kernel = new OptimizerKernel[1];
        try (Scope _ = Scope.open()) {
            Autograd.noGrad(() -> {
                for (int i = 0; i < read.size(); i++) {
                    int at = i;
                    var found = table.select(OptimizerKernel.class, k -> refusal(k, read, changed, at));
                    if (found.isPresent()) {
                        kernel[0] = found.get();
                        accepted.add(i);
                    } else {
                        update.decomposed(i);
                    }
                }
                if (!accepted.isEmpty()) {
                    update.fused(kernel[0], accepted.stream().mapToInt(Integer::intValue).toArray());
                }
                return null;
            });
        }
    }

    private static Optional<String> refusal(OptimizerKernel kernel, List<Tensor> read, List<List<Tensor>> changed, int at) {
        Optional<String> reason = kernel.refusal(read.get(at), false);
        for (List<Tensor> list : changed) {
            reason = reason.or(() -> kernel.refusal(list.get(at), true)).or(() -> list.get(at).dtype() == read.get(at).dtype()
                    ? Optional.empty() : Optional.of("takes tensors of one dtype, given " + read.get(at).dtype() + " and "
                    + list.get(at).dtype()));
        }
        return reason;
    }

    private static <T> List<T> pick(List<T> list, int[] at) {
        List<T> picked = new ArrayList<>(at.length);
        for (int i : at) {
            picked.add(list.get(i));
        }
        return picked;
    }

    static void adamw(AdamWStep c, Tensor p, Tensor gradient, Tensor first, Tensor second) {
        Tensor g = wide(gradient).mul(c.scale());
        Tensor m = wide(first);
        Tensor v = wide(second);
        Tensor m1 = m.add(g.sub(m).mul(1 - c.beta1()));
        Tensor v1 = v.add(g.square().sub(v).mul(1 - c.beta2()));
        Tensor update = m1.mul(c.step()).div(v1.sqrt().mul(c.root()).add(c.eps()));
        overwrite(first, m1);
        overwrite(second, v1);
        overwrite(p, wide(p).mul(c.keep()).sub(update));
    }

    static void sgd(SgdStep c, Tensor p, Tensor gradient, Tensor velocity) {
        Tensor g = wide(gradient).mul(c.scale()).add(wide(p).mul(c.decay()));
        Tensor b = wide(velocity).mul(c.momentum()).add(g);
        Tensor direction = c.nesterov() ? g.add(b.mul(c.momentum())) : b;
        overwrite(velocity, b);
        overwrite(p, wide(p).sub(direction.mul(c.learningRate())));
    }

    /** In F16 AdamW's eps is 0, and a square below 6e-8 too. */
    private static Tensor wide(Tensor x) {
        return x.dtype() == DType.F16 || x.dtype() == DType.BF16 ? x.cast(DType.F32) : x;
    }

    static double sumSquares(Tensor x) {
        Tensor wide = x.device().supports(DType.F64) ? x.cast(DType.F64) : x.cast(DType.F32);
        return wide.square().reshape(-1).reduce(ReduceOp.SUM, false, 0).item();
    }

    private static void overwrite(Tensor target, Tensor value) {
        target.write(value.cast(target.dtype()), new long[target.rank()]);
    }
}
