package dev.sequent.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.io.CharTokenizer;
import dev.sequent.io.Tokenizer;
import dev.sequent.mixer.LeakyIntegrator;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.ModelState;
import dev.sequent.model.ToyModels;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CapacityException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DataException;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Generation: batches, chunks, stops, seeds, limits, bad input. On the reference backend in F64, where different orders of sums do not
 * change a choice.
 */
class GeneratorTest {
    private static final TokenListener QUIET = (row, id) -> true;
    private static final int[][] PROMPTS = {{1, 2, 3, 5, 8, 0, 1}, {7}, {4, 4, 9}, {12, 11, 10, 9, 8}};

    private Device device;
    private LanguageModel model;

    @BeforeEach
    void open() {
        device = Device.open("reference");
        model = wild(ToyModels.rich());
    }

    /** A model with large random parameters, so that the most likely token is far ahead and depends on the context. */
    private LanguageModel wild(LanguageModelConfig config) {
        LanguageModel made = new LanguageModel(config, new Init(device, DType.F64, new Rng(3)));
        Rng rng = new Rng(4);
        try (Scope _ = Scope.open()) {
            for (Parameter p : made.parameters()) {
                Tensor noise = rng.normal(device, DType.F64, 0, 0.7, p.value().shape().toArray());
                p.value().write(p.value().add(noise), new long[p.value().rank()]);
            }
        }
        return made;
    }

    @AfterEach
    void close() {
        model.close();
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    private static Generator.Request greedy(int tokens) {
        return new Generator.Request(tokens, Sampling.greedy(), Set.of());
    }

    /** Greedy generation by running the whole sequence again for every token. */
    private int[] naive(int[] prompt, int tokens) {
        int[] ids = prompt;
        for (int n = 0; n < tokens; n++) {
            try (Scope _ = Scope.open()) {
                Tensor logits = model.forward(model.ids(ids, 1, ids.length), SequenceInfo.of(1, ids.length));
                int next = (int) logits.select(1, ids.length - 1).argmax(-1).toLongs()[0];
                ids = Arrays.copyOf(ids, ids.length + 1);
                ids[ids.length - 1] = next;
            }
        }
        return Arrays.copyOfRange(ids, prompt.length, ids.length);
    }

    @Test
    void greedyEqualsRunningTheWholeSequenceForEveryToken() {
        for (int[] prompt : PROMPTS) {
            assertThat(new Generator(model).generate(new int[][] {prompt}, greedy(9), QUIET)[0]).isEqualTo(naive(prompt, 9));
        }
    }

    @Test
    void aBatchEqualsEachPromptAlone() {
        int[][] together = new Generator(model).generate(PROMPTS, greedy(9), QUIET);
        for (int b = 0; b < PROMPTS.length; b++) {
            assertThat(together[b]).as("row " + b).isEqualTo(naive(PROMPTS[b], 9));
        }
        assertThat(Arrays.stream(together).map(Arrays::toString).distinct().count()).as("different rows").isGreaterThan(1);
    }

    @Test
    void howAPromptIsCutDoesNotMatter() {
        int[][] whole = new Generator(model).generate(PROMPTS, greedy(6), QUIET);
        for (int chunk : new int[] {1, 2, 3, 6, 7, 8}) {
            assertThat(new Generator(model, chunk).generate(PROMPTS, greedy(6), QUIET)).as("chunks of " + chunk).isEqualTo(whole);
        }
    }

    @Test
    void aStopTokenIsTheLastOfItsRow() {
        int[][] free = new Generator(model).generate(PROMPTS, greedy(9), QUIET);
        int stop = free[0][4];
        int[][] stopped = new Generator(model).generate(PROMPTS, new Generator.Request(9, Sampling.greedy(), Set.of(stop)), QUIET);
        for (int b = 0; b < PROMPTS.length; b++) {
            int end = 0;
            while (end < 9 && free[b][end] != stop) {
                end++;
            }
            assertThat(stopped[b]).as("row " + b).isEqualTo(Arrays.copyOf(free[b], Math.min(9, end + 1)));
        }
    }

    @Test
    void aListenerStopsItsRowOnly() {
        List<String> heard = new ArrayList<>();
        int[][] free = new Generator(model).generate(PROMPTS, greedy(6), QUIET);
        int[][] stopped = new Generator(model).generate(PROMPTS, greedy(6), (row, id) -> {
            heard.add(row + ":" + id);
            return row != 2 || heard.stream().filter(h -> h.startsWith("2:")).count() < 3;
        });
        assertThat(stopped[2]).isEqualTo(Arrays.copyOf(free[2], 3));
        assertThat(stopped[0]).isEqualTo(free[0]);
        assertThat(stopped[3]).isEqualTo(free[3]);
        assertThat(heard.subList(0, 4)).containsExactly("0:" + free[0][0], "1:" + free[1][0], "2:" + free[2][0], "3:" + free[3][0]);
        assertThat(heard).hasSize(6 + 6 + 3 + 6);
        assertThat(new Generator(model).generate(PROMPTS, greedy(6), (row, id) -> false)).hasDimensions(4, 1);
    }

    @Test
    void anExceptionOfTheListenerPassesAndNothingIsLeft() {
        long before = device.memory().liveHandles();
        assertThatThrownBy(() -> new Generator(model).generate(PROMPTS, greedy(6), (row, id) -> {
            throw new IllegalStateException("enough");
        })).hasMessage("enough");
        assertThat(device.memory().liveHandles()).isEqualTo(before);
    }

    @Test
    void theSameSeedGivesTheSameTokensAndRowsDiffer() {
        Generator generator = new Generator(model);
        int[][] same = {{3, 1}, {3, 1}, {3, 1}};
        Generator.Request first = new Generator.Request(12, Sampling.temperature(3, 5), Set.of());
        int[][] tokens = generator.generate(same, first, QUIET);
        assertThat(generator.generate(same, first, QUIET)).isEqualTo(tokens);
        assertThat(tokens[1]).isNotEqualTo(tokens[0]);
        assertThat(tokens[2]).isNotEqualTo(tokens[1]);
        assertThat(generator.generate(same, new Generator.Request(12, Sampling.temperature(3, 6), Set.of()), QUIET)).isNotEqualTo(tokens);
        assertThat(generator.generate(new int[][] {same[0]}, first, QUIET)[0]).as("the first row does not depend on others")
                .isEqualTo(tokens[0]);
    }

    @Test
    void nothingIsGeneratedWhenNothingIsAskedFor() {
        assertThat(new Generator(model).generate(PROMPTS, greedy(0), QUIET)).hasDimensions(4, 0);
    }

    @Test
    void badPromptsAreDataErrors() {
        Generator generator = new Generator(model);
        assertThatThrownBy(() -> generator.generate(new int[0][], greedy(3), QUIET)).isInstanceOf(DataException.class)
                .hasMessageContaining("no prompt");
        assertThatThrownBy(() -> generator.generate(new int[][] {{1}, {}}, greedy(3), QUIET)).isInstanceOf(DataException.class)
                .hasMessageContaining("empty prompt");
        for (int bad : new int[] {-1, 13, Integer.MAX_VALUE}) {
            assertThatThrownBy(() -> generator.generate(new int[][] {{1, bad}}, greedy(3), QUIET)).isInstanceOf(DataException.class)
                    .hasMessageContaining("[0, 13)").hasMessageContaining(bad + "");
        }
        assertThatThrownBy(() -> new Generator(model, 0)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> greedy(-1)).isInstanceOf(ConfigException.class);
    }

    @Test
    void moreTokensThanLearnedPositionsAreRefusedAtOnce() {
        Generator generator = new Generator(model);
        int[][] prompts = {new int[20], {1}};
        List<Integer> heard = new ArrayList<>();
        assertThat(generator.generate(prompts, greedy(5), QUIET)[0]).as("24 positions: the last token is not fed").hasSize(5);
        assertThatThrownBy(() -> generator.generate(prompts, greedy(6), (row, id) -> heard.add(id))).isInstanceOf(CapacityException.class)
                .hasMessageContaining("24");
        assertThat(heard).isEmpty();
        assertThatThrownBy(() -> generator.generate(prompts, greedy(Integer.MAX_VALUE), QUIET)).isInstanceOf(CapacityException.class);
        try (Scope _ = Scope.open()) {
            assertThatThrownBy(() -> model.forward(model.ids(new int[25], 1, 25), SequenceInfo.of(1, 25)))
                    .isInstanceOf(CapacityException.class);
        }
    }

    @Test
    void logitsThatAreNotFiniteAreAnError() {
        Parameter weight = model.namedParameters().get("norm_f.weight");
        try (Scope _ = Scope.open()) {
            weight.value().write(Tensor.full(device, DType.F64, Double.NaN, 8), 0);
        }
        assertThatThrownBy(() -> new Generator(model).generate(PROMPTS, greedy(3), QUIET)).isInstanceOf(DataException.class)
                .hasMessageContaining("finite");
    }

    @Test
    void aClosedModelSaysSo() {
        LanguageModel other = wild(ToyModels.config());
        Generator generator = new Generator(other);
        other.close();
        assertThatThrownBy(() -> generator.generate(PROMPTS, greedy(3), QUIET)).isInstanceOf(ReleasedTensorException.class)
                .hasMessageContaining("closed");
    }

    @Test
    void statesThatDoNotFitIntoMemoryLeaveNothingBehind() {
        try (Device small = Device.open("cpu", Map.of("threads", "1", "memoryLimit", "200000"));
                LanguageModel tiny = ToyModels.create(ToyModels.config(), small)) {
            long before = small.memory().liveHandles();
            int[][] many = new int[4000][];
            Arrays.fill(many, new int[] {1});
            assertThatThrownBy(() -> new Generator(tiny).generate(many, greedy(2), QUIET)).isInstanceOf(OutOfDeviceMemoryException.class);
            assertThat(small.memory().liveHandles()).isEqualTo(before);
            assertThat(new Generator(tiny).generate(PROMPTS, greedy(2), QUIET)).hasDimensions(4, 2);
        }
    }

    @Test
    void textIsTheTokensOfTheModelInTheTokenizersLetters() {
        Tokenizer letters = CharTokenizer.of("abcdefghij");
        StringBuilder heard = new StringBuilder();
        String text = new Generator(model).text(letters, "bad", 12, Sampling.temperature(4, 1), heard::append);
        assertThat(text).hasSize(12).matches("[a-j]*").isEqualTo(heard.toString());
        assertThatThrownBy(() -> new Generator(model).text(letters, "", 3, Sampling.greedy(), heard::append))
                .isInstanceOf(DataException.class);
        assertThatThrownBy(() -> new Generator(model).text(letters, "xyz", 3, Sampling.greedy(), heard::append))
                .isInstanceOf(DataException.class);
        Tokenizer more = CharTokenizer.of("abcdefghijklmn");
        assertThatThrownBy(() -> new Generator(model).text(more, "a", 3, Sampling.greedy(), heard::append))
                .isInstanceOf(DataException.class)
                .hasMessageContaining("14").hasMessageContaining("13");
    }

    @Test
    void textEndsBeforeAStopToken() {
        Tokenizer letters = CharTokenizer.of("abcdefghijklm");
        String free = new Generator(model).text(letters, "cab", 9, Sampling.greedy(), piece -> { });
        char stop = free.charAt(5);
        String stopped = new Generator(model).text(letters, "cab",
                new Generator.Request(9, Sampling.greedy(), Set.of(letters.encode(stop + "")[0])), piece -> { });
        assertThat(stopped).isEqualTo(free.substring(0, free.indexOf(stop)));
    }

    @Test
    void continuationsCarryTheModelsLogProbabilitiesAndWhyTheyEnd() {
        Sampling rules = Sampling.temperature(2, 3).withTopK(4).withRepetitionPenalty(1.3);
        int[][] free = new Generator(model).generate(PROMPTS, new Generator.Request(8, rules, Set.of()), QUIET);
        int stop = free[0][3];
        int first = Arrays.stream(free[0]).boxed().toList().indexOf(stop);
        List<Continuation> found = new Generator(model)
                .continuations(PROMPTS, new Generator.Request(8, rules, Set.of(stop)), (row, id) -> row != 1);
        for (int b = 0; b < PROMPTS.length; b++) {
            Continuation c = found.get(b);
            boolean stopped = c.tokens()[c.tokens().length - 1] == stop;
            assertThat(c.finish()).isEqualTo(stopped ? FinishReason.STOP_TOKEN : b == 1 ? FinishReason.LISTENER : FinishReason.LENGTH);
            assertThat(c.tokens()).isEqualTo(Arrays.copyOf(free[b], c.tokens().length));
            assertThat(c.logProbabilities()).hasSameSizeAs(c.tokens());
            assertThat(c.logProbability()).isCloseTo(logProbability(model, PROMPTS[b], c.tokens()), within(1e-5));
        }
        assertThat(found.get(0).tokens()).hasSize(first + 1);
        assertThat(found.get(0).finish()).isEqualTo(FinishReason.STOP_TOKEN);
        assertThat(new Generator(model).continuations(PROMPTS, greedy(0), QUIET).getFirst().finish()).isEqualTo(FinishReason.LENGTH);
    }

    /** The log-probability of {@code tokens} after {@code prompt} by one run over all of them. */
    static double logProbability(LanguageModel model, int[] prompt, int[] tokens) {
        int[] ids = Arrays.copyOf(prompt, prompt.length + tokens.length);
        System.arraycopy(tokens, 0, ids, prompt.length, tokens.length);
        try (Scope _ = Scope.open()) {
            double[] logits = model.forward(model.ids(ids, 1, ids.length), SequenceInfo.of(1, ids.length)).toDoubles();
            int vocabulary = logits.length / ids.length;
            double sum = 0;
            for (int t = 0; t < tokens.length; t++) {
                double[] row = Arrays.copyOfRange(logits, (prompt.length - 1 + t) * vocabulary, (prompt.length + t) * vocabulary);
                sum += row[tokens[t]] - Math.log(Arrays.stream(row).map(Math::exp).sum());
            }
            return sum;
        }
    }

    @Test
    void rowsThatEndEarlyLeaveTheOthersAsTheyWere() {
        int[][] free = new Generator(model).generate(PROMPTS, greedy(9), QUIET);
        for (int ends = 0; ends < 1 << PROMPTS.length; ends++) {
            int set = ends;
            int[] heard = new int[PROMPTS.length];
            int[][] tokens = new Generator(model).generate(PROMPTS, greedy(9),
                    (row, id) -> ++heard[row] < ((set >> row & 1) == 1 ? 2 + row : 99));
            for (int b = 0; b < PROMPTS.length; b++) {
                assertThat(tokens[b]).as("row %d, ended %d", b, ends).isEqualTo(Arrays.copyOf(free[b], (set >> b & 1) == 1 ? 2 + b : 9));
            }
        }
    }

    @Test
    void processorsComeBeforeTheRulesAndSeeTheirOwnRow() {
        List<String> seen = new ArrayList<>();
        LogitsProcessor spy = (tokens, logits) -> {
            seen.add(tokens.promptSize() + "+" + tokens.generated());
            logits[(tokens.token(tokens.size() - 1) + 1) % logits.length] = 1e6f;
        };
        int[][] tokens = new Generator(model).generate(PROMPTS, greedy(3).withProcessors(spy), QUIET);
        assertThat(tokens).isDeepEqualTo(new int[][] {{2, 3, 4}, {8, 9, 10}, {10, 11, 12}, {9, 10, 11}});
        assertThat(seen.subList(0, 5)).containsExactly("7+0", "1+0", "3+0", "5+0", "7+1");
        int[] naive = naive(PROMPTS[0], 1);
        Generator.Request without = greedy(1).withProcessors(LogitsProcessors.suppress(List.of(naive[0])));
        assertThat(new Generator(model).generate(PROMPTS, without, QUIET)[0]).isNotEqualTo(naive);
        Generator.Request nothing = greedy(1).withProcessors((_, logits) -> Arrays.fill(logits, Float.NEGATIVE_INFINITY));
        assertThatThrownBy(() -> new Generator(model).generate(PROMPTS, nothing, QUIET)).isInstanceOf(DataException.class);
    }

    @Test
    void aStopTokenWaitsForTheMinimum() {
        int stop = naive(PROMPTS[0], 1)[0];
        Generator.Request request = new Generator.Request(9, Sampling.greedy(), Set.of(stop));
        assertThat(new Generator(model).generate(PROMPTS, request, QUIET)[0]).containsExactly(stop);
        int[] longer = new Generator(model).generate(PROMPTS, request.withMinTokens(4), QUIET)[0];
        assertThat(longer.length).isGreaterThan(4);
        assertThat(Arrays.copyOf(longer, 4)).doesNotContain(stop);
    }

    @Test
    void anInterruptEndsAllRows() {
        Thread self = Thread.currentThread();
        int[] heard = new int[1];
        List<Continuation> found = new Generator(model).continuations(PROMPTS, greedy(9), (row, id) -> {
            if (++heard[0] == 6) {
                self.interrupt();
            }
            return row != 0;
        });
        assertThat(Thread.interrupted()).as("the flag stays").isTrue();
        assertThat(found).extracting(Continuation::finish)
                .containsExactly(FinishReason.LISTENER, FinishReason.INTERRUPTED, FinishReason.INTERRUPTED, FinishReason.INTERRUPTED);
        assertThat(found).extracting(c -> c.tokens().length).containsExactly(1, 2, 2, 2);
        self.interrupt();
        List<Continuation> nothing = new Generator(model, 1).continuations(PROMPTS, greedy(9), QUIET);
        assertThat(Thread.interrupted()).isTrue();
        assertThat(nothing).allSatisfy(c -> {
            assertThat(c.tokens()).isEmpty();
            assertThat(c.finish()).isEqualTo(FinishReason.INTERRUPTED);
        });
    }

    @Test
    void textEndsBeforeAStopTextAcrossTokens() {
        Tokenizer letters = CharTokenizer.of("abcdefghijklm");
        List<String> prompts = List.of("cab", "d", "jam");
        Generator generator = new Generator(model);
        List<TextContinuation> free = generator.texts(letters, prompts, greedy(9), (_, _) -> true);
        for (int b = 0; b < prompts.size(); b++) {
            assertThat(free.get(b).text()).as("alone").isEqualTo(generator.text(letters, prompts.get(b), 9, Sampling.greedy(), _ -> { }));
        }
        String whole = free.get(0).text();
        String stop = whole.substring(4, 7);
        StringBuilder heard = new StringBuilder();
        Generator.Request request = greedy(9).withStopTexts("zz", stop, stop.substring(0, 2) + "?");
        List<TextContinuation> stopped = generator.texts(letters, prompts, request, (row, piece) -> {
            heard.append(row == 0 ? piece : "");
            return true;
        });
        assertThat(stopped.get(0).text()).isEqualTo(whole.substring(0, whole.indexOf(stop))).isEqualTo(heard.toString());
        assertThat(stopped.get(0).continuation().finish()).isEqualTo(FinishReason.STOP_TEXT);
        assertThat(stopped.get(0).continuation().tokens()).as("the stop text's tokens too").hasSize(whole.indexOf(stop) + 3);
        for (int b = 1; b < prompts.size(); b++) {
            String text = free.get(b).text();
            assertThat(stopped.get(b).text()).isEqualTo(text.contains(stop) ? text.substring(0, text.indexOf(stop)) : text);
        }
        String end = whole.substring(7);
        assertThat(generator.text(letters, "cab", greedy(9).withStopTexts(end + "?"), _ -> { })).as("flushed at the end").isEqualTo(whole);
    }

    @Test
    void aTextListenerEndsItsRow() {
        Tokenizer letters = CharTokenizer.of("abcdefghijklm");
        List<TextContinuation> found = new Generator(model).texts(letters, List.of("cab", "d"), greedy(9), (row, _) -> row == 1);
        assertThat(found.get(0).text()).hasSize(1);
        assertThat(found.get(0).continuation().finish()).isEqualTo(FinishReason.LISTENER);
        assertThat(found.get(1).text()).hasSize(9);
    }

    @Test
    void requestsThatMakeNoSenseAreRefused() {
        assertThatThrownBy(() -> greedy(1).withMinTokens(-1)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> greedy(1).withStopTexts("")).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> new Generator.Request(1, Sampling.greedy(), Set.of(-1))).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> new Generator(model).generate(PROMPTS, greedy(1).withStopTexts("x"), QUIET))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("tokenizer");
    }

    @Test
    void statesForkReorderAndReset() {
        try (Scope _ = Scope.open(); ModelState state = model.newState(new StateSpec(2, 8, DType.F64, device))) {
            int[] ids = {1, 2, 3, 4, 5, 6};
            double[] first = model.prefill(model.ids(ids, 2, 3), SequenceInfo.of(2, 3), state).toDoubles();
            assertThat(state.tokens()).containsExactly(3, 3);
            try (ModelState copy = state.fork()) {
                Tensor next = model.ids(new int[] {7, 8}, 2, 1);
                double[] ahead = model.step(next, state).toDoubles();
                copy.reorder(new int[] {1, 0, 1});
                assertThat(copy.tokens()).containsExactly(3, 3, 3);
                double[] swapped = model.step(model.ids(new int[] {8, 7, 8}, 3, 1), copy).toDoubles();
                assertThat(Arrays.copyOfRange(swapped, 0, 13)).isEqualTo(Arrays.copyOfRange(ahead, 13, 26));
                assertThat(Arrays.copyOfRange(swapped, 13, 26)).isEqualTo(Arrays.copyOfRange(ahead, 0, 13));
                assertThat(copy.bytes()).isEqualTo(state.bytes() / 2 * 3);
                assertThatThrownBy(() -> copy.reorder(new int[] {3})).isInstanceOf(ShapeException.class);
            }
            state.reset();
            assertThat(state.tokens()).containsExactly(0, 0);
            assertThat(model.prefill(model.ids(ids, 2, 3), SequenceInfo.of(2, 3), state).toDoubles()).isEqualTo(first);
            assertThatThrownBy(() -> model.step(model.ids(new int[] {1}, 1, 1), state)).isInstanceOf(ShapeException.class);
        }
    }

    @Test
    void aClosedStateSaysSo() {
        try (Scope _ = Scope.open()) {
            ModelState state = model.newState(new StateSpec(1, 8, DType.F64, device));
            state.close();
            assertThatThrownBy(() -> model.step(model.ids(new int[] {1}, 1, 1), state)).isInstanceOf(ReleasedTensorException.class)
                    .hasMessageContaining("closed");
        }
    }

    @Test
    void costCountsTheStatesBytes() {
        LanguageModelConfig config = LanguageModelConfig.of(13, 8,
                List.of(LayerSpec.of(new LeakyIntegrator.Config(1)), LayerSpec.of(new LeakyIntegrator.Config(2))));
        StateSpec spec = new StateSpec(3, 8, DType.F64, device);
        try (LanguageModel plain = wild(config); ModelState state = plain.newState(spec)) {
            assertThat(plain.cost(spec).bytesAt(5) * 3).isEqualTo(state.bytes());
            assertThat(plain.cost(spec).parameterBytes()).isEqualTo(8 * plain.parameterCount());
        }
    }

    @Test
    void anInterruptAfterTheLastTokenIsTooLate() {
        List<Continuation> found = new Generator(model).continuations(PROMPTS, greedy(1), (row, id) -> {
            Thread.currentThread().interrupt();
            return true;
        });
        assertThat(Thread.interrupted()).as("the flag stays").isTrue();
        assertThat(found).extracting(Continuation::finish).containsOnly(FinishReason.LENGTH);
    }
}
