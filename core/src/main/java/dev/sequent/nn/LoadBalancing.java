package dev.sequent.nn;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracer;
import dev.sequent.tensor.Tracing;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.function.Supplier;

/**
 * The auxiliary loss that keeps the experts of {@link MixtureOfExperts} layers evenly used (Fedus et al. 2021, equations 4 to 6), over all
 * layers at once as in Hugging Face's {@code load_balancing_loss_func}.
 *
 * <pre>{@code
 * Tensor loss = LoadBalancing.add(0.001, () -> CrossEntropy.loss(...));    // a forward pass through the model in it
 * }</pre>
 *
 * <p>With f_e the number of times expert e is chosen and p_e its mean probability, both per token and layer, it is E sum f_e p_e: k when
 * experts are used evenly, up to E when they are not. f has no derivative. Padding tokens count like any others. Blocks that are recomputed
 * in the backward pass cannot take part, because what their routers computed is gone by then; this is an error, not a loss without
 * derivative.
 */
public final class LoadBalancing {
    private static final ScopedValue<LoadBalancing> CURRENT = ScopedValue.newInstance();

    /** Who recorded derivatives when the computation began. */
    private final Tracer tracer = Tracing.current();
    private Tensor probabilities;
    private double[] counts;
    private long rows;

    private LoadBalancing() {}

    /**
     * Runs {@code computation} and adds {@code coefficient} times the auxiliary loss of the mixtures of experts that it passes through;
     * differentiable. All of them must have the same number of experts. Without any, the result is what the computation returns.
     *
     * @param computation returns a scalar
     * @throws ConfigException when layers have different numbers of experts, or run inside a recomputed block
     */
    public static Tensor add(double coefficient, Supplier<Tensor> computation) {
        if (coefficient == 0) {
            return computation.get();
        }
        LoadBalancing sums = new LoadBalancing();
        try {
            return Scope.returning(() -> {
                Tensor loss = ScopedValue.where(CURRENT, sums).call(computation::get);
                return sums.rows == 0 ? loss : loss.add(sums.loss().mul(coefficient).cast(loss.dtype()));
            });
        } finally {
            sums.release();
        }
    }

    /** Takes note of one layer's decisions, where somebody wants to know. */
    static void observe(Tensor p, MixtureOfExperts.Plan plan) {
        if (CURRENT.isBound()) {
            CURRENT.get().take(p, plan);
        }
    }

    private void take(Tensor p, MixtureOfExperts.Plan plan) {
        if (tracer != null && Tracing.current() == null) {
            throw new ConfigException("load balancing", "blocks whose values are kept for the backward pass", "a block that is recomputed; "
                    + "train without recomputation, or with router_aux_loss_coef 0");
        }
        int experts = (int) p.dim(1);
        if (counts != null && counts.length != experts) {
            throw new ConfigException("load balancing", "the same number of experts in all layers", counts.length + " and " + experts);
        }
        if (counts == null) {
            counts = new double[experts];
        }
        for (int e = 0; e < experts; e++) {
            counts[e] += plan.count(e);
        }
        rows += p.dim(0);
        try (Scope _ = Scope.open()) {
            Tensor sum = probabilities == null ? p.sum(0) : probabilities.add(p.sum(0));
            release();
            // outlives the scopes of the layers in between
            probabilities = sum.own();
        }
    }

    private Tensor loss() {
        Device device = probabilities.device();
        float[] narrow = new float[counts.length];
        for (int e = 0; e < narrow.length; e++) {
            narrow[e] = (float) counts[e];
        }
        Tensor f = probabilities.dtype() == DType.F64 ? Tensor.of(device, counts) : Tensor.of(device, narrow);
        return probabilities.mul(f).sum().mul(counts.length / ((double) rows * rows));
    }

    private void release() {
        if (probabilities != null) {
            probabilities.close();
        }
    }
}
