package dev.sequent.generate;

import dev.sequent.autograd.Autograd;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelState;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/**
 * Looks for continuations of high probability: of all one-token extensions of the best sequences the best {@code beams} are kept, and the
 * model's states follow them ({@link ModelState#reorder}), whatever the mixers.
 *
 * <pre>{@code
 * List<List<BeamSearch.Hypothesis>> found = new BeamSearch(model).search(prompts, BeamSearch.Settings.of(4, 50, Set.of(end)));
 * int[] best = found.get(0).getFirst().continuation().tokens();
 * }</pre>
 *
 * <p>The rules are those of Hugging Face transformers. Log-probabilities pass through the processors and are added up. Of the extensions,
 * in
 * falling order of their sums, those with a stop token among the first {@code beams} are finished; the first {@code beams} others go on.
 * At the greatest length the first {@code beams} extensions are finished, whatever their token. A finished sequence of n new tokens, the
 * stop token counted, scores {@code sum / n^length_penalty}; the best {@code beams} of them are kept. {@link EarlyStopping} says when a
 * prompt is done; its states are dropped then. Equal sums are ordered by the sequence they extend, then by token; of equal scores the one
 * that was finished first wins. Thread-safe: every call makes states of its own.
 */
public final class BeamSearch {
    private final LanguageModel model;
    private final int chunk;

    /** A search that feeds prompts in chunks of 2048 tokens. */
    public BeamSearch(LanguageModel model) {
        this(model, Prompts.DEFAULT_CHUNK);
    }

    /** A search that feeds prompts in chunks of {@code chunk} tokens. */
    public BeamSearch(LanguageModel model, int chunk) {
        if (chunk < 1) {
            throw new ConfigException("beam search", "a chunk of at least one token", chunk + "");
        }
        this.model = model;
        this.chunk = chunk;
    }

    /**
     * How to search.
     *
     * @param num_beams sequences that are followed at a time
     * @param num_return_sequences the most finished sequences to return per prompt, at most {@code num_beams}
     * @param maxTokens the most new tokens
     * @param minTokens no stop token comes before so many others
     * @param length_penalty exponent of the length that a sum is divided by: above 0 favours longer sequences, below 0 shorter ones
     * @param early_stopping when to end
     * @param stop tokens that finish a sequence
     * @param processors change log-probabilities before they are added up, in their order
     */
    public record Settings(int num_beams, int num_return_sequences, int maxTokens, int minTokens, double length_penalty,
            EarlyStopping early_stopping, Set<Integer> stop, List<LogitsProcessor> processors) {
        /** Checks the values. */
        public Settings {
            stop = Set.copyOf(stop);
            processors = List.copyOf(processors);
            if (num_beams < 1 || num_return_sequences < 1 || num_return_sequences > num_beams) {
                throw new ConfigException("beam search", "num_beams >= 1 and 1 <= num_return_sequences <= num_beams",
                        num_beams + ", " + num_return_sequences);
            }
            if (maxTokens < 1 || minTokens < 0 || !Double.isFinite(length_penalty) || stop.stream().anyMatch(id -> id < 0)) {
                throw new ConfigException("beam search", "maxTokens >= 1, minTokens >= 0, a finite length_penalty and stop tokens >= 0",
                        maxTokens + ", " + minTokens + ", " + length_penalty + ", " + stop);
            }
        }

        /** The best of {@code beams} sequences, with length penalty 1 and the usual heuristic. */
        public static Settings of(int beams, int maxTokens, Set<Integer> stop) {
            return new Settings(beams, 1, maxTokens, 0, 1, EarlyStopping.HEURISTIC, stop, List.of());
        }

        /** The same that returns the {@code n} best. */
        public Settings withBest(int n) {
            return new Settings(num_beams, n, maxTokens, minTokens, length_penalty, early_stopping, stop, processors);
        }

        /** The same with at least {@code n} tokens in front of a stop token. */
        public Settings withMinTokens(int n) {
            return new Settings(num_beams, num_return_sequences, maxTokens, n, length_penalty, early_stopping, stop, processors);
        }

        /** The same with another length penalty and end. */
        public Settings with(double lengthPenalty, EarlyStopping earlyStopping) {
            return new Settings(num_beams, num_return_sequences, maxTokens, minTokens, lengthPenalty, earlyStopping, stop, processors);
        }

        /** The same with these processors, in this order. */
        public Settings withProcessors(LogitsProcessor... list) {
            return new Settings(num_beams, num_return_sequences, maxTokens, minTokens, length_penalty, early_stopping, stop, List.of(list));
        }

        List<LogitsProcessor> chain() {
            List<LogitsProcessor> chain = new ArrayList<>(processors);
            if (minTokens > 0 && !stop.isEmpty()) {
                chain.add(LogitsProcessors.minNewTokens(minTokens, stop));
            }
            return chain;
        }
    }

    /**
     * A sequence that has been found.
     *
     * @param continuation its tokens and their log-probabilities, after the processors
     * @param score their sum divided by n^length_penalty
     */
    public record Hypothesis(Continuation continuation, double score) {}

    /** {@link #search(int[][], Settings, IntPredicate)} until it ends by itself. */
    public List<List<Hypothesis>> search(int[][] prompts, Settings settings) {
        return search(prompts, settings, _ -> true);
    }

    /**
     * Searches for the continuations of a batch of prompts.
     *
     * @param prompts token ids, at least one per row
     * @param goOn is called after every step with the number of steps; false, like an interrupt of the thread, ends the search with the
     *     unfinished sequences as they are
     * @return for each prompt the best sequences, best first; empty only when the thread was interrupted before the first step
     * @throws DataException for an empty batch, an empty prompt, ids outside the vocabulary, or logits among which there is nothing to
     *     choose
     * @throws dev.sequent.type.CapacityException when the model has a limit and prompt plus new tokens exceed it
     */
    public List<List<Hypothesis>> search(int[][] prompts, Settings settings, IntPredicate goOn) {
        Prompts batch = Prompts.of(prompts, model.config().vocab_size());
        int capacity = batch.capacity(model, settings.maxTokens());
        StateSpec spec = new StateSpec(prompts.length, capacity, model.parameters().iterator().next().value().dtype(), model.device());
        return Autograd.noGrad(() -> {
            try (Scope _ = Scope.open(); ModelState state = model.newState(spec)) {
                List<Beams> all = Arrays.stream(prompts).map(p -> new Beams(p, settings)).toList();
                batch.feed(model, chunk, state).ifPresent(logits -> loop(all, logits, state, settings, goOn));
                return all.stream().map(Beams::best).toList();
            }
        });
    }

    private void loop(List<Beams> all, Tensor first, ModelState state, Settings settings, IntPredicate goOn) {
        Tensor logits = first;
        for (int n = 1;; n++) {
            List<Beams> open = all.stream().filter(b -> !b.done()).toList();
            float[] values = logits.toFloats();
            logits.close();
            int vocabulary = model.config().vocab_size();
            int slot = 0;
            List<Integer> origins = new ArrayList<>();
            List<Integer> tokens = new ArrayList<>();
            for (Beams beams : open) {
                int base = slot;
                int rows = beams.size();
                beams.extend(i -> Arrays.copyOfRange(values, (base + i) * vocabulary, (base + i + 1) * vocabulary));
                slot += rows;
                beams.running().forEach(b -> {
                    origins.add(base + b.origin());
                    tokens.add(b.token());
                });
            }
            boolean interrupted = Thread.currentThread().isInterrupted();
            if (interrupted || !goOn.test(n)) {
                open.forEach(b -> b.end(interrupted ? FinishReason.INTERRUPTED : FinishReason.LISTENER));
                return;
            }
            if (tokens.isEmpty()) {
                return;
            }
            reorder(state, origins.stream().mapToInt(Integer::intValue).toArray());
            int[] fed = tokens.stream().mapToInt(Integer::intValue).toArray();
            logits = Scope.returning(() -> model.step(model.ids(fed, fed.length, 1), state));
        }
    }

    /** Sequences often go on in the order that they had; their states need not be copied then. */
    private static void reorder(ModelState state, int[] rows) {
        boolean same = rows.length == state.batch() && IntStream.range(0, rows.length).allMatch(i -> rows[i] == i);
        if (!same) {
            state.reorder(rows);
        }
    }
}
