package dev.sequent.examples;

import dev.sequent.generate.Sampling;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** How tokens are chosen: a {@link Sampling} on the command line. */
final class SamplingOptions {
    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(names = "--temperature", paramLabel = "X", defaultValue = "0.8",
            description = "0 always takes the most likely token, 1 samples what the model believes (default: ${DEFAULT-VALUE})")
    private double temperature;

    @Option(names = "--top-k", paramLabel = "K", defaultValue = "0",
            description = "only the K most likely tokens; 0 for all (default: ${DEFAULT-VALUE})")
    private int topK;

    @Option(names = "--top-p", paramLabel = "P", defaultValue = "1",
            description = "only the most likely tokens that together have this probability (default: ${DEFAULT-VALUE})")
    private double topP;

    @Option(names = "--min-p", paramLabel = "P", defaultValue = "0",
            description = "only tokens at least P times as likely as the most likely one (default: ${DEFAULT-VALUE})")
    private double minP;

    @Option(names = "--typical-p", paramLabel = "P", defaultValue = "1",
            description = "only tokens of nearly the expected surprise that together have this probability (default: ${DEFAULT-VALUE})")
    private double typicalP;

    @Option(names = "--repetition-penalty", paramLabel = "X", defaultValue = "1",
            description = "above 1 makes tokens that have occurred less likely (default: ${DEFAULT-VALUE})")
    private double repetitionPenalty;

    @Option(names = "--frequency-penalty", paramLabel = "X", defaultValue = "0",
            description = "taken from a token's logit for every time it was generated (default: ${DEFAULT-VALUE})")
    private double frequencyPenalty;

    @Option(names = "--presence-penalty", paramLabel = "X", defaultValue = "0",
            description = "taken from the logits of tokens that were generated (default: ${DEFAULT-VALUE})")
    private double presencePenalty;

    @Option(names = "--no-repeat-ngram", paramLabel = "N", defaultValue = "0",
            description = "no N tokens twice in the same order; 0 for no such rule (default: ${DEFAULT-VALUE})")
    private int noRepeatNgram;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "1",
            description = "the same seed gives the same text (default: ${DEFAULT-VALUE})")
    private long seed;

    /** The rules, checked. */
    Sampling sampling() {
        Programs.require(temperature >= 0 && temperature < Double.POSITIVE_INFINITY, spec, "--temperature", "at least 0", temperature);
        Programs.require(topK >= 0, spec, "--top-k", "at least 0", topK);
        Programs.require(topP > 0 && topP <= 1, spec, "--top-p", "above 0 and at most 1", topP);
        Programs.require(minP >= 0 && minP <= 1, spec, "--min-p", "between 0 and 1", minP);
        Programs.require(typicalP > 0 && typicalP <= 1, spec, "--typical-p", "above 0 and at most 1", typicalP);
        Programs.require(repetitionPenalty > 0 && repetitionPenalty < Double.POSITIVE_INFINITY, spec, "--repetition-penalty", "above 0",
                repetitionPenalty);
        Programs.require(Double.isFinite(frequencyPenalty), spec, "--frequency-penalty", "a finite number", frequencyPenalty);
        Programs.require(Double.isFinite(presencePenalty), spec, "--presence-penalty", "a finite number", presencePenalty);
        Programs.require(noRepeatNgram >= 0, spec, "--no-repeat-ngram", "at least 0", noRepeatNgram);
        return Sampling.temperature(temperature, seed).withTopK(topK).withTopP(topP).withMinP(minP).withTypicalP(typicalP)
                .withRepetitionPenalty(repetitionPenalty).withPenalties(frequencyPenalty, presencePenalty).withNoRepeatNgram(noRepeatNgram);
    }
}
