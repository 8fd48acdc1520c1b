package dev.sequent.generate;

import dev.sequent.autograd.Autograd;
import dev.sequent.io.Tokenizer;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelState;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/**
 * Continues prompts with a model: the prompt in parallel, in chunks of bounded size, then token by token with the model's states.
 *
 * <pre>{@code
 * String text = new Generator(model).text(tokenizer, "Once upon a time", 200, Sampling.temperature(0.8, 1), System.out::print);
 * }</pre>
 *
 * <p>Prompts of different lengths form one batch: they are padded on the left, and padding is invisible to every mixer. A row that is
 * finished is no longer heard of; when half of the rows are finished their states are dropped, so that they cost nothing. The others go on
 * as before, up to the rounding of a backend whose matrix products add in another order for another number of rows. An interrupt of the
 * thread ends all rows after the current step. Thread-safe: every call makes states of its own.
 */
public final class Generator {
    private final LanguageModel model;
    private final int chunk;
    private final DType stateType;

    /** A generator that keeps states in the model's element type and feeds prompts in chunks of 2048 tokens. */
    public Generator(LanguageModel model) {
        this(model, Prompts.DEFAULT_CHUNK);
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
     * @param minTokens no stop token comes before so many others
     * @param sampling how tokens are chosen
     * @param processors change the logits before the rules of {@code sampling}, in their order
     * @param stop tokens that end a row; the stop token is the last of its row
     * @param stopTexts texts that end a row, wherever its tokens are cut; only for {@link Generator#texts} and {@link Generator#text}
     */
    public record Request(int maxTokens, int minTokens, Sampling sampling, List<LogitsProcessor> processors, Set<Integer> stop,
            List<String> stopTexts) {
        /** Checks the values. */
        public Request {
            if (maxTokens < 0 || minTokens < 0) {
                throw new ConfigException("generate", "maxTokens >= 0 and minTokens >= 0", maxTokens + ", " + minTokens);
            }
            processors = List.copyOf(processors);
            stop = Set.copyOf(stop);
            stopTexts = List.copyOf(stopTexts);
            if (stop.stream().anyMatch(id -> id < 0)) {
                throw new ConfigException("generate", "stop tokens of at least 0", stop.toString());
            }
            if (stopTexts.contains("")) {
                throw new ConfigException("generate", "stop texts of at least one character", "an empty one");
            }
        }

        /** Up to {@code maxTokens} tokens by {@code sampling}, ended by {@code stop} tokens. */
        public Request(int maxTokens, Sampling sampling, Set<Integer> stop) {
            this(maxTokens, 0, sampling, List.of(), stop, List.of());
        }

        /** The same with at least {@code n} tokens in front of a stop token. */
        public Request withMinTokens(int n) {
            return new Request(maxTokens, n, sampling, processors, stop, stopTexts);
        }

        /** The same with these processors, in this order. */
        public Request withProcessors(LogitsProcessor... list) {
            return new Request(maxTokens, minTokens, sampling, List.of(list), stop, stopTexts);
        }

        /** The same with these stop texts. */
        public Request withStopTexts(String... texts) {
            return new Request(maxTokens, minTokens, sampling, processors, stop, List.of(texts));
        }

        private List<LogitsProcessor> chain() {
            List<LogitsProcessor> chain = new ArrayList<>(processors);
            if (minTokens > 0 && !stop.isEmpty()) {
                chain.add(LogitsProcessors.minNewTokens(minTokens, stop));
            }
            return chain;
        }
    }

    /**
     * The new tokens of each prompt: {@link #continuations} without their log-probabilities.
     *
     * @param prompts token ids, at least one per row
     */
    public int[][] generate(int[][] prompts, Request request, TokenListener listener) {
        return continuations(prompts, request, listener).stream().map(Continuation::tokens).toArray(int[][]::new);
    }

    /**
     * Continues a batch of prompts.
     *
     * @param prompts token ids, at least one per row
     * @return what follows each prompt, in their order
     * @throws DataException for an empty batch, an empty prompt, ids outside the vocabulary, or logits among which there is nothing to
     *     choose
     * @throws ConfigException when the request has stop texts, which need a tokenizer
     * @throws dev.sequent.type.CapacityException when the model has a limit and prompt plus new tokens exceed it
     */
    public List<Continuation> continuations(int[][] prompts, Request request, TokenListener listener) {
        if (!request.stopTexts().isEmpty()) {
            throw new ConfigException("generate", "stop texts together with a tokenizer", request.stopTexts().toString());
        }
        return run(prompts, request, model.config().vocab_size(),
                (row, id) -> listener.token(row, id) ? Optional.empty() : Optional.of(FinishReason.LISTENER));
    }

    /**
     * Continues a batch of texts. Ids that the model has but the tokenizer does not, as in a padded vocabulary, are never chosen.
     *
     * @return what follows each prompt, in their order
     * @throws DataException when the tokenizer has more ids than the model, or a prompt has no token; also as {@link #continuations}
     */
    public List<TextContinuation> texts(Tokenizer tokenizer, List<String> prompts, Request request, TextListener listener) {
        int vocabulary = tokenizer.vocabularySize();
        if (vocabulary > model.config().vocab_size()) {
            throw new DataException("generate", "a tokenizer of at most " + model.config().vocab_size() + " ids, the model's vocabulary",
                    vocabulary + " ids");
        }
        List<TextRow> rows = new ArrayList<>();
        for (int b = 0; b < prompts.size(); b++) {
            rows.add(new TextRow(b, tokenizer.decoder(), request, listener));
        }
        int[][] ids = prompts.stream().map(tokenizer::encode).toArray(int[][]::new);
        List<Continuation> continuations = run(ids, request, vocabulary, (row, id) -> rows.get(row).token(id));
        List<TextContinuation> texts = new ArrayList<>();
        for (int b = 0; b < rows.size(); b++) {
            texts.add(rows.get(b).finish(continuations.get(b)));
        }
        return texts;
    }

    /** {@link #text(Tokenizer, String, Request, Consumer)} without stop tokens. */
    public String text(Tokenizer tokenizer, String prompt, int maxTokens, Sampling sampling, Consumer<String> onText) {
        return text(tokenizer, prompt, new Request(maxTokens, sampling, Set.of()), onText);
    }

    /**
     * Continues one text: {@link #texts} for a single prompt.
     *
     * @param onText receives pieces of whole characters as they are generated
     * @return the continuation, without the prompt, a stop token or a stop text
     */
    public String text(Tokenizer tokenizer, String prompt, Request request, Consumer<String> onText) {
        return texts(tokenizer, List.of(prompt), request, (_, piece) -> {
            onText.accept(piece);
            return true;
        }).getFirst().text();
    }

    /** Hears of every new token, and may end its row. */
    private interface Watch {
        Optional<FinishReason> token(int row, int id);
    }

    private List<Continuation> run(int[][] rows, Request request, int usable, Watch watch) {
        Prompts prompts = Prompts.of(rows, model.config().vocab_size());
        StateSpec spec = new StateSpec(prompts.count(), prompts.capacity(model, request.maxTokens()), stateType, model.device());
        return Autograd.noGrad(() -> {
            try (Scope _ = Scope.open(); ModelState state = model.newState(spec)) {
                Batch batch = new Batch(prompts, request, usable, watch);
                prompts.feed(model, chunk, state).ifPresent(logits -> batch.loop(logits, state));
                return batch.continuations();
            }
        });
    }

    /** One row on its way. */
    private static final class Row {
        final Sampler sampler;
        final int maxTokens;
        final List<Double> logProbabilities = new ArrayList<>();
        FinishReason finish;

        Row(Request request, List<LogitsProcessor> chain, int number, int[] prompt) {
            sampler = new Sampler(chain, request.sampling(), number);
            maxTokens = request.maxTokens();
            Arrays.stream(prompt).forEach(sampler::observe);
        }

        int next(float[] logits) {
            float[] changed = logits.clone();
            int id = sampler.next(changed);
            logProbabilities.add(logits[id] - Logits.logSumExp(logits));
            return id;
        }

        Continuation continuation() {
            double[] p = logProbabilities.stream().mapToDouble(Double::doubleValue).toArray();
            FinishReason other = p.length < maxTokens ? FinishReason.INTERRUPTED : FinishReason.LENGTH;
            return new Continuation(sampler.history().continuation(), p, finish == null ? other : finish);
        }
    }

    private final class Batch {
        private final Request request;
        private final Watch watch;
        private final List<Row> rows = new ArrayList<>();
        /** Row of each slot of the state. */
        private int[] slots;

        Batch(Prompts prompts, Request request, int usable, Watch watch) {
            this.request = request;
            this.watch = watch;
            List<LogitsProcessor> chain = request.chain();
            if (usable < model.config().vocab_size()) {
                chain.add(LogitsProcessors.only(usable));
            }
            for (int b = 0; b < prompts.count(); b++) {
                rows.add(new Row(request, chain, b, prompts.row(b)));
            }
            slots = IntStream.range(0, prompts.count()).toArray();
        }

        void loop(Tensor first, ModelState state) {
            Tensor logits = first;
            for (int n = 1; request.maxTokens() > 0; n++) {
                int[] next = choose(logits.toFloats());
                logits.close();
                int[] live = IntStream.range(0, slots.length).filter(s -> rows.get(slots[s]).finish == null).toArray();
                if (n == request.maxTokens() || live.length == 0 || Thread.currentThread().isInterrupted()) {
                    return;
                }
                int[] fed = drop(live, next, state);
                logits = Scope.returning(() -> model.step(model.ids(fed, fed.length, 1), state));
            }
        }

        /** Drops finished rows once half of all are; dropping copies the others' states. Returns the tokens to feed. */
        private int[] drop(int[] live, int[] next, ModelState state) {
            if (2 * live.length > slots.length) {
                return next;
            }
            state.reorder(live);
            slots = Arrays.stream(live).map(s -> slots[s]).toArray();
            return Arrays.stream(live).map(s -> next[s]).toArray();
        }

        /** A token for every slot; finished rows are fed any. */
        private int[] choose(float[] logits) {
            int vocabulary = logits.length / slots.length;
            int[] next = new int[slots.length];
            for (int s = 0; s < slots.length; s++) {
                Row row = rows.get(slots[s]);
                if (row.finish == null) {
                    next[s] = row.next(Arrays.copyOfRange(logits, s * vocabulary, (s + 1) * vocabulary));
                    Optional<FinishReason> heard = watch.token(slots[s], next[s]);
                    row.finish = request.stop().contains(next[s]) ? FinishReason.STOP_TOKEN : heard.orElse(null);
                }
            }
            return next;
        }

        List<Continuation> continuations() {
            return rows.stream().map(Row::continuation).toList();
        }
    }
}
