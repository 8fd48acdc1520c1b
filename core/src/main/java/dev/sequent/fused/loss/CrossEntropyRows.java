package dev.sequent.fused.loss;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sequent.fused.Indices;
import dev.sequent.fused.RowMath;
import dev.sequent.fused.Rows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * Cross-entropy of softmax(logits) with integer targets, per row of a (rows, V) matrix in host memory, F32.
 *
 * <p>loss_r = logsumexp(x_r) - x_r[t_r]; its gradient by the logits is softmax(x_r) - onehot(t_r). A row whose target is negative is
 * ignored: its loss and its gradient are 0, whatever its logits. The sum of exponentials goes on in double.
 *
 * <p>The gradient is either written together with the loss, which reads the logits from memory once and computes every exponential
 * once, or later from the logits and the saved logsumexp. In both forms it may overwrite the logits, so that training needs one
 * logits-sized tensor, or two if the logits must survive; probabilities are never stored beside the gradient. Thread-safe: no state.
 */
final class CrossEntropyRows {
    private final RowMath math;

    CrossEntropyRows(RowMath math) {
        this.math = math;
    }

    static CrossEntropyRows of(boolean vector) {
        return new CrossEntropyRows(RowMath.of(vector));
    }

    /** Writes every row's loss and logsumexp. Targets must be below {@code width}: see {@link Indices#check}. */
    void forward(Parallel parallel, MemorySegment logits, Indices targets, MemorySegment loss, MemorySegment lse, int rows, int width) {
        Rows.forEach(parallel, rows, width, (from, to) -> {
            for (int r = from; r < to; r++) {
                long at = (long) r * width;
                long target = targets.at(r);
                float max = math.max(logits, at, width);
                double z = max + Math.log(math.sumExp(logits, at, max, width));
                lse.setAtIndex(JAVA_FLOAT, r, (float) z);
                loss.setAtIndex(JAVA_FLOAT, r, target < 0 ? 0 : (float) (z - logits.getAtIndex(JAVA_FLOAT, at + target)));
            }
        });
    }

    /**
     * Writes every row's loss and {@code scale} times its gradient by the logits.
     *
     * @param gradient receives the gradient (rows, width); may be {@code logits}
     */
    void forwardWithGradient(Parallel parallel, MemorySegment logits, Indices targets, MemorySegment loss, MemorySegment gradient,
            float scale, int rows, int width) {
        Rows.forEach(parallel, rows, width, (from, to) -> {
            for (int r = from; r < to; r++) {
                long at = (long) r * width;
                long target = targets.at(r);
                if (target < 0) {
                    clearRow(gradient, at, width);
                    loss.setAtIndex(JAVA_FLOAT, r, 0);
                    continue;
                }
                float logit = logits.getAtIndex(JAVA_FLOAT, at + target);
                float max = math.max(logits, at, width);
                double sum = math.exp(logits, at, max, gradient, at, width);
                loss.setAtIndex(JAVA_FLOAT, r, (float) (max - logit + Math.log(sum)));
                finishRow(gradient, at, target, (float) (scale / sum), scale, width);
            }
        });
    }

    /**
     * Writes the gradient by the logits, given the gradient of every row's loss.
     *
     * @param dloss gradient of every row's loss (rows)
     * @param dlogits receives the gradient (rows, width); may be {@code logits}
     */
    void backward(Parallel parallel, MemorySegment dloss, MemorySegment logits, Indices targets, MemorySegment lse, MemorySegment dlogits,
            int rows, int width) {
        Rows.forEach(parallel, rows, width, (from, to) -> {
            for (int r = from; r < to; r++) {
                long at = (long) r * width;
                long target = targets.at(r);
                if (target < 0) {
                    clearRow(dlogits, at, width);
                    continue;
                }
                float scale = dloss.getAtIndex(JAVA_FLOAT, r);
                math.exp(logits, at, lse.getAtIndex(JAVA_FLOAT, r), dlogits, at, width);
                finishRow(dlogits, at, target, scale, scale, width);
            }
        });
    }

    private void finishRow(MemorySegment gradient, long at, long target, float factor, float scale, int width) {
        math.scale(gradient, at, factor, gradient, at, width);
        gradient.setAtIndex(JAVA_FLOAT, at + target, gradient.getAtIndex(JAVA_FLOAT, at + target) - scale);
    }

    private static void clearRow(MemorySegment x, long at, int width) {
        x.asSlice(at << 2, (long) width << 2).fill((byte) 0);
    }
}
