package dev.sequent.train;

import dev.sequent.fused.optim.OptimizerSteps;
import dev.sequent.fused.optim.SgdStep;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import java.util.List;
import java.util.Map;

/**
 * Gradient descent with momentum, as PyTorch's SGD: g += decay p; b = momentum b + g; p -= lr b, or lr (g + momentum b) after Nesterov.
 *
 * <p>Parameters that are {@link Parameter.Flag#NO_DECAY} do not decay. Remembers b as {@code momentum_buffer}, and for parameters in F16
 * or BF16 an F32 copy, {@code master}: the update is computed in F32, and the parameter is its rounded result. Used by one thread.
 */
public final class Sgd extends MomentOptimizer {
    private static final String VELOCITY = "momentum_buffer";

    private final Settings settings;

    /**
     * Settings.
     *
     * @param momentum memory of the velocity, in [0, 1)
     * @param decay weight decay, added to the gradient; at least 0
     * @param nesterov whether to look ahead along the velocity
     */
    public record Settings(double momentum, double decay, boolean nesterov) {
        /** Checks the values. */
        public Settings {
            if (!(momentum >= 0 && momentum < 1 && decay >= 0)) {
                throw new ConfigException("sgd", "momentum in [0, 1) and decay >= 0", momentum + ", " + decay);
            }
        }

        /** Plain gradient descent. */
        public static Settings plain() {
            return new Settings(0, 0, false);
        }
    }

    /** An optimizer of parameters by checkpoint name. */
    public Sgd(Map<String, Parameter> named, Settings settings) {
        super(named, VELOCITY);
        this.settings = settings;
    }

    /** The settings. */
    public Settings settings() {
        return settings;
    }

    @Override
    void update(List<Parameter> list, List<Tensor> values, List<Tensor> gradients, double learningRate, double scale) {
        SgdStep decaying = factors(learningRate, settings.decay, scale);
        SgdStep plain = factors(learningRate, 0, scale);
        List<SgdStep> steps = list.stream().map(p -> p.has(Parameter.Flag.NO_DECAY) ? plain : decaying).toList();
        OptimizerSteps.sgd(steps, values, gradients, moment(VELOCITY));
    }

    private SgdStep factors(double learningRate, double decay, double scale) {
        return new SgdStep(learningRate, settings.momentum, decay, settings.nesterov, scale);
    }
}
