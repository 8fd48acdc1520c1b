package dev.sequent.autograd;

import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracing;
import dev.sequent.type.ShapeException;
import java.util.Arrays;

/**
 * {@link Tensor#split} with a cheaper derivative. The derivative of a slice is the gradient padded with zeros, so the pieces of one tensor
 * cost a full-size tensor and an addition each; taken together their derivative is one concatenation. Under nested differentiation the
 * slices are recorded one by one, so that second derivatives exist.
 */
public final class Split {
    private Split() {}

    /** Consecutive pieces of the given sizes along an axis. */
    public static Tensor[] apply(Tensor x, int axis, long... sizes) {
        if (Arrays.stream(sizes).sum() != x.dim(axis)) {
            throw new ShapeException("split", "sizes that add up to " + x.dim(axis), Arrays.toString(sizes));
        }
        boolean single = Tracing.current() instanceof Tape tape && !tape.isNested();
        return single && sizes.length > 1 ? CustomOp.apply(new Pieces(x.shape().axis(axis), sizes), x) : x.split(axis, sizes);
    }

    private record Pieces(int axis, long[] sizes) implements CustomOp {
        @Override
        public String name() {
            return "split";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            save.save(in[0].slice(axis, 0, 0)); // device, dtype and the other sizes
            return in[0].split(axis, sizes);
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            Tensor like = saved[0];
            Tensor[] parts = new Tensor[sizes.length];
            for (int i = 0; i < parts.length; i++) {
                parts[i] = gradients[i] != null ? gradients[i] : Tensor.zeros(like.device(), like.dtype(),
                        like.shape().with(axis, sizes[i]).toArray());
            }
            return new Tensor[] {Tensor.concat(axis, parts)};
        }
    }
}
