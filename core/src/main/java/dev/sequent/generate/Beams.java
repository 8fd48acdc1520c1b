package dev.sequent.generate;

import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.function.IntFunction;

/** The search for one prompt: the sequences that it follows, and the finished ones. See {@link BeamSearch}. */
final class Beams {
    private final BeamSearch.Settings settings;
    private final List<LogitsProcessor> chain;
    private final List<BeamSearch.Hypothesis> finished = new ArrayList<>();
    private List<Beam> running;

    /**
     * A sequence.
     *
     * @param tokens the prompt and what follows it
     * @param logProbabilities of what follows it
     * @param sum of the log-probabilities
     * @param origin which of the sequences before the last step it extends
     */
    record Beam(TokenHistory tokens, double[] logProbabilities, double sum, int origin) {
        int token() {
            return tokens.token(tokens.size() - 1);
        }
    }

    /** A possible extension of sequence {@code origin}. */
    private record Extension(int origin, int token, double logProbability, double sum) {
        static final Comparator<Extension> BEST_FIRST = Comparator.comparingDouble((Extension e) -> -e.sum)
                .thenComparingInt(e -> e.origin).thenComparingInt(e -> e.token);
    }

    Beams(int[] prompt, BeamSearch.Settings settings) {
        this.settings = settings;
        this.chain = settings.chain();
        this.running = List.of(new Beam(TokenHistory.of(prompt), new double[0], 0, 0));
    }

    /** Number of sequences that go on. */
    int size() {
        return running.size();
    }

    List<Beam> running() {
        return running;
    }

    boolean done() {
        return running.isEmpty();
    }

    /** One step: extends every running sequence by the logits of its row. */
    void extend(IntFunction<float[]> rows) {
        List<Extension> best = best(rows);
        if (best.isEmpty()) {
            throw new DataException("beam search", "at least one token that the processors leave", "none");
        }
        int length = running.getFirst().tokens().generated() + 1;
        boolean last = length == settings.maxTokens();
        List<Beam> next = new ArrayList<>();
        for (int rank = 0; rank < best.size() && next.size() < settings.num_beams(); rank++) {
            Extension e = best.get(rank);
            boolean stops = settings.stop().contains(e.token);
            if (!stops && !last) {
                next.add(extended(e));
            } else if (rank < settings.num_beams()) {
                finish(extended(e), stops ? FinishReason.STOP_TOKEN : FinishReason.LENGTH);
            }
        }
        running = next.isEmpty() || noneCanEnter(next.getFirst().sum(), length) ? List.of() : List.copyOf(next);
    }

    private Beam extended(Extension e) {
        Beam from = running.get(e.origin);
        double[] p = Arrays.copyOf(from.logProbabilities(), from.logProbabilities().length + 1);
        p[p.length - 1] = e.logProbability;
        return new Beam(from.tokens().with(e.token), p, e.sum, e.origin);
    }

    /** The best extensions of all sequences, best first: so many that {@code num_beams} are left when all with a stop token are gone. */
    private List<Extension> best(IntFunction<float[]> rows) {
        int kept = (int) Math.min(Integer.MAX_VALUE, Math.max(2L, 1L + settings.stop().size()) * settings.num_beams());
        PriorityQueue<Extension> queue = new PriorityQueue<>(Extension.BEST_FIRST.reversed());
        for (int i = 0; i < running.size(); i++) {
            Beam beam = running.get(i);
            float[] logP = logProbabilities(rows.apply(i), beam.tokens());
            for (int token = 0; token < logP.length; token++) {
                double sum = beam.sum() + logP[token];
                // of equal sums the earlier one is better, so a later one never replaces it
                if (logP[token] > Float.NEGATIVE_INFINITY && (queue.size() < kept || sum > queue.peek().sum)) {
                    queue.add(new Extension(i, token, logP[token], sum));
                    if (queue.size() > kept) {
                        queue.poll();
                    }
                }
            }
        }
        return queue.stream().sorted(Extension.BEST_FIRST).toList();
    }

    private float[] logProbabilities(float[] logits, TokenHistory tokens) {
        Logits.best(logits);
        double normalizer = Logits.logSumExp(logits);
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) (logits[i] - normalizer);
        }
        for (LogitsProcessor processor : chain) {
            processor.process(tokens, logits);
        }
        for (int i = 0; i < logits.length; i++) {
            if (Float.isNaN(logits[i]) || logits[i] == Float.POSITIVE_INFINITY) {
                throw new DataException("beam search", "numbers or negative infinity from the processors", logits[i] + " for token " + i);
            }
        }
        return logits;
    }

    private void finish(Beam beam, FinishReason reason) {
        Continuation continuation = new Continuation(beam.tokens().continuation(), beam.logProbabilities(), reason);
        finished.add(new BeamSearch.Hypothesis(continuation, beam.sum() / penalty(beam.tokens().generated())));
        // the sort is stable: of equal scores the one that was finished first stays in front
        finished.sort(Comparator.comparingDouble(h -> -h.score()));
        if (finished.size() > settings.num_beams()) {
            finished.removeLast();
        }
    }

    private boolean full() {
        return finished.size() == settings.num_beams();
    }

    private double penalty(int length) {
        return Math.pow(length, settings.length_penalty());
    }

    /** Whether a sequence that goes on, the best of which has {@code sum}, is not expected among the finished ones any more. */
    private boolean noneCanEnter(double sum, int length) {
        if (!full()) {
            return false;
        }
        boolean longest = settings.early_stopping() == EarlyStopping.NEVER && settings.length_penalty() > 0;
        double reachable = sum / penalty(longest ? settings.maxTokens() : length);
        return settings.early_stopping() == EarlyStopping.WHEN_FULL || reachable <= finished.getLast().score();
    }

    /** Ends the search: running sequences are finished as they are. */
    void end(FinishReason reason) {
        running.forEach(b -> finish(b, reason));
        running = List.of();
    }

    /** The best finished sequences, best first. */
    List<BeamSearch.Hypothesis> best() {
        return List.copyOf(finished.subList(0, Math.min(settings.num_return_sequences(), finished.size())));
    }
}
