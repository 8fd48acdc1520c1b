package dev.sequent.fused.norm;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracing;
import dev.sequent.type.DTypeException;
import java.util.Optional;

/**
 * Normalisation of the last axis, alone or together with the residual addition before it.
 *
 * <p>RMS: y = s / sqrt(mean(s^2) + eps) weight (Zhang and Sennrich 2019). Layer: y = (s - mean(s)) / sqrt(var(s) + eps) weight + bias
 * (Ba et al. 2016). Differentiable by every tensor argument. A kernel of the device is used where there is one, else tensor operations.
 */
public final class Normalize {
    private Normalize() {}

    /**
     * A residual stream after an addition, and its normalised form.
     *
     * @param sum x + residual
     * @param normalised what the next layer reads
     */
    public record Added(Tensor sum, Tensor normalised) {}

    /** RMS normalisation of x (..., D) with a weight (D). */
    public static Tensor rms(Tensor x, Tensor weight, double eps) {
        return new Op("rms_norm", false, eps).apply(x, null, weight, null).normalised;
    }

    /** {@link #rms} of x + residual, both (..., D); returns the sum too. */
    public static Added addRms(Tensor x, Tensor residual, Tensor weight, double eps) {
        return new Op("add_rms_norm", false, eps).apply(x, residual, weight, null);
    }

    /** Layer normalisation of x (..., D) with a weight (D) and a bias (D), which may be null. */
    public static Tensor layer(Tensor x, Tensor weight, Tensor bias, double eps) {
        return new Op("layer_norm", true, eps).apply(x, null, weight, bias).normalised;
    }

    /** {@link #layer} of x + residual, both (..., D); returns the sum too. */
    public static Added addLayer(Tensor x, Tensor residual, Tensor weight, Tensor bias, double eps) {
        return new Op("add_layer_norm", true, eps).apply(x, residual, weight, bias);
    }

    /** One way of normalising. */
    private record Op(String name, boolean centred, double eps) {
        Added apply(Tensor x, Tensor residual, Tensor weight, Tensor bias) {
            check(x, residual, weight, bias);
            Optional<NormKernel> kernel = KernelTable.of(x.device()).select(NormKernel.class,
                    k -> Tracing.current() == null ? k.forwardRefusal(x) : k.refusal(x));
            if (kernel.isPresent()) {
                Tensor[] out = CustomOp.apply(new Fused(this, kernel.get()), x, residual, weight, bias);
                return new Added(out[0], out[1]);
            }
            Tensor s = residual == null ? x : x.add(residual);
            return new Added(s, centred ? NormDecomposition.layer(s, weight, bias, eps) : NormDecomposition.rms(s, weight, eps));
        }

        private void check(Tensor x, Tensor residual, Tensor weight, Tensor bias) {
            weight.expect(name + " weight", x.dim(-1));
            if (bias != null) {
                bias.expect(name + " bias", x.dim(-1));
            }
            if (residual != null) {
                residual.expect(name + " residual", x.shape().toArray());
            }
            for (Tensor t : new Tensor[] {weight, bias, residual}) {
                if (t != null && t.dtype() != x.dtype()) {
                    throw new DTypeException(name, "operands of dtype " + x.dtype(), t.toString());
                }
            }
        }
    }

    /** The kernel and its derivative on the tape; operands x, residual, weight, bias. */
    private record Fused(Op op, NormKernel kernel) implements CustomOp {
        @Override
        public String name() {
            return op.name;
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            NormKernel.Result r = kernel.forward(in[0], in[1], in[2], in[3], op.centred, op.eps);
            if (save.recording()) {
                save.save(in[1] == null ? in[0] : r.sum(), in[2], in[3], r.mean(), r.rstd());
            }
            return new Tensor[] {r.sum(), r.y()};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            Tensor dsum = gradients[0];
            Tensor dy = gradients[1];
            if (dy == null) {
                return new Tensor[] {dsum, dsum, null, null};
            }
            NormKernel.Gradients g = kernel.backward(dy, dsum, saved[0], saved[1], saved[3], saved[4], saved[2] != null);
            return new Tensor[] {g.ds(), g.ds(), g.dweight(), g.dbias()};
        }
    }
}
