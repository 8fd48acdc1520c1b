package dev.sequent.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.mixer.LeakyIntegrator;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
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
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Beam search against enumeration, against its rules written down plainly, and against greedy generation. F64 on the reference backend. */
class BeamSearchTest {
    private static final int VOCABULARY = 5;
    private static final int STOP = 3;
    private static final int[][] PROMPTS = {{1, 2, 0, 1}, {4}, {2, 2, 3}};

    private Device device;
    private LanguageModel model;

    @BeforeEach
    void open() {
        device = Device.open("reference");
        LayerSpec bare = LayerSpec.of(new LeakyIntegrator.Config(1));
        LayerSpec full = new LayerSpec(new LeakyIntegrator.Config(2), MlpConfig.gated(6));
        LanguageModelConfig config = new LanguageModelConfig(VOCABULARY, 6, List.of(bare, full), "rms", 1e-5, false, 12, 0, 0.3);
        model = new LanguageModel(config, new Init(device, DType.F64, new Rng(3)));
        Rng rng = new Rng(4);
        try (Scope _ = Scope.open()) {
            for (Parameter p : model.parameters()) {
                p.value().write(p.value().add(rng.normal(device, DType.F64, 0, 0.5, p.value().shape().toArray())),
                        new long[p.value().rank()]);
            }
        }
    }

    @AfterEach
    void close() {
        model.close();
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    /** A sequence with its score. */
    private record Scored(int[] tokens, double sum, double score) {
        static final Comparator<Scored> BEST_FIRST = Comparator.comparingDouble(s -> -s.score);
    }

    private double[] logProbabilities(int[] ids) {
        try (Scope _ = Scope.open()) {
            Tensor logits = model.forward(model.ids(ids, 1, ids.length), SequenceInfo.of(1, ids.length)).select(1, ids.length - 1);
            double[] row = logits.toDoubles();
            double normalizer = Math.log(Arrays.stream(row).map(Math::exp).sum());
            return Arrays.stream(row).map(x -> x - normalizer).toArray();
        }
    }

    private static int[] with(int[] ids, int id) {
        int[] longer = Arrays.copyOf(ids, ids.length + 1);
        longer[ids.length] = id;
        return longer;
    }

    /** Every sequence of at most {@code longest} tokens that ends at its first stop token or is as long as can be. */
    private void enumerate(int[] prompt, int[] tokens, double sum, int longest, Set<Integer> stop, double lengthPenalty, List<Scored> all) {
        int[] ids = Arrays.copyOf(prompt, prompt.length + tokens.length);
        System.arraycopy(tokens, 0, ids, prompt.length, tokens.length);
        double[] logP = logProbabilities(ids);
        for (int id = 0; id < VOCABULARY; id++) {
            int[] longer = with(tokens, id);
            double s = sum + logP[id];
            if (stop.contains(id) || longer.length == longest) {
                all.add(new Scored(longer, s, s / Math.pow(longer.length, lengthPenalty)));
            } else {
                enumerate(prompt, longer, s, longest, stop, lengthPenalty, all);
            }
        }
    }

    private static void same(List<BeamSearch.Hypothesis> found, List<Scored> expected) {
        assertThat(found).hasSameSizeAs(expected);
        for (int i = 0; i < found.size(); i++) {
            BeamSearch.Hypothesis h = found.get(i);
            assertThat(h.continuation().tokens()).as("sequence " + i).isEqualTo(expected.get(i).tokens);
            assertThat(h.score()).as("score " + i).isCloseTo(expected.get(i).score, within(1e-5));
            assertThat(h.continuation().logProbability()).isCloseTo(expected.get(i).sum, within(1e-5));
            boolean stopped = h.continuation().tokens()[h.continuation().tokens().length - 1] == STOP;
            assertThat(h.continuation().finish()).isEqualTo(stopped ? FinishReason.STOP_TOKEN : FinishReason.LENGTH);
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {1, 0, 2.5, -1})
    void aWideSearchFindsWhatEnumerationFinds(double lengthPenalty) {
        BeamSearch.Settings settings = BeamSearch.Settings.of(400, 4, Set.of(STOP)).withBest(25).with(lengthPenalty, EarlyStopping.NEVER);
        List<List<BeamSearch.Hypothesis>> found = new BeamSearch(model).search(PROMPTS, settings);
        for (int b = 0; b < PROMPTS.length; b++) {
            List<Scored> all = new ArrayList<>();
            enumerate(PROMPTS[b], new int[0], 0, 4, Set.of(STOP), lengthPenalty, all);
            same(found.get(b), all.stream().sorted(Scored.BEST_FIRST).limit(25).toList());
        }
    }

    @Test
    void aWideSearchWithoutStopTokensFindsWhatEnumerationFinds() {
        List<Scored> all = new ArrayList<>();
        enumerate(PROMPTS[0], new int[0], 0, 3, Set.of(), 1, all);
        List<List<BeamSearch.Hypothesis>> found = new BeamSearch(model)
                .search(PROMPTS, BeamSearch.Settings.of(125, 3, Set.of()).withBest(125));
        List<Scored> expected = all.stream().sorted(Scored.BEST_FIRST).toList();
        assertThat(found.getFirst()).hasSize(125);
        for (int i = 0; i < 125; i++) {
            assertThat(found.getFirst().get(i).continuation().tokens()).isEqualTo(expected.get(i).tokens);
        }
    }

    /** The rules of the class comment on whole sequences, without states. */
    private List<Scored> plainly(int[] prompt, BeamSearch.Settings s) {
        List<Scored> running = List.of(new Scored(new int[0], 0, 0));
        List<Scored> finished = new ArrayList<>();
        for (int n = 1; !running.isEmpty(); n++) {
            List<Scored> extensions = new ArrayList<>();
            for (Scored r : running) {
                int[] ids = Arrays.copyOf(prompt, prompt.length + r.tokens.length);
                System.arraycopy(r.tokens, 0, ids, prompt.length, r.tokens.length);
                double[] logP = logProbabilities(ids);
                for (int id = 0; id < VOCABULARY; id++) {
                    extensions.add(new Scored(with(r.tokens, id), r.sum + logP[id], (r.sum + logP[id]) / Math.pow(n, s.length_penalty())));
                }
            }
            extensions.sort(Comparator.comparingDouble(e -> -e.sum));
            List<Scored> next = new ArrayList<>();
            for (int rank = 0; rank < extensions.size(); rank++) {
                Scored e = extensions.get(rank);
                boolean ends = n == s.maxTokens() || s.stop().contains(e.tokens[n - 1]);
                if (ends && rank < s.num_beams()) {
                    finished.add(e);
                } else if (!ends && next.size() < s.num_beams()) {
                    next.add(e);
                }
            }
            finished.sort(Scored.BEST_FIRST);
            finished = new ArrayList<>(finished.subList(0, Math.min(s.num_beams(), finished.size())));
            boolean full = finished.size() == s.num_beams();
            int judged = s.early_stopping() == EarlyStopping.NEVER && s.length_penalty() > 0 ? s.maxTokens() : n;
            boolean over = full && !next.isEmpty() && (s.early_stopping() == EarlyStopping.WHEN_FULL
                    || next.getFirst().sum / Math.pow(judged, s.length_penalty()) <= finished.getLast().score);
            running = over ? List.of() : next;
        }
        return finished.subList(0, Math.min(s.num_return_sequences(), finished.size()));
    }

    @ParameterizedTest
    @CsvSource({"2,1", "3,1", "3,0", "3,-0.7", "4,2", "7,1"})
    void aNarrowSearchFollowsItsRules(int beams, double lengthPenalty) {
        for (EarlyStopping early : EarlyStopping.values()) {
            BeamSearch.Settings settings = BeamSearch.Settings.of(beams, 8, Set.of(STOP)).withBest(beams).with(lengthPenalty, early);
            List<List<BeamSearch.Hypothesis>> found = new BeamSearch(model).search(PROMPTS, settings);
            for (int b = 0; b < PROMPTS.length; b++) {
                same(found.get(b), plainly(PROMPTS[b], settings));
                same(new BeamSearch(model, 1).search(new int[][] {PROMPTS[b]}, settings).getFirst(), plainly(PROMPTS[b], settings));
            }
        }
    }

    @Test
    void oneBeamIsGreedy() {
        for (Set<Integer> stop : List.of(Set.<Integer>of(), Set.of(STOP), Set.of(0, 1))) {
            List<Continuation> greedy = new Generator(model)
                    .continuations(PROMPTS, new Generator.Request(9, Sampling.greedy(), stop), (_, _) -> true);
            List<List<BeamSearch.Hypothesis>> found = new BeamSearch(model).search(PROMPTS,
                    BeamSearch.Settings.of(1, 9, stop).with(1, EarlyStopping.WHEN_FULL));
            for (int b = 0; b < PROMPTS.length; b++) {
                Continuation beam = found.get(b).getFirst().continuation();
                assertThat(beam.tokens()).isEqualTo(greedy.get(b).tokens());
                assertThat(beam.finish()).isEqualTo(greedy.get(b).finish());
                assertThat(beam.logProbability()).isCloseTo(greedy.get(b).logProbability(), within(1e-5));
            }
        }
    }

    @Test
    void logProbabilitiesAreThoseOfTheTokens() {
        List<BeamSearch.Hypothesis> found = new BeamSearch(model).search(PROMPTS, BeamSearch.Settings.of(6, 7, Set.of()).withBest(6))
                .get(2);
        for (BeamSearch.Hypothesis h : found) {
            assertThat(h.continuation().logProbability())
                    .isCloseTo(GeneratorTest.logProbability(model, PROMPTS[2], h.continuation().tokens()), within(1e-5));
        }
        assertThat(found).extracting(h -> Arrays.toString(h.continuation().tokens())).doesNotHaveDuplicates();
    }

    @Test
    void processorsHoldForEveryBeam() {
        BeamSearch.Settings settings = BeamSearch.Settings.of(4, 8, Set.of(STOP)).withBest(4).withMinTokens(5)
                .withProcessors(LogitsProcessors.noRepeatNgram(2), LogitsProcessors.forcedFirst(2));
        for (List<BeamSearch.Hypothesis> hypotheses : new BeamSearch(model).search(PROMPTS, settings)) {
            assertThat(hypotheses).isNotEmpty().allSatisfy(h -> {
                int[] tokens = h.continuation().tokens();
                assertThat(tokens[0]).isEqualTo(2);
                assertThat(h.continuation().logProbabilities()[0]).isZero();
                assertThat(Arrays.copyOf(tokens, Math.min(5, tokens.length))).doesNotContain(STOP);
            });
        }
        BeamSearch.Settings nothing = BeamSearch.Settings.of(2, 3, Set.of())
                .withProcessors((_, l) -> Arrays.fill(l, Float.NEGATIVE_INFINITY));
        assertThatThrownBy(() -> new BeamSearch(model).search(PROMPTS, nothing)).isInstanceOf(DataException.class);
        BeamSearch.Settings noNumber = BeamSearch.Settings.of(2, 3, Set.of()).withProcessors((_, l) -> l[2] = Float.NaN);
        assertThatThrownBy(() -> new BeamSearch(model).search(PROMPTS, noNumber)).isInstanceOf(DataException.class)
                .hasMessageContaining("NaN");
    }

    @Test
    void tiesAreBrokenByTheLowerToken() {
        BeamSearch.Settings settings = BeamSearch.Settings.of(3, 2, Set.of()).withBest(3).withProcessors((_, l) -> Arrays.fill(l, -1));
        for (List<BeamSearch.Hypothesis> found : new BeamSearch(model).search(PROMPTS, settings)) {
            assertThat(found).extracting(h -> h.continuation().tokens())
                    .containsExactly(new int[] {0, 0}, new int[] {0, 1}, new int[] {0, 2});
        }
    }

    @ParameterizedTest
    @EnumSource(EarlyStopping.class)
    void aSearchEndsWhenItIsToldTo(EarlyStopping early) {
        BeamSearch.Settings settings = BeamSearch.Settings.of(3, 9, Set.of()).withBest(3).with(1, early);
        List<List<BeamSearch.Hypothesis>> found = new BeamSearch(model).search(PROMPTS, settings, n -> n < 4);
        assertThat(found).allSatisfy(list -> assertThat(list).hasSize(3).allSatisfy(h -> {
            assertThat(h.continuation().tokens()).hasSize(4);
            assertThat(h.continuation().finish()).isEqualTo(FinishReason.LISTENER);
        }));
        Thread self = Thread.currentThread();
        List<List<BeamSearch.Hypothesis>> interrupted = new BeamSearch(model).search(PROMPTS, settings, n -> {
            if (n == 2) {
                self.interrupt();
            }
            return true;
        });
        assertThat(Thread.interrupted()).isTrue();
        assertThat(interrupted.getFirst().getFirst().continuation().tokens()).hasSize(3);
        assertThat(interrupted.getFirst().getFirst().continuation().finish()).isEqualTo(FinishReason.INTERRUPTED);
    }

    @Test
    void badInputIsATypedError() {
        BeamSearch search = new BeamSearch(model);
        BeamSearch.Settings good = BeamSearch.Settings.of(2, 3, Set.of());
        assertThatThrownBy(() -> search.search(new int[0][], good)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> search.search(new int[][] {{1}, {}}, good)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> search.search(new int[][] {{VOCABULARY}}, good)).isInstanceOf(DataException.class)
                .hasMessageContaining("[0, 5)");
        assertThatThrownBy(() -> search.search(PROMPTS, BeamSearch.Settings.of(2, 10, Set.of()))).isInstanceOf(CapacityException.class);
        List<Runnable> wrong = List.of(() -> BeamSearch.Settings.of(0, 3, Set.of()), () -> BeamSearch.Settings.of(2, 0, Set.of()),
                () -> good.withBest(3),
                () -> good.withBest(0), () -> good.withMinTokens(-1), () -> good.with(Double.NaN, EarlyStopping.NEVER),
                () -> BeamSearch.Settings.of(2, 3, Set.of(-1)), () -> new BeamSearch(model, 0));
        wrong.forEach(w -> assertThatThrownBy(w::run).isInstanceOf(ConfigException.class));
    }
}
