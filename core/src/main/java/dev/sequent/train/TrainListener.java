package dev.sequent.train;

/** Watches a training run. Called on the training thread; an exception ends the run. */
public interface TrainListener {
    /**
     * What a step did.
     *
     * @param step number of the step, from 1
     * @param steps steps of the whole run
     * @param loss training loss of the step's batches in nats per token
     * @param learningRate the step's learning rate
     * @param gradientNorm global norm of the gradients before clipping
     * @param tokens tokens of the step
     * @param seconds wall time of the step
     * @param flops floating-point operations of loss and gradients by the model's formulas
     */
    record Step(long step, long steps, double loss, double learningRate, double gradientNorm, long tokens, double seconds, double flops) {}

    /**
     * What a validation found.
     *
     * @param step steps done
     * @param loss mean validation loss in nats per token
     * @param tokens validation tokens
     * @param seconds wall time of the validation
     */
    record Validation(long step, double loss, long tokens, double seconds) {}

    /**
     * How far a validation has come.
     *
     * @param step training steps done
     * @param batches validation batches done
     * @param tokens validation tokens done
     */
    record Validating(long step, long batches, long tokens) {}

    /** After every step. */
    default void step(Step step) {}

    /** After every batch of a validation. */
    default void validating(Validating progress) {}

    /** After every validation. */
    default void validation(Validation validation) {}
}
