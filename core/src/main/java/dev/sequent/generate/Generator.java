package dev.sequent.generate;

import dev.sequent.autograd.Autograd;
import dev.sequent.io.TokenDecoder;
import dev.sequent.io.Tokenizer;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelState;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CapacityException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Continues prompts with a model: the prompt in parallel, in chunks of bounded size, then token by token with the model's states.
 *
 * <pre>{@code
 * String text = new Generator(model).text(tokenizer, "Once upon a time", 200, Sampling.temperature(0.8, 1), System.out::print);
 * }</pre>
 *
 * <p>Prompts of different lengths form one batch: they are padded on the left, and padding is invisible to every mixer. Thread-safe: every
 * call makes states of its own.
 */
public final class Generator {
    private static final int DEFAULT_CHUNK = 2048;

    private final LanguageModel model;
    private final int chunk;
    private final DType stateType;

    /** A generator that keeps states in the model's element type and feeds prompts in chunks of {@value #DEFAULT_CHUNK} tokens. */
    public Generator(LanguageModel model) {
        this(model, DEFAULT_CHUNK);
    }

    /** A generator that feeds prompts in chunks of {@code chunk} tokens, which bounds the memory that a long prompt needs. */
    public Generator(LanguageModel model, int chunk) {
        if (chunk < 1) {
            throw new ConfigException("generator", "a chunk of at least one token", chunk + "");
        }
        this.model = model;
        this.chunk = chunk;
        this.stateType = model.parameters().iterator().next().value().dtype();
    }

    /**
     * What to generate.
     *
     * @param maxTokens the most new tokens per row
     * @param sampling how tokens are chosen
     * @param stop tokens that end a row; the stop token is the last of its row
     */
    public record Request(int maxTokens, Sampling sampling, Set<Integer> stop) {
        /** Checks the values. */
        public Request {
            if (maxTokens < 0) {
                throw new ConfigException("generate", "maxTokens >= 0", maxTokens + "");
            }
            stop = Set.copyOf(stop);
        }
    }

    /**
     * Continues a batch of prompts.
     *
     * @param prompts token ids, at least one per row
     * @return the new tokens of each row
     * @throws DataException for an empty batch, an empty prompt, or ids outside the vocabulary
     * @throws dev.sequent.type.CapacityException when the model has a limit and prompt plus new tokens exceed it
     */
    public int[][] generate(int[][] prompts, Request request, TokenListener listener) {
        return generate(prompts, request, listener, model.config().vocab_size());
    }

    /** {@link #generate(int[][], Request, TokenListener)} that chooses among the first {@code usable} ids. */
    private int[][] generate(int[][] prompts, Request request, TokenListener listener, int usable) {
        if (prompts.length == 0 || Arrays.stream(prompts).anyMatch(p -> p.length == 0)) {
            throw new DataException("generate", "prompts of at least one token", prompts.length == 0 ? "no prompt" : "an empty prompt");
        }
        int longest = Arrays.stream(prompts).mapToInt(p -> p.length).max().orElseThrow();
        int capacity = capacity(longest, request.maxTokens());
        return Autograd.noGrad(() -> {
            StateSpec spec = new StateSpec(prompts.length, capacity, stateType, model.device());
            try (Scope _ = Scope.open(); ModelState state = model.newState(spec)) {
                Tensor logits = feed(prompts, longest, state);
                boolean nothing = request.maxTokens() == 0;
                return nothing ? new int[prompts.length][0] : new Run(prompts, request, listener, usable).loop(logits, state);
            }
        });
    }

    /** Positions that the longest row takes; the last new token is never fed. */
    private int capacity(int longest, int maxTokens) {
        long needed = longest + Math.max(0, maxTokens - 1L);
        int learned = model.config().max_position_embeddings();
        long limit = learned == 0 ? Integer.MAX_VALUE - 16 : learned;
        if (needed > limit) {
            String whose = learned == 0 ? "" : ", the model's max_position_embeddings";
            throw new CapacityException("generate", "at most " + limit + " tokens of prompt and continuation" + whose, longest + " and " + maxTokens);
        }
        return (int) needed;
    }

    /** The prompts, left-padded, in chunks; the logits after the last position. */
    private Tensor feed(int[][] prompts, int longest, ModelState state) {
        int rows = prompts.length;
        Tensor logits = null;
        for (int from = 0; from < longest; from += chunk) {
            int n = Math.min(chunk, longest - from);
            int[] ids = new int[rows * n];
            int[] lengths = new int[rows];
            for (int b = 0; b < rows; b++) {
                int pad = longest - prompts[b].length;
                for (int t = 0; t < n; t++) {
                    int at = from + t - pad;
                    ids[b * n + t] = at < 0 ? 0 : prompts[b][at];
                    lengths[b] += at < 0 ? 0 : 1;
                }
            }
            SequenceInfo info = SequenceInfo.of(rows, n);
            boolean padded = Arrays.stream(lengths).anyMatch(l -> l < n);
            SequenceInfo chunkInfo = padded ? info.withLeftPadding(lengths) : info;
            if (logits != null) {
                logits.close();
            }
            logits = Scope.returning(() -> model.prefill(model.ids(ids, rows, n), chunkInfo, state));
        }
        return logits;
    }

    private final class Run {
        private final int usable;
        private final Request request;
        private final TokenListener listener;
        private final Sampler[] samplers;
        private final List<List<Integer>> tokens = new ArrayList<>();
        private final boolean[] done;

        Run(int[][] prompts, Request request, TokenListener listener, int usable) {
            this.usable = usable;
            this.request = request;
            this.listener = listener;
            this.samplers = new Sampler[prompts.length];
            this.done = new boolean[prompts.length];
            for (int b = 0; b < prompts.length; b++) {
                samplers[b] = new Sampler(request.sampling(), b);
                Arrays.stream(prompts[b]).forEach(samplers[b]::observe);
                tokens.add(new ArrayList<>());
            }
        }

        int[][] loop(Tensor first, ModelState state) {
            Tensor logits = first;
            for (int n = 1;; n++) {
                int[] next = choose(logits.toFloats());
                logits.close();
                if (n == request.maxTokens() || allDone()) {
                    return tokens.stream().map(row -> row.stream().mapToInt(Integer::intValue).toArray()).toArray(int[][]::new);
                }
                logits = Scope.returning(() -> model.step(model.ids(next, next.length, 1), state));
            }
        }

        private int[] choose(float[] logits) {
            int vocabulary = logits.length / done.length;
            int[] next = new int[done.length];
            for (int b = 0; b < done.length; b++) {
                if (!done[b]) {
                    next[b] = samplers[b].next(Arrays.copyOfRange(logits, b * vocabulary, b * vocabulary + Math.min(vocabulary, usable)));
                    tokens.get(b).add(next[b]);
                    done[b] = !listener.token(b, next[b]) || request.stop().contains(next[b]);
                }
            }
            return next;
        }

        private boolean allDone() {
            for (boolean d : done) {
                if (!d) {
                    return false;
                }
            }
            return true;
        }
    }

    /** {@link #text(Tokenizer, String, Request, Consumer)} without stop tokens. */
    public String text(Tokenizer tokenizer, String prompt, int maxTokens, Sampling sampling, Consumer<String> onText) {
        return text(tokenizer, prompt, new Request(maxTokens, sampling, Set.of()), onText);
    }

    /**
     * Continues one text. Ids that the model has but the tokenizer does not, as in a padded vocabulary, are never chosen.
     *
     * @param onText receives pieces of whole characters as they are generated
     * @return the continuation, without the prompt and without a stop token
     * @throws DataException when the tokenizer has more ids than the model, or the prompt has no token
     */
    public String text(Tokenizer tokenizer, String prompt, Request request, Consumer<String> onText) {
        int vocabulary = tokenizer.vocabularySize();
        if (vocabulary > model.config().vocab_size()) {
            throw new DataException("generate", "a tokenizer of at most " + model.config().vocab_size() + " ids, the model's vocabulary",
                    vocabulary + " ids");
        }
        TokenDecoder decoder = tokenizer.decoder();
        StringBuilder text = new StringBuilder();
        Consumer<String> emit = piece -> {
            if (!piece.isEmpty()) {
                text.append(piece);
                onText.accept(piece);
            }
        };
        generate(new int[][] {tokenizer.encode(prompt)}, request, (row, id) -> {
            if (!request.stop().contains(id)) {
                emit.accept(decoder.next(id));
            }
            return true;
        }, vocabulary);
        emit.accept(decoder.finish());
        return text.toString();
    }
}
