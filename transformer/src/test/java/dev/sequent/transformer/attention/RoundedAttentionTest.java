package dev.sequent.transformer.attention;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.transformer.attention.RawAttentionTest.Problem;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Attention by BF16 products against the definition in double precision, over operands that BF16 represents, with outputs and scratch
 * memory full of NaN. What is left is the rounding of probabilities and score gradients, at most 2^-8 of each: {@link #BOUND} of the
 * largest element of a result is several times what that makes of it.
 */
class RoundedAttentionTest {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final double BOUND = 1.0 / 128;

    private static Problem problem(Arena arena, AttentionSizes n, AttentionMask mask, Random random) {
        Problem p = RawAttentionTest.problem(arena, n, mask, random, RoundedAttention.backwardFloats(n));
        for (HeadsView view : new HeadsView[] {p.call().q(), p.call().k(), p.call().v(), p.gradients().dout()}) {
            for (long i = 0; i < view.memory().byteSize() / Float.BYTES; i++) {
                float x = view.memory().getAtIndex(FLOAT, i);
                view.memory().setAtIndex(FLOAT, i, Float.isNaN(x) ? x : Float.intBitsToFloat(Float.floatToRawIntBits(x) & 0xffff0000));
            }
        }
        return p;
    }

    private static void run(Problem p, int threads, Arena arena) {
        RoundedAttention attention = new RoundedAttention(RawAttentionTest.threads(threads), new PlainProducts());
        attention.forward(p.call(), RawAttentionTest.poisoned(arena, RoundedAttention.forwardFloats(p.call().sizes())));
        attention.backward(p.call(), p.gradients());
    }

    private static float[][] results(Problem p) {
        AttentionSizes n = p.call().sizes();
        return new float[][] {RawAttentionTest.values(p.call().out(), n.batch(), n.queries(), n.heads(), n.width()),
            p.call().lse().toArray(FLOAT),
            RawAttentionTest.values(p.gradients().dq(), n.batch(), n.queries(), n.heads(), n.width()),
            RawAttentionTest.values(p.gradients().dk(), n.batch(), n.keys(), n.groups(), n.width()),
            RawAttentionTest.values(p.gradients().dv(), n.batch(), n.keys(), n.groups(), n.width())};
    }

    private static void check(AttentionSizes n, AttentionMask mask, Random random) {
        try (Arena arena = Arena.ofShared()) {
            Problem p = problem(arena, n, mask, random);
            run(p, 2, arena);
            NaiveAttention e = new NaiveAttention(p.call(), p.gradients().dout());
            double[][] expected = {e.out, e.lse, e.dq, e.dk, e.dv};
            String[] names = {"out", "lse", "dq", "dk", "dv"};
            for (int r = 0; r < expected.length; r++) {
                compare(names[r] + " of " + n + " " + mask, results(p)[r], expected[r]);
            }
        }
    }

    private static void compare(String what, float[] actual, double[] expected) {
        double largest = Arrays.stream(expected).filter(Double::isFinite).map(Math::abs).max().orElse(0);
        for (int i = 0; i < expected.length; i++) {
            boolean close = actual[i] == expected[i] || Math.abs(actual[i] - expected[i]) <= BOUND * Math.max(1, largest);
            if (!close) {
                throw new AssertionError(what + ": element " + i + " is " + actual[i] + ", expected " + expected[i] + "; largest "
                        + largest);
            }
        }
    }

    @Test
    void everyHeadWidthEqualsTheDefinition() {
        Random random = new Random(1);
        for (int width : new int[] {1, 2, 5, 16, 17, 31, 32, 48, 63, 64, 65, 80, 128, 200}) {
            check(new AttentionSizes(1, 70, 70, 2, 1, width), AttentionMask.CAUSAL, random);
            check(new AttentionSizes(1, 3, 21, 2, 1, width), AttentionMask.CAUSAL, random);
        }
    }

    @Test
    void everyLengthEqualsTheDefinition() {
        Random random = new Random(2);
        for (int time : new int[] {1, 2, 3, 17, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 300, 513}) {
            check(new AttentionSizes(1, time, time, 2, 2, 8), AttentionMask.CAUSAL, random);
            check(new AttentionSizes(1, time, 330, 1, 1, 8), AttentionMask.CAUSAL, random);
            check(new AttentionSizes(1, 33, time, 1, 1, 8), AttentionMask.FULL, random);
        }
    }

    @Test
    void queryHeadsShareKeyValueHeads() {
        Random random = new Random(3);
        for (int[] heads : new int[][] {{1, 1}, {4, 4}, {4, 2}, {6, 2}, {5, 1}}) {
            check(new AttentionSizes(2, 40, 75, heads[0], heads[1], 16), AttentionMask.CAUSAL, random);
        }
    }

    @Test
    void windowsEqualTheDefinition() {
        Random random = new Random(4);
        for (int window : new int[] {1, 2, 7, 64, 100, 300, 500}) {
            check(new AttentionSizes(1, 400, 400, 2, 1, 12), AttentionMask.CAUSAL.withWindow(window), random);
            check(new AttentionSizes(1, 50, 690, 2, 1, 12), AttentionMask.CAUSAL.withWindow(window), random);
        }
    }

    /** Random documents, padding (whose keys and values are NaN), windows and positions, all at once. */
    @Test
    void documentsPaddingAndOffsetsEqualTheDefinition() {
        Random random = new Random(5);
        for (int trial = 0; trial < 40; trial++) {
            AttentionSizes n = new AttentionSizes(2, 1 + random.nextInt(trial % 3 == 0 ? 8 : 300), 1 + random.nextInt(400), 2, 1, 10);
            AttentionMask mask = random.nextBoolean() ? AttentionMask.CAUSAL : AttentionMask.FULL;
            if (random.nextBoolean()) {
                mask = mask.withWindow(1 + random.nextInt(90));
            }
            if (random.nextBoolean()) {
                mask = mask.withOffsets(new int[] {n.keys() - n.queries() + random.nextInt(21) - 10, random.nextInt(40) - 20});
            }
            if (random.nextInt(4) != 0) {
                mask = mask.withDocuments(RawAttentionTest.documents(n.batch(), n.queries(), random),
                        RawAttentionTest.documents(n.batch(), n.keys(), random));
            }
            check(n, mask, random);
        }
    }

    /** Long enough that keys are cut into chunks. */
    @Test
    void longSequencesEqualTheDefinition() {
        Random random = new Random(6);
        check(new AttentionSizes(1, 1100, 1100, 1, 1, 16), AttentionMask.CAUSAL, random);
    }

    @Test
    void resultsDoNotDependOnTheNumberOfThreads() {
        AttentionSizes n = new AttentionSizes(2, 1100, 1100, 2, 1, 24);
        float[][] first = null;
        for (int threads : new int[] {1, 2, 3, 8, 64}) {
            try (Arena arena = Arena.ofShared()) {
                Problem p = problem(arena, n, AttentionMask.CAUSAL, new Random(8));
                run(p, threads, arena);
                first = first == null ? results(p) : first;
                for (int i = 0; i < first.length; i++) {
                    assertThat(results(p)[i]).as("result " + i + " of " + threads + " threads").isEqualTo(first[i]);
                }
            }
        }
    }

    /** Later tokens do not reach earlier results, not even by a bit. */
    @Test
    void theFutureDoesNotReachThePast() {
        AttentionSizes n = new AttentionSizes(1, 390, 390, 1, 1, 24);
        for (int change : new int[] {1, 63, 64, 100, 200, 256, 300, 389}) {
            try (Arena arena = Arena.ofShared()) {
                Problem p = problem(arena, n, AttentionMask.CAUSAL, new Random(9));
                run(p, 1, arena);
                float[] before = results(p)[0];
                for (int j = change; j < n.keys(); j++) {
                    for (int d = 0; d < n.width(); d++) {
                        p.call().k().memory().setAtIndex(FLOAT, p.call().k().index(0, j, 0) + d, 100f * d);
                        p.call().v().memory().setAtIndex(FLOAT, p.call().v().index(0, j, 0) + d, -1e30f);
                    }
                }
                run(p, 1, arena);
                assertThat(Arrays.copyOf(results(p)[0], change * n.width())).as("from " + change)
                        .isEqualTo(Arrays.copyOf(before, change * n.width()));
            }
        }
    }

    @Test
    void notANumberIsNotHidden() {
        AttentionSizes n = new AttentionSizes(1, 40, 40, 1, 1, 8);
        try (Arena arena = Arena.ofShared()) {
            Problem p = problem(arena, n, AttentionMask.CAUSAL, new Random(9));
            p.call().q().memory().setAtIndex(FLOAT, p.call().q().index(0, 1, 0) + 3, Float.NaN);
            run(p, 1, arena);
            assertThat(p.call().out().memory().getAtIndex(FLOAT, p.call().out().index(0, 1, 0))).isNaN();
            assertThat(p.call().out().memory().getAtIndex(FLOAT, p.call().out().index(0, 2, 0))).isNotNaN();
            assertThat(p.gradients().dk().memory().getAtIndex(FLOAT, p.gradients().dk().index(0, 0, 0))).isNaN();
        }
    }

    /** Scores far apart: the running maximum, exponentials that vanish, and a scale of either sign or none. */
    @Test
    void largeScoresAndScalesOfAnySignEqualTheDefinition() {
        AttentionSizes n = new AttentionSizes(1, 90, 400, 1, 1, 4);
        for (float scale : new float[] {20f, -20f, 0f, -0.5f}) {
            try (Arena arena = Arena.ofShared()) {
                Problem p = problem(arena, n, AttentionMask.CAUSAL, new Random(10));
                AttentionCall c = p.call();
                Problem scaled = new Problem(new AttentionCall(n, c.mask(), scale, c.q(), c.k(), c.v(), c.out(), c.lse()), p.gradients());
                run(scaled, 1, arena);
                NaiveAttention expected = new NaiveAttention(scaled.call(), p.gradients().dout());
                compare("out at scale " + scale, results(scaled)[0], expected.out);
                compare("dq at scale " + scale, results(scaled)[2], expected.dq);
                compare("dk at scale " + scale, results(scaled)[3], expected.dk);
            }
        }
    }
}
