package dev.sequent.examples;

import dev.sequent.mixer.StateCost;

/**
 * What came out of training one model, to be compared with others on the same text.
 *
 * @param nats validation loss in nats per character, over the whole validation text
 * @param curve its losses
 * @param decodeRate generated tokens per second, one sequence
 * @param sample the prompt and what the model made of it
 */
record TrainedModel(ModelKind kind, String layers, long parameters, double nats, Curve curve, StateCost state, double decodeRate,
        String prompt, String sample) {
    double bits() {
        return nats / Math.log(2);
    }

    double trainRate() {
        return curve.tokens() / curve.seconds();
    }
}
