package dev.sequent.examples;

import dev.sequent.generate.BeamSearch;
import dev.sequent.generate.EarlyStopping;
import java.util.List;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Beam search on the command line. */
final class BeamOptions {
    private static final Map<String, EarlyStopping> ENDS = Map.of("true", EarlyStopping.WHEN_FULL, "false", EarlyStopping.HEURISTIC,
            "never", EarlyStopping.NEVER);

    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(names = "--beams", paramLabel = "N", defaultValue = "0",
            description =
                    "look for the most likely text with N sequences at a time, instead of sampling; 0 samples (default: ${DEFAULT-VALUE})")
    private int beams;

    @Option(names = "--best", paramLabel = "N", defaultValue = "1", description = "how many of them to print (default: ${DEFAULT-VALUE})")
    private int best;

    @Option(names = "--length-penalty", paramLabel = "X", defaultValue = "1",
            description = "above 0 favours long texts, below 0 short ones (default: ${DEFAULT-VALUE})")
    private double lengthPenalty;

    @Option(names = "--early-stopping", paramLabel = "WHEN", defaultValue = "false",
            description = "true: with as many finished texts as beams; false: when others seem worse; never: when they are "
                    + "(default: ${DEFAULT-VALUE})")
    private String earlyStopping;

    boolean active() {
        return beams > 0;
    }

    /** The settings, checked. */
    BeamSearch.Settings settings(int maxTokens, int minTokens, Set<Integer> stop) {
        Programs.require(beams <= 1000, spec, "--beams", "at most 1000", beams);
        Programs.require(best >= 1 && best <= beams, spec, "--best", "between 1 and --beams", best);
        Programs.require(Double.isFinite(lengthPenalty), spec, "--length-penalty", "a finite number", lengthPenalty);
        Programs.require(ENDS.containsKey(earlyStopping), spec, "--early-stopping", "true, false or never", earlyStopping);
        return new BeamSearch.Settings(beams, best, maxTokens, minTokens, lengthPenalty, ENDS.get(earlyStopping), stop, List.of());
    }

    /** Fails for a negative number of beams. */
    void check() {
        Programs.require(beams >= 0, spec, "--beams", "at least 1, or 0 for sampling", beams);
    }
}
