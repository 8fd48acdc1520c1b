package dev.sequent.transformer.attention;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.spi.Parallel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The kernels against the definition: results, logarithmic sums and all gradients, with outputs and scratch memory full of NaN. */
class RawAttentionTest {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final double TOLERANCE = 2e-5;

    /** A call with gradients, in memory of its own. */
    record Problem(AttentionCall call, AttentionGradients gradients) {
        void run(RawAttention attention) {
            attention.forward(call);
            attention.backward(call, gradients);
        }
    }

    static List<RawAttention> implementations() {
        return List.of(new PanelAttention(threads(2)), new LoopAttention(threads(2)));
    }

    static Parallel threads(int count) {
        return new Parallel() {
            @Override
            public int threads() {
                return count;
            }

            @Override
            public void forEach(int tasks, Task body) {
                AtomicInteger next = new AtomicInteger();
                Runnable work = () -> {
                    for (int t = next.getAndIncrement(); t < tasks; t = next.getAndIncrement()) {
                        body.run(t);
                    }
                };
                List<Thread> others = new ArrayList<>();
                for (int i = 1; i < count; i++) {
                    others.add(Thread.ofPlatform().start(work));
                }
                work.run();
                others.forEach(RawAttentionTest::join);
            }
        };
    }

    private static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static MemorySegment random(Arena arena, long floats, Random random) {
        MemorySegment m = arena.allocate(floats * Float.BYTES, 4);
        for (long i = 0; i < floats; i++) {
            m.setAtIndex(FLOAT, i, (float) random.nextGaussian());
        }
        return m;
    }

    static MemorySegment poisoned(Arena arena, long floats) {
        MemorySegment m = arena.allocate(floats * Float.BYTES, 4);
        for (long i = 0; i < floats; i++) {
            m.setAtIndex(FLOAT, i, Float.NaN);
        }
        return m;
    }

    private static HeadsView dense(MemorySegment memory, int tokens, int heads, int width) {
        return new HeadsView(memory, (long) tokens * heads * width, (long) heads * width, width);
    }

    /** Queries are slices of wider rows, keys lie head by head in a cache with room to spare, values token by token. */
    static Problem problem(Arena arena, AttentionSizes n, AttentionMask mask, Random random, long workspaceFloats) {
        int width = n.width();
        long token = (long) (n.heads() + 2) * width + 3;
        HeadsView q = new HeadsView(random(arena, n.batch() * n.queries() * token, random), n.queries() * token, token, width);
        long room = n.keys() + 5L;
        HeadsView k = new HeadsView(random(arena, n.batch() * n.groups() * room * width, random), n.groups() * room * width, width,
                room * width);
        HeadsView v = dense(random(arena, (long) n.batch() * n.keys() * n.groups() * width, random), n.keys(), n.groups(), width);
        long queries = (long) n.batch() * n.queries() * n.heads() * width;
        long keys = (long) n.batch() * n.keys() * n.groups() * width;
        for (int b = 0; b < n.batch(); b++) {
            for (int j = 0; j < n.keys(); j++) {
                if (mask.isPadding(n, b, j)) {
                    poison(k, v, n, b, j);
                }
            }
        }
        MemorySegment lse = poisoned(arena, (long) n.batch() * n.heads() * n.queries());
        AttentionCall call = new AttentionCall(n, mask, (float) (1 / Math.sqrt(width)), q, k, v,
                dense(poisoned(arena, queries), n.queries(), n.heads(), width),
                lse);
        HeadsView dq = new HeadsView(poisoned(arena, n.batch() * n.queries() * token), n.queries() * token, token, width);
        AttentionGradients gradients = new AttentionGradients(dense(random(arena, queries, random), n.queries(), n.heads(), width), dq,
                dense(poisoned(arena, keys), n.keys(), n.groups(), width), dense(poisoned(arena, keys), n.keys(), n.groups(), width),
                poisoned(arena, workspaceFloats));
        return new Problem(call, gradients);
    }

    private static void poison(HeadsView k, HeadsView v, AttentionSizes n, int b, int j) {
        for (int g = 0; g < n.groups(); g++) {
            for (int d = 0; d < n.width(); d++) {
                k.memory().setAtIndex(FLOAT, k.index(b, j, g) + d, Float.NaN);
                v.memory().setAtIndex(FLOAT, v.index(b, j, g) + d, Float.NaN);
            }
        }
    }

    private static void check(RawAttention attention, AttentionSizes n, AttentionMask mask, Random random) {
        try (Arena arena = Arena.ofShared()) {
            Problem p = problem(arena, n, mask, random, attention.workspaceFloats(n));
            p.run(attention);
            NaiveAttention expected = new NaiveAttention(p.call(), p.gradients().dout());
            String what = attention.flavour() + " " + n + " " + mask;
            compare(what + " out", values(p.call().out(), n.batch(), n.queries(), n.heads(), n.width()), expected.out);
            compare(what + " lse", p.call().lse().toArray(FLOAT), expected.lse);
            compare(what + " dq", values(p.gradients().dq(), n.batch(), n.queries(), n.heads(), n.width()), expected.dq);
            compare(what + " dk", values(p.gradients().dk(), n.batch(), n.keys(), n.groups(), n.width()), expected.dk);
            compare(what + " dv", values(p.gradients().dv(), n.batch(), n.keys(), n.groups(), n.width()), expected.dv);
        }
    }

    static float[] values(HeadsView view, int batch, int tokens, int heads, int width) {
        float[] values = new float[batch * tokens * heads * width];
        int i = 0;
        for (int b = 0; b < batch; b++) {
            for (int t = 0; t < tokens; t++) {
                for (int h = 0; h < heads; h++) {
                    for (int d = 0; d < width; d++) {
                        values[i++] = view.memory().getAtIndex(FLOAT, view.index(b, t, h) + d);
                    }
                }
            }
        }
        return values;
    }

    private static void compare(String what, float[] actual, double[] expected) {
        for (int i = 0; i < expected.length; i++) {
            boolean close = actual[i] == expected[i] || Math.abs(actual[i] - expected[i]) <= TOLERANCE * Math.max(1, Math.abs(expected[i]));
            if (!close) {
                throw new AssertionError(what + ": element " + i + " is " + actual[i] + ", expected " + expected[i]);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("implementations")
    void everyHeadWidthEqualsTheDefinition(RawAttention attention) {
        Random random = new Random(1);
        for (int width : new int[] {1, 2, 5, 16, 17, 31, 32, 48, 63, 64, 65, 80, 128, 200}) {
            check(attention, new AttentionSizes(1, 70, 70, 2, 1, width), AttentionMask.CAUSAL, random);
            check(attention, new AttentionSizes(1, 3, 21, 2, 1, width), AttentionMask.CAUSAL, random);
        }
    }

    @ParameterizedTest
    @MethodSource("implementations")
    void everyLengthEqualsTheDefinition(RawAttention attention) {
        Random random = new Random(2);
        for (int time : new int[] {1, 2, 3, 8, 9, 17, 63, 64, 65, 100, 127, 128, 129, 241, 260}) {
            check(attention, new AttentionSizes(2, time, time, 2, 2, 8), AttentionMask.CAUSAL, random);
            check(attention, new AttentionSizes(1, time, 130, 1, 1, 8), AttentionMask.CAUSAL, random);
            check(attention, new AttentionSizes(1, 33, time, 1, 1, 8), AttentionMask.FULL, random);
        }
    }

    @ParameterizedTest
    @MethodSource("implementations")
    void queryHeadsShareKeyValueHeads(RawAttention attention) {
        Random random = new Random(3);
        for (int[] heads : new int[][] {{1, 1}, {4, 4}, {4, 2}, {6, 2}, {5, 1}}) {
            check(attention, new AttentionSizes(2, 40, 75, heads[0], heads[1], 16), AttentionMask.CAUSAL, random);
            check(attention, new AttentionSizes(2, 1, 75, heads[0], heads[1], 16), AttentionMask.CAUSAL, random);
        }
    }

    /** More keys than one task takes, and numbers of heads that do not divide by those of one pass. */
    @ParameterizedTest
    @MethodSource("implementations")
    void fewQueriesOfManyKeysEqualTheDefinition(RawAttention attention) {
        Random random = new Random(31);
        for (int[] n : new int[][] {{1, 1, 1, 64}, {1, 4, 1, 64}, {3, 5, 1, 100}, {8, 6, 2, 17}, {2, 3, 3, 128}}) {
            for (int keys : new int[] {17, 63, 543, 1100}) {
                check(attention, new AttentionSizes(2, n[0], keys, n[1], n[2], n[3]), AttentionMask.CAUSAL, random);
            }
        }
        check(attention, new AttentionSizes(1, 1, 9000, 5, 1, 20), AttentionMask.CAUSAL, random);
    }

    /** Also not on the number of threads. */
    @Test
    void resultsOfFewQueriesDependOnNoOtherQuery() {
        AttentionSizes sizes = new AttentionSizes(1, 3, 9100, 5, 1, 80);
        AttentionMask mask = AttentionMask.CAUSAL.withOffsets(new int[] {9000});
        try (Arena arena = Arena.ofShared()) {
            AttentionCall call = problem(arena, sizes, mask, new Random(32), 1).call();
            new PanelAttention(threads(3)).forward(call);
            float[] together = values(call.out(), 1, 3, 5, 80);
            for (int i = 0; i < 3; i++) {
                HeadsView q = call.q();
                MemorySegment rest = q.memory().asSlice(i * q.tokenStride() * Float.BYTES);
                AttentionCall one = new AttentionCall(new AttentionSizes(1, 1, 9100, 5, 1, 80), mask.withOffsets(new int[] {9000 + i}),
                        call.scale(), new HeadsView(rest, q.rowStride(), q.tokenStride(), q.headStride()), call.k(), call.v(),
                        dense(poisoned(arena, 5 * 80), 1, 5, 80), null);
                new PanelAttention(threads(1)).forward(one);
                assertThat(values(one.out(), 1, 1, 5, 80)).containsExactly(Arrays.copyOfRange(together, i * 400, (i + 1) * 400));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("implementations")
    void windowsEqualTheDefinition(RawAttention attention) {
        Random random = new Random(4);
        for (int window : new int[] {1, 2, 7, 64, 100, 300}) {
            check(attention, new AttentionSizes(1, 200, 200, 2, 1, 12), AttentionMask.CAUSAL.withWindow(window), random);
            check(attention, new AttentionSizes(1, 5, 290, 2, 1, 12), AttentionMask.CAUSAL.withWindow(window), random);
        }
    }

    /** Random documents, padding (whose keys and values are NaN), windows and positions, all at once. */
    @ParameterizedTest
    @MethodSource("implementations")
    void documentsPaddingAndOffsetsEqualTheDefinition(RawAttention attention) {
        Random random = new Random(5);
        for (int trial = 0; trial < 60; trial++) {
            AttentionSizes n = new AttentionSizes(2, 1 + random.nextInt(trial % 3 == 0 ? 8 : 150), 1 + random.nextInt(200), 2, 1, 10);
            AttentionMask mask = random.nextBoolean() ? AttentionMask.CAUSAL : AttentionMask.FULL;
            if (random.nextBoolean()) {
                mask = mask.withWindow(1 + random.nextInt(90));
            }
            if (random.nextBoolean()) {
                mask = mask.withOffsets(new int[] {n.keys() - n.queries() + random.nextInt(21) - 10, random.nextInt(40) - 20});
            }
            if (random.nextInt(4) != 0) {
                mask = mask.withDocuments(documents(n.batch(), n.queries(), random), documents(n.batch(), n.keys(), random));
            }
            check(attention, n, mask, random);
        }
    }

    static int[] documents(int batch, int time, Random random) {
        int[] documents = new int[batch * time];
        int document = 0;
        for (int i = 0; i < documents.length; i++) {
            document = random.nextInt(25) == 0 ? random.nextInt(4) - 1 : document;
            documents[i] = document;
        }
        return documents;
    }

    /** Long enough that keys are cut into chunks, and decoding into pieces. */
    @Test
    void longSequencesEqualTheDefinition() {
        Random random = new Random(6);
        RawAttention attention = new PanelAttention(threads(2));
        check(attention, new AttentionSizes(1, 1100, 1100, 1, 1, 16), AttentionMask.CAUSAL, random);
        check(attention, new AttentionSizes(1, 2, 1600, 4, 2, 20), AttentionMask.CAUSAL, random);
    }

    @Test
    void resultsDoNotDependOnTheNumberOfThreads() {
        AttentionSizes n = new AttentionSizes(2, 1100, 1100, 2, 1, 24);
        float[][] first = results(n, 1);
        for (int threads : new int[] {2, 3, 8, 64}) {
            float[][] others = results(n, threads);
            for (int i = 0; i < first.length; i++) {
                assertThat(others[i]).as("result " + i + " of " + threads + " threads").isEqualTo(first[i]);
            }
        }
    }

    private static float[][] results(AttentionSizes n, int threads) {
        try (Arena arena = Arena.ofShared()) {
            RawAttention attention = new PanelAttention(threads(threads));
            Problem p = problem(arena, n, AttentionMask.CAUSAL, new Random(8), attention.workspaceFloats(n));
            p.run(attention);
            return new float[][] {values(p.call().out(), 2, n.queries(), n.heads(), n.width()),
                    values(p.gradients().dq(), 2, n.queries(), n.heads(), n.width()),
                    values(p.gradients().dk(), 2, n.keys(), n.groups(), n.width()),
                    values(p.gradients().dv(), 2, n.keys(), n.groups(), n.width())};
        }
    }

    @ParameterizedTest
    @MethodSource("implementations")
    void notANumberIsNotHidden(RawAttention attention) {
        for (int queries : new int[] {4, 40}) {
            AttentionSizes n = new AttentionSizes(1, queries, 40, 1, 1, 8);
            try (Arena arena = Arena.ofShared()) {
                Problem p = problem(arena, n, AttentionMask.CAUSAL, new Random(9), attention.workspaceFloats(n));
                p.call().q().memory().setAtIndex(FLOAT, p.call().q().index(0, 1, 0) + 3, Float.NaN);
                p.run(attention);
                assertThat(p.call().out().memory().getAtIndex(FLOAT, p.call().out().index(0, 1, 0))).isNaN();
                assertThat(p.call().out().memory().getAtIndex(FLOAT, p.call().out().index(0, 2, 0))).isNotNaN();
            }
        }
    }

    /** A power of two built by adding to the bits of a NaN would be a number for some payloads. */
    @ParameterizedTest
    @MethodSource("implementations")
    void notANumberOfAnyPayloadIsNotHidden(RawAttention attention) {
        for (int queries : new int[] {4, 40}) {
            AttentionSizes n = new AttentionSizes(1, queries, 40, 1, 1, 64);
            for (int bits : new int[] {0x7fc00000, 0xffc00000, 0x7fc00001, 0x7fc00041, 0x7fc00081, 0x7fc00101, 0xffc001ff, 0x7fffffff}) {
                try (Arena arena = Arena.ofShared()) {
                    Problem p = problem(arena, n, AttentionMask.CAUSAL, new Random(9), attention.workspaceFloats(n));
                    HeadsView q = p.call().q();
                    q.memory().set(ValueLayout.JAVA_INT_UNALIGNED, (q.index(0, 1, 0) + 3) * 4, bits);
                    p.run(attention);
                    String what = attention.flavour() + ", " + queries + " queries, " + Integer.toHexString(bits);
                    float[] out = values(p.call().out(), 1, queries, 1, 64);
                    float[] dq = values(p.gradients().dq(), 1, queries, 1, 64);
                    for (int d = 0; d < 64; d++) {
                        assertThat(out[64 + d]).as(what).isNaN();
                        assertThat(dq[64 + d]).as(what).isNaN();
                        assertThat(out[128 + d]).as(what).isNotNaN();
                        assertThat(dq[128 + d]).as(what).isNotNaN();
                    }
                }
            }
        }
    }

    /** Scores far apart: the running maximum, and exponentials that vanish. */
    @ParameterizedTest
    @MethodSource("implementations")
    void largeScoresDoNotOverflow(RawAttention attention) {
        AttentionSizes n = new AttentionSizes(1, 90, 200, 1, 1, 4);
        try (Arena arena = Arena.ofShared()) {
            Problem p = problem(arena, n, AttentionMask.CAUSAL, new Random(10), attention.workspaceFloats(n));
            for (int i = 0; i < n.queries(); i++) {
                for (int d = 0; d < n.width(); d++) {
                    long at = p.call().q().index(0, i, 0) + d;
                    p.call().q().memory().setAtIndex(FLOAT, at, p.call().q().memory().getAtIndex(FLOAT, at) * 60);
                }
            }
            attention.forward(p.call());
            NaiveAttention expected = new NaiveAttention(p.call(), p.gradients().dout());
            compare("large scores", values(p.call().out(), 1, n.queries(), 1, n.width()), expected.out);
        }
    }
}
