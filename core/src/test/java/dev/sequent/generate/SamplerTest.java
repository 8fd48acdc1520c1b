package dev.sequent.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.ConfigException;
import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every rule against its plain formula: which tokens can come, and how often they do. */
class SamplerTest {
    private static final float[] LOGITS = {0.3f, -1.2f, 2.1f, 2.0f, -0.0f, 0.7f, 1.4f, Float.NEGATIVE_INFINITY, 0.7f};
    private static final int DRAWS = 40_000;

    /** The distribution that the rules describe, written down directly. */
    private static double[] expected(Sampling r, float[] logits, List<Integer> seen) {
        int n = logits.length;
        double[] x = new double[n];
        for (int i = 0; i < n; i++) {
            double l = logits[i];
            if (seen.contains(i)) {
                l = l > 0 ? l / r.repetition_penalty() : l * r.repetition_penalty();
            }
            x[i] = l / r.temperature();
        }
        double[] p = softmax(x);
        List<Integer> order = new ArrayList<>(IntStream.range(0, n).boxed().toList());
        order.sort(Comparator.comparingDouble((Integer i) -> -p[i]).thenComparing(i -> i));
        int k = r.top_k() == 0 ? n : Math.min(n, r.top_k());
        keep(p, order.subList(0, k));
        int m = 1;
        for (double sum = p[order.getFirst()]; sum < r.top_p() && m < k; m++) {
            sum += p[order.get(m)];
        }
        keep(p, order.subList(0, m));
        double best = p[order.getFirst()];
        keep(p, order.stream().filter(i -> p[i] >= r.min_p() * best).toList());
        return p;
    }

    private static double[] softmax(double[] x) {
        double max = IntStream.range(0, x.length).mapToDouble(i -> x[i]).max().orElseThrow();
        double sum = 0;
        double[] p = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            p[i] = Math.exp(x[i] - max);
            sum += p[i];
        }
        for (int i = 0; i < x.length; i++) {
            p[i] /= sum;
        }
        return p;
    }

    private static void keep(double[] p, List<Integer> tokens) {
        double sum = 0;
        for (int i = 0; i < p.length; i++) {
            p[i] = tokens.contains(i) ? p[i] : 0;
            sum += p[i];
        }
        for (int i = 0; i < p.length; i++) {
            p[i] /= sum;
        }
    }

    /**
     * Draws from a fresh history every time and compares counts with the formula: within five standard deviations, and never where it says
     * 0.
     */
    private static void matches(Sampling rules, float[] logits, List<Integer> seen) {
        double[] p = expected(rules, logits, seen);
        int[] counts = new int[logits.length];
        for (int row = 0; row < DRAWS; row++) {
            Sampler sampler = new Sampler(rules, row);
            seen.forEach(sampler::observe);
            counts[sampler.next(logits.clone())]++;
        }
        for (int i = 0; i < p.length; i++) {
            double sigma = Math.sqrt(DRAWS * p[i] * (1 - p[i]));
            assertThat((double) counts[i]).as("token %d of %s, p = %f", i, rules, p[i])
                    .isBetween(DRAWS * p[i] - 5 * sigma, DRAWS * p[i] + 5 * sigma);
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.3, 1, 2.5})
    void temperatureDividesTheLogits(double temperature) {
        matches(Sampling.temperature(temperature, 1), LOGITS, List.of());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5, 6, 9, 100})
    void topKKeepsTheMostLikely(int k) {
        matches(Sampling.temperature(1, 2).withTopK(k), LOGITS, List.of());
    }

    @ParameterizedTest
    @ValueSource(doubles = {1e-9, 0.3, 0.6, 0.95, 1})
    void topPKeepsTheFewestThatReachP(double p) {
        matches(Sampling.temperature(1.3, 3).withTopP(p), LOGITS, List.of());
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.2, 0.8, 1})
    void minPKeepsWhatIsNotMuchLessLikely(double p) {
        matches(Sampling.temperature(0.9, 4).withMinP(p), LOGITS, List.of());
    }

    @Test
    void repetitionPenaltyTouchesOnlySeenTokens() {
        matches(Sampling.temperature(1, 5).withRepetitionPenalty(1.7), LOGITS, List.of(2, 1, 7));
        matches(Sampling.temperature(1, 6).withRepetitionPenalty(0.5), LOGITS, List.of(0, 4));
    }

    @Test
    void rulesApplyInTheirOrder() {
        matches(Sampling.temperature(0.8, 7).withRepetitionPenalty(1.3).withTopK(6).withTopP(0.9).withMinP(0.2), LOGITS, List.of(3, 5));
    }

    @Test
    void oneStreamIsUniformToo() {
        Sampler sampler = new Sampler(Sampling.temperature(1, 8), 0);
        int[] counts = new int[4];
        for (int i = 0; i < DRAWS; i++) {
            counts[sampler.next(new float[4])]++;
        }
        for (int c : counts) {
            assertThat((double) c).isBetween(DRAWS / 4.0 - 5 * Math.sqrt(DRAWS * 3 / 16.0), DRAWS / 4.0 + 5 * Math.sqrt(DRAWS * 3 / 16.0));
        }
    }

    @Test
    void greedyTakesTheFirstOfTheLargest() {
        Sampler sampler = new Sampler(Sampling.greedy(), 0);
        assertThat(sampler.next(LOGITS.clone())).isEqualTo(2);
        assertThat(sampler.next(new float[] {1, 3, 3, 2})).isEqualTo(1);
        assertThat(sampler.next(new float[] {Float.NEGATIVE_INFINITY, -1e30f})).isEqualTo(1);
        assertThat(sampler.next(new float[] {-7})).isZero();
    }

    @Test
    void greedyHonoursTheRepetitionPenalty() {
        Sampler sampler = new Sampler(Sampling.greedy().withRepetitionPenalty(2), 0);
        List<Integer> chosen = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            chosen.add(sampler.next(new float[] {1, 3, 2, -5}));
        }
        assertThat(chosen).as("3 and 2 become 1.5 and 1, level with the 1 that then becomes 0.5").containsExactly(1, 2, 1, 1);
    }

    @Test
    void temperaturesTowardsZeroApproachGreedy() {
        for (int row = 0; row < 50; row++) {
            assertThat(new Sampler(Sampling.temperature(1e-300, 9), row).next(LOGITS.clone())).isEqualTo(2);
            assertThat(new Sampler(Sampling.temperature(5, 9).withTopK(1), row).next(LOGITS.clone())).isEqualTo(2);
        }
    }

    @Test
    void theSameSeedGivesTheSameTokens() {
        Function<Sampler, List<Integer>> draw = s -> {
            SplittableRandom r = new SplittableRandom(10);
            List<Integer> tokens = new ArrayList<>();
            for (int i = 0; i < 50; i++) {
                float[] logits = new float[20];
                for (int j = 0; j < logits.length; j++) {
                    logits[j] = (float) r.nextGaussian();
                }
                tokens.add(s.next(logits));
            }
            return tokens;
        };
        Sampling rules = Sampling.temperature(1, 11).withTopP(0.95).withRepetitionPenalty(1.1);
        assertThat(draw.apply(new Sampler(rules, 3))).isEqualTo(draw.apply(new Sampler(rules, 3)));
        assertThat(draw.apply(new Sampler(rules, 3))).isNotEqualTo(draw.apply(new Sampler(rules, 4)));
        Sampling other = Sampling.temperature(1, 12).withTopP(0.95).withRepetitionPenalty(1.1);
        assertThat(draw.apply(new Sampler(rules, 3))).isNotEqualTo(draw.apply(new Sampler(other, 3)));
    }

    @Test
    void logitsThatAreNoNumbersAreRefused() {
        for (Sampling rules : List.of(Sampling.greedy(), Sampling.temperature(1, 1).withTopK(2))) {
            Sampler sampler = new Sampler(rules, 0);
            float low = Float.NEGATIVE_INFINITY;
            for (float[] bad : new float[][] {{1, Float.NaN}, {Float.NaN, 1}, {1, Float.POSITIVE_INFINITY}, {low, low}, {}}) {
                assertThatThrownBy(() -> sampler.next(bad.clone())).isInstanceOf(DataException.class).hasMessageContaining("[sample]");
            }
            assertThat(sampler.next(new float[] {low, 2, low})).isEqualTo(1);
        }
        assertThatThrownBy(() -> new Sampler(Sampling.greedy(), 0).observe(-1)).isInstanceOf(DataException.class);
    }

    @Test
    void rulesOutsideTheirRangesAreRefused() {
        for (double bad : new double[] {-1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertThatThrownBy(() -> Sampling.temperature(bad, 0)).isInstanceOf(ConfigException.class);
            assertThatThrownBy(() -> Sampling.greedy().withTopP(bad)).isInstanceOf(ConfigException.class);
            assertThatThrownBy(() -> Sampling.greedy().withMinP(bad)).isInstanceOf(ConfigException.class);
            assertThatThrownBy(() -> Sampling.greedy().withRepetitionPenalty(bad)).isInstanceOf(ConfigException.class);
        }
        assertThatThrownBy(() -> Sampling.greedy().withTopK(-1)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Sampling.greedy().withTopP(0)).isInstanceOf(ConfigException.class);
    }
}
