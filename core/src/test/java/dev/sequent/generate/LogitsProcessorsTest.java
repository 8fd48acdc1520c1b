package dev.sequent.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.ConfigException;
import dev.sequent.type.DataException;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every processor against its formula. */
class LogitsProcessorsTest {
    private static final float OUT = Float.NEGATIVE_INFINITY;
    private static final float[] LOGITS = {0.5f, -1.5f, 2, 1.75f, -0.25f, 0.5f};
    private static final TokenHistory NONE = TokenHistory.of(new int[] {0});

    private static float[] after(LogitsProcessor processor, TokenHistory tokens, float... logits) {
        float[] changed = logits.clone();
        processor.process(tokens, changed);
        return changed;
    }

    /** The tokens that are left. */
    private static int[] left(LogitsProcessor processor, float... logits) {
        float[] changed = after(processor, NONE, logits);
        for (int i = 0; i < logits.length; i++) {
            assertThat(changed[i]).as("token " + i).isIn(logits[i], OUT);
        }
        return IntStream.range(0, logits.length).filter(i -> changed[i] > OUT).toArray();
    }

    private static float[] log(double... p) {
        float[] logits = new float[p.length];
        for (int i = 0; i < p.length; i++) {
            logits[i] = (float) Math.log(p[i]) + 7;
        }
        return logits;
    }

    @Test
    void temperatureDividesDifferences() {
        assertThat(after(LogitsProcessors.temperature(0.5), NONE, 1, 3, OUT)).containsExactly(-4, 0, OUT);
        assertThat(after(LogitsProcessors.temperature(1e-300), NONE, 1, 3, 3)).containsExactly(OUT, 0, 0);
        assertThat(after(LogitsProcessors.temperature(2), NONE, OUT, OUT)).containsExactly(OUT, OUT);
    }

    @Test
    void topKKeepsExactlyK() {
        assertThat(left(LogitsProcessors.topK(3), LOGITS)).containsExactly(0, 2, 3);
        assertThat(left(LogitsProcessors.topK(4), LOGITS)).containsExactly(0, 2, 3, 5);
        assertThat(left(LogitsProcessors.topK(9), LOGITS)).hasSize(6);
        assertThat(left(LogitsProcessors.topK(2), 1, 1, 1)).as("ties: the lower tokens").containsExactly(0, 1);
        assertThat(left(LogitsProcessors.topK(2), OUT, 5, OUT, OUT)).containsExactly(1);
    }

    @Test
    void topPKeepsTheFewestThatReachP() {
        float[] logits = log(0.1, 0.4, 0.2, 0.3);
        assertThat(left(LogitsProcessors.topP(0.39), logits)).containsExactly(1);
        assertThat(left(LogitsProcessors.topP(0.41), logits)).containsExactly(1, 3);
        assertThat(left(LogitsProcessors.topP(0.69), logits)).containsExactly(1, 3);
        assertThat(left(LogitsProcessors.topP(0.71), logits)).containsExactly(1, 2, 3);
        assertThat(left(LogitsProcessors.topP(1), logits)).hasSize(4);
        assertThat(left(LogitsProcessors.topP(1e-12), logits)).containsExactly(1);
    }

    @Test
    void minPIsRelativeToTheMostLikelyTokenAndNotToTheFirst() {
        float[] logits = log(0.1, 0.4, 0.2, 0.3);
        assertThat(left(LogitsProcessors.minP(0.26), logits)).containsExactly(1, 2, 3);
        assertThat(left(LogitsProcessors.minP(0.24), logits)).hasSize(4);
        assertThat(left(LogitsProcessors.minP(0.7), logits)).containsExactly(1, 3);
        assertThat(left(LogitsProcessors.minP(1), 3, 1, 3)).containsExactly(0, 2);
        assertThat(left(LogitsProcessors.minP(0), logits)).hasSize(4);
    }

    @Test
    void typicalKeepsWhatIsAsSurprisingAsExpected() {
        // entropy 0.5 ln 2 + 0.25 ln 4 + 2 * 0.125 ln 8 = 1.75 ln 2; surprises 1, 2, 3, 3 ln 2; distances 0.75, 0.25, 1.25, 1.25 ln 2
        float[] logits = log(0.5, 0.25, 0.125, 0.125);
        assertThat(left(LogitsProcessors.typical(0.2), logits)).as("not the most likely one").containsExactly(1);
        assertThat(left(LogitsProcessors.typical(0.3), logits)).containsExactly(0, 1);
        assertThat(left(LogitsProcessors.typical(0.8), logits)).containsExactly(0, 1, 2);
        assertThat(left(LogitsProcessors.typical(0.9), logits)).hasSize(4);
        assertThat(left(LogitsProcessors.typical(0.5), 1, OUT, 1, 1)).containsExactly(0, 2);
    }

    @Test
    void penaltiesCountWhatTheySay() {
        TokenHistory tokens = TokenHistory.of(new int[] {2, 1, 99}, 3, 3, 1);
        assertThat(after(LogitsProcessors.repetitionPenalty(2), tokens, LOGITS)).as("prompt included")
                .containsExactly(0.5f, -3, 1, 0.875f, -0.25f, 0.5f);
        assertThat(after(LogitsProcessors.frequencyPenalty(0.5), tokens, LOGITS)).containsExactly(0.5f, -2, 2, 0.75f, -0.25f, 0.5f);
        assertThat(after(LogitsProcessors.presencePenalty(0.5), tokens, LOGITS)).containsExactly(0.5f, -2, 2, 1.25f, -0.25f, 0.5f);
        assertThat(after(LogitsProcessors.frequencyPenalty(-1), tokens, OUT, 0, 0, 0)).containsExactly(OUT, 1, 0, 2);
    }

    @Test
    void noNgramComesTwice() {
        TokenHistory tokens = TokenHistory.of(new int[] {1, 2, 3, 1}, 2, 4, 1, 2);
        assertThat(left(tokens, LogitsProcessors.noRepeatNgram(3))).as("1 2 has gone on with 3 and 4").containsExactly(0, 1, 2, 5);
        assertThat(left(tokens, LogitsProcessors.noRepeatNgram(2))).as("2 has gone on with 3 and 4").containsExactly(0, 1, 2, 5);
        assertThat(left(tokens, LogitsProcessors.noRepeatNgram(1))).as("seen").containsExactly(0, 5);
        assertThat(left(tokens, LogitsProcessors.noRepeatNgram(8))).hasSize(6);
        assertThat(left(tokens, LogitsProcessors.noRepeatNgram(100))).hasSize(6);
    }

    private static int[] left(TokenHistory tokens, LogitsProcessor processor) {
        float[] changed = after(processor, tokens, LOGITS);
        return IntStream.range(0, LOGITS.length).filter(i -> changed[i] > OUT).toArray();
    }

    @Test
    void greedyGenerationOfATextWithoutRepeatedPairsHasNone() {
        Sampler sampler = new Sampler(Sampling.greedy().withNoRepeatNgram(2), 0);
        SplittableRandom random = new SplittableRandom(3);
        int[] tokens = new int[14];
        for (int i = 0; i < tokens.length; i++) {
            float[] logits = new float[9];
            logits[0] = 9;
            logits[random.nextInt(9)] += 2;
            tokens[i] = sampler.next(logits);
        }
        long pairs = IntStream.range(1, tokens.length).map(i -> 10 * tokens[i - 1] + tokens[i]).distinct().count();
        assertThat(pairs).isEqualTo(tokens.length - 1);
    }

    @Test
    void tokensAndWordsAreTakenOut() {
        TokenHistory tokens = TokenHistory.of(new int[] {1, 2}, 3);
        assertThat(left(tokens, LogitsProcessors.suppress(List.of(0, 5, 77)))).containsExactly(1, 2, 3, 4);
        assertThat(left(tokens, LogitsProcessors.only(4))).containsExactly(0, 1, 2, 3);
        assertThat(left(tokens, LogitsProcessors.only(9))).hasSize(6);
        LogitsProcessor bad = LogitsProcessors.badWords(List.of(new int[] {4}, new int[] {3, 5}, new int[] {2, 3, 1}, new int[] {1, 3, 0},
                new int[] {9, 9, 9, 9, 2}, new int[] {3, 88}));
        assertThat(left(tokens, bad)).containsExactly(0, 2, 3);
    }

    @Test
    void theFirstTokenIsForcedAndTheStopTokenWaits() {
        assertThat(after(LogitsProcessors.forcedFirst(1), NONE, 5, OUT, 5)).containsExactly(OUT, 0, OUT);
        assertThat(after(LogitsProcessors.forcedFirst(1), TokenHistory.of(new int[] {0}, 1), 5, OUT, 5)).containsExactly(5, OUT, 5);
        LogitsProcessor waiting = LogitsProcessors.minNewTokens(2, Set.of(0, 40));
        assertThat(after(waiting, TokenHistory.of(new int[] {7, 7, 7}, 1), 5, 1)).containsExactly(OUT, 1);
        assertThat(after(waiting, TokenHistory.of(new int[] {7}, 1, 1), 5, 1)).containsExactly(5, 1);
    }

    @Test
    void processorsThatLeaveNothingOrNoNumberAreErrors() {
        for (LogitsProcessor wrong : List.<LogitsProcessor>of((_, l) -> Arrays.fill(l, OUT), (_, l) -> l[1] = Float.NaN,
                (_, l) -> l[0] = Float.POSITIVE_INFINITY, LogitsProcessors.suppress(List.of(0, 1, 2)), LogitsProcessors.forcedFirst(3))) {
            for (Sampling rules : List.of(Sampling.greedy(),
                    Sampling.temperature(1, 1).withTopK(2).withTopP(0.5).withMinP(0.1).withTypicalP(0.5))) {
                assertThatThrownBy(() -> new Sampler(List.of(wrong), rules, 0).next(new float[3])).isInstanceOf(DataException.class)
                        .hasMessageContaining("[sample] expected");
            }
        }
    }

    static List<Runnable> wrongSettings() {
        return List.of(() -> LogitsProcessors.temperature(0), () -> LogitsProcessors.temperature(Double.NaN),
                () -> LogitsProcessors.topK(0),
                () -> LogitsProcessors.topP(0), () -> LogitsProcessors.topP(1.1), () -> LogitsProcessors.minP(-0.1),
                        () -> LogitsProcessors.minP(Double.NaN),
                () -> LogitsProcessors.typical(0), () -> LogitsProcessors.repetitionPenalty(0),
                        () -> LogitsProcessors.frequencyPenalty(Double.NaN),
                () -> LogitsProcessors.presencePenalty(Double.POSITIVE_INFINITY), () -> LogitsProcessors.noRepeatNgram(0),
                () -> LogitsProcessors.suppress(List.of(-1)), () -> LogitsProcessors.badWords(List.of(new int[0])),
                        () -> LogitsProcessors.forcedFirst(-1),
                () -> LogitsProcessors.only(0), () -> LogitsProcessors.minNewTokens(-1, Set.of()),
                        () -> LogitsProcessors.minNewTokens(1, Set.of(-1)),
                () -> Sampling.greedy().withTypicalP(0), () -> Sampling.greedy().withPenalties(Double.NaN, 0),
                () -> Sampling.greedy().withPenalties(0, Double.NaN), () -> Sampling.greedy().withNoRepeatNgram(-1));
    }

    @ParameterizedTest
    @MethodSource("wrongSettings")
    void settingsOutsideTheirRangesAreRefused(Runnable wrong) {
        assertThatThrownBy(wrong::run).isInstanceOf(ConfigException.class).hasMessageContaining("[sampling] expected");
    }

    @Test
    void histories() {
        TokenHistory tokens = TokenHistory.of(new int[] {4, 5}, 6);
        assertThat(tokens.size()).isEqualTo(3);
        assertThat(tokens.promptSize()).isEqualTo(2);
        assertThat(tokens.generated()).isEqualTo(1);
        assertThat(tokens.token(2)).isEqualTo(6);
        assertThatThrownBy(() -> tokens.token(3)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> TokenHistory.of(new int[] {-1})).isInstanceOf(DataException.class);
        TokenHistory longer = tokens.with(7);
        tokens.append(8);
        assertThat(longer.continuation()).containsExactly(6, 7);
        assertThat(tokens.continuation()).containsExactly(6, 8);
    }
}
