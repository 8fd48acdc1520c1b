package dev.sequent.fused.loss;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.op.CompareOp;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.Optional;

/**
 * Cross-entropy of softmax(logits) with integer targets, in nats: the loss of language models. A position whose target is negative
 * has no target; whatever its logits are, NaN included, it neither adds to the loss nor gets a gradient.
 *
 * <p>Differentiable by the logits. A kernel of the device is used where there is one, else tensor operations.
 */
public final class CrossEntropy {
    private CrossEntropy() {}

    /**
     * Mean over all positions that have a target; 0 when none has.
     *
     * <p>The kernel computes the derivative together with the loss: the logits are read once, and nothing of their size is stored but the
     * derivative itself.
     *
     * @param logits (..., V)
     * @param targets I32 or I64 (...), below V
     * @return a scalar
     * @throws ShapeException when shapes do not fit or a target is V or more
     */
    public static Tensor loss(Tensor logits, Tensor targets) {
        check(logits, targets);
        Optional<CrossEntropyKernel> kernel = kernel(logits);
        if (kernel.isPresent()) {
            return CustomOp.apply(new FusedMean(kernel.get()), logits, targets)[0];
        }
        Tensor losses = wideLosses(logits, targets);
        Tensor count = targets.compare(CompareOp.GE, 0).cast(losses.dtype()).sum();
        return losses.sum().div(count.maximum(Tensor.ones(losses.device(), losses.dtype()))).cast(logits.dtype());
    }

    /** Loss of every position (...); 0 where there is no target. Arguments as in {@link #loss}. */
    public static Tensor perPosition(Tensor logits, Tensor targets) {
        check(logits, targets);
        Optional<CrossEntropyKernel> kernel = kernel(logits);
        return kernel.isPresent() ? CustomOp.apply(new Fused(kernel.get()), logits, targets)[0] : decompose(logits, targets);
    }

    private static Optional<CrossEntropyKernel> kernel(Tensor logits) {
        return KernelTable.of(logits.device()).select(CrossEntropyKernel.class, k -> k.refusal(logits));
    }

    private static void check(Tensor logits, Tensor targets) {
        if (logits.rank() == 0 || !logits.shape().without(-1).equals(targets.shape())) {
            throw new ShapeException("cross_entropy", "logits (..., V) and targets (...)", logits.shape() + " and " + targets.shape());
        }
        if (!targets.dtype().isInteger() || !logits.dtype().isFloat()) {
            throw new DTypeException("cross_entropy", "float logits and integer targets", logits + " and " + targets);
        }
    }

    /** The decomposition: runs on every backend and is what kernels are compared with. F16 and BF16 are widened to F32. */
    static Tensor decompose(Tensor logits, Tensor targets) {
        return wideLosses(logits, targets).cast(logits.dtype());
    }

    /** Losses in at least F32: in F16 their sum would soon be infinite, and in BF16 a count above 256 inexact. */
    private static Tensor wideLosses(Tensor logits, Tensor targets) {
        long v = logits.dim(-1);
        if (!targets.device().capturing()) {
            requireBelow(v, targets);
        }
        boolean narrow = logits.dtype() == DType.F16 || logits.dtype() == DType.BF16;
        Tensor wide = narrow ? logits.cast(DType.F32) : logits;
        Tensor valid = targets.compare(CompareOp.GE, 0);
        Tensor index = valid.where(targets, Tensor.zeros(targets.device(), targets.dtype()));
        // A row without a target may hold anything: its NaN times a gradient of 0 would be NaN.
        Tensor counted = valid.unsqueeze(-1).where(wide, Tensor.zeros(wide.device(), wide.dtype()));
        Tensor log = counted.logSoftmax(-1).gather(-1, index.unsqueeze(-1)).squeeze(-1);
        return valid.where(log.neg(), Tensor.zeros(log.device(), log.dtype()));
    }

    private static void requireBelow(long v, Tensor targets) {
        for (long t : targets.toLongs()) {
            if (t >= v) {
                throw new ShapeException("cross_entropy", "targets below " + v, t + "");
            }
        }
    }

    /** Loss per position and its derivative on the tape; operands logits and targets. */
    private record Fused(CrossEntropyKernel kernel) implements CustomOp {
        @Override
        public String name() {
            return "cross_entropy";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            CrossEntropyKernel.Losses losses = kernel.forward(in[0], in[1]);
            save.save(in[0], in[1], losses.logSumExp());
            return new Tensor[] {losses.loss()};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return new Tensor[] {kernel.backward(gradients[0], saved[0], saved[1], saved[2]), null};
        }
    }

    /** Mean loss whose derivative is computed in the forward pass; operands logits and targets. */
    private record FusedMean(CrossEntropyKernel kernel) implements CustomOp {
        @Override
        public String name() {
            return "cross_entropy";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            CrossEntropyKernel.Mean mean = kernel.mean(in[0], in[1], save.recording());
            save.save(mean.gradient());
            return new Tensor[] {mean.loss()};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return new Tensor[] {kernel.scale(saved[0], gradients[0]), null};
        }
    }
}
