package dev.sequent.generate;

/**
 * What follows a prompt.
 *
 * @param tokens the new tokens; a stop token is the last of them
 * @param logProbabilities of each of them: what {@link Generator} was told by the model, whole vocabulary, before any processor; what
 *     {@link BeamSearch} has added up, after its processors
 * @param finish why it ends
 */
public record Continuation(int[] tokens, double[] logProbabilities, FinishReason finish) {
    /** The sum of the tokens' log-probabilities. */
    public double logProbability() {
        double sum = 0;
        for (double p : logProbabilities) {
            sum += p;
        }
        return sum;
    }
}
