package dev.sequent.train;

import dev.sequent.fused.optim.AdamWStep;
import dev.sequent.fused.optim.OptimizerSteps;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import java.util.List;
import java.util.Map;

/**
 * Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019), as PyTorch's AdamW:
 * p -= lr decay p; p -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps).
 *
 * <p>Which parameters decay is their own property ({@link Parameter.Flag#NO_DECAY}), not a rule about shapes: Mamba's A_log is a matrix and
 * must not decay. Remembers m and v as {@code exp_avg} and {@code exp_avg_sq}, and for parameters in F16 or BF16 an
 * F32 copy, {@code master}: the update is computed in F32, and the parameter is its rounded result. Used by one thread.
 */
public final class AdamW extends MomentOptimizer {
    private static final String FIRST = "exp_avg";
    private static final String SECOND = "exp_avg_sq";

    private final Settings settings;

    /**
     * Settings.
     *
     * @param beta1 memory of the mean of gradients, in [0, 1)
     * @param beta2 memory of the mean of squares, in [0, 1)
     * @param eps added to the denominator, above 0
     * @param decay weight decay per unit of learning rate, at least 0
     */
    public record Settings(double beta1, double beta2, double eps, double decay) {
        /** Checks the values. */
        public Settings {
            if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1 && eps > 0 && decay >= 0)) {
                throw new ConfigException("adamw", "betas in [0, 1), eps > 0 and decay >= 0",
                        beta1 + ", " + beta2 + ", " + eps + ", " + decay);
            }
        }

        /** What language models are usually trained with: betas 0.9 and 0.95, eps 1e-8, decay 0.1. */
        public static Settings defaults() {
            return new Settings(0.9, 0.95, 1e-8, 0.1);
        }
    }

    /** An optimizer of parameters by checkpoint name. */
    public AdamW(Map<String, Parameter> named, Settings settings) {
        super(named, FIRST, SECOND);
        this.settings = settings;
    }

    /** The settings. */
    public Settings settings() {
        return settings;
    }

    @Override
    void update(List<Parameter> list, List<Tensor> values, List<Tensor> gradients, double learningRate, double scale) {
        AdamWStep decaying = factors(learningRate, settings.decay, scale);
        AdamWStep plain = factors(learningRate, 0, scale);
        List<AdamWStep> steps = list.stream().map(p -> p.has(Parameter.Flag.NO_DECAY) ? plain : decaying).toList();
        OptimizerSteps.adamw(steps, values, gradients, moment(FIRST), moment(SECOND));
    }

    private AdamWStep factors(double learningRate, double decay, double scale) {
        return AdamWStep.of(settings.beta1, settings.beta2, settings.eps, learningRate, decay, steps(), scale);
    }
}
