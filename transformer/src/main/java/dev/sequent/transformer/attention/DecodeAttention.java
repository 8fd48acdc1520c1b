package dev.sequent.transformer.attention;

import dev.sequent.fused.LaneSum;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The forward pass for a few queries against many keys, as in token-by-token generation. It is bound by memory: the query heads that share
 * a key-value head walk over keys and values together, {@link #ROWS} at a time, in place, and long sequences are cut into pieces of
 * {@link #KEYS} keys whose partial softmaxes are joined afterwards (Flash-Decoding, Dao et al. 2023). Every number depends on its own query
 * and the keys that it sees only. Stateless.
 *
 * <p>Loops run over keys, with the queries (for scores) or the sums (for values) of {@link #WIDE} vectors of channels in registers. A score
 * leaves such a loop as a vector; the lanes of a block of keys are summed together. A loop takes its keys from {@link #STREAMS} places in
 * turn, because memory is slow at the start of each page: what several streams wait for comes at the same time.
 */
final class DecodeAttention {
    /** Keys of one task. */
    static final int KEYS = 512;

    /** More queries than this are better off in panels. */
    static final int MOST_QUERIES = 8;

    /** Query heads of one pass; where there are fewer, the last one is computed several times. */
    private static final int ROWS = 4;

    /** Vectors of channels of one pass. */
    private static final int WIDE = 4;

    private static final VectorSpecies<Float> F = Tiles.F;
    private static final int LANES = Tiles.LANES;

    /** Places from which keys are taken in turn; a power of two. */
    private static final int STREAMS = 4;
    private static final int SHIFT = 2;

    /** Keys of a block: those of a vector of sums from each stream. */
    private static final int BLOCK = STREAMS * LANES;
    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

    private DecodeAttention() {}

    /** Pieces into which the keys are cut. */
    static int pieces(AttentionSizes sizes) {
        return Math.ceilDiv(sizes.keys(), KEYS);
    }

    /** Floats that one query of one piece leaves: its maximum, sum and weighted values. */
    static int partial(AttentionSizes sizes) {
        return 2 + sizes.width();
    }

    /** Floats of all partial results. */
    static int partials(AttentionSizes sizes) {
        return Math.multiplyExact(Math.multiplyExact(sizes.batch() * sizes.heads() * sizes.queries(), pieces(sizes)), partial(sizes));
    }

    /** One thread's vectors. */
    static final class Scratch {
        private final float[] lanes = new float[ROWS * BLOCK * LANES];
        private float[] scores = new float[0];
        private float[] queries = new float[0];
        private float[] sums = new float[0];

        private void fit(int heads, int width) {
            if (scores.length < heads * KEYS) {
                scores = new float[heads * KEYS];
            }
            if (queries.length < heads * width) {
                queries = new float[heads * width];
            }
        }

        private float[] sums(int width) {
            if (sums.length < width) {
                sums = new float[width];
            }
            return sums;
        }
    }

    /** One piece of the keys of a key-value head, for all queries that read it. */
    static void piece(AttentionCall call, int row, int group, int piece, float[] partials, Scratch s) {
        AttentionSizes sizes = call.sizes();
        int heads = sizes.headsPerGroup();
        s.fit(heads, sizes.width());
        for (int i = 0; i < sizes.queries(); i++) {
            int step = sizes.queries() * pieces(sizes) * partial(sizes);
            int at = (Math.toIntExact(call.lseIndex(row, group * heads, i)) * pieces(sizes) + piece) * partial(sizes);
            for (int h = 0; h < heads; h++) {
                Arrays.fill(partials, at + h * step, at + h * step + partial(sizes), 0f);
                partials[at + h * step] = Softmax.NO_MAXIMUM;
            }
            int from = Math.max(piece * KEYS, call.mask().firstKey(sizes, row, i));
            int count = Math.min((piece + 1) * KEYS, call.mask().endKey(sizes, row, i)) - from;
            if (count > 0) {
                query(call, row, group, i, from, count, partials, at, step, s);
            }
        }
    }

    /** One query of all heads of a group; partial results of the heads are {@code step} apart. */
    private static void query(AttentionCall call, int row, int group, int i, int from, int count, float[] partials, int at, int step,
            Scratch s) {
        AttentionSizes sizes = call.sizes();
        int heads = sizes.headsPerGroup();
        int width = sizes.width();
        for (int h = 0; h < heads; h++) {
            MemorySegment q = vector(call.q(), row, i, group * heads + h, width);
            for (int d = 0; d < width; d++) {
                s.queries[h * width + d] = q.get(FLOAT, d * 4L) * call.scale() * Softmax.LOG2_E;
            }
        }
        MemorySegment k = vectors(call.k(), row, from, group, count, width);
        long stride = call.k().tokenStride() * Float.BYTES;
        for (int h = 0; h < heads; h += ROWS) {
            scores(k, stride, count, s, h, heads, width);
        }
        for (int h = 0; h < heads; h++) {
            hide(call, row, i, from, count, s.scores, h * KEYS);
            int whole = Math.ceilDiv(count, LANES) * LANES;
            Arrays.fill(s.scores, h * KEYS + count, h * KEYS + whole, Float.NEGATIVE_INFINITY);
            float maximum = maximum(s.scores, h * KEYS, whole, s.lanes);
            partials[at + h * step] = maximum;
            partials[at + h * step + 1] = Softmax.exponentials(s.scores, h * KEYS, whole, maximum);
        }
        MemorySegment v = vectors(call.v(), row, from, group, count, width);
        for (int j = 0, end; j < count; j = end + 1) {
            end = j;
            while (end < count && call.mask().sameDocument(sizes, row, i, from + end)) {
                end++;
            }
            for (int h = 0; h < heads && end > j; h += ROWS) {
                values(v, call.v().tokenStride() * Float.BYTES, j, end, s.scores, h, heads, width, partials, at + 2, step);
            }
        }
    }

    /** Scores of keys of other documents become negative infinity. */
    private static void hide(AttentionCall call, int row, int i, int from, int count, float[] scores, int at) {
        for (int j = 0; call.mask().hasDocuments() && j < count; j++) {
            if (!call.mask().sameDocument(call.sizes(), row, i, from + j)) {
                scores[at + j] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    private static MemorySegment vector(HeadsView view, int row, int token, int head, int width) {
        return view.memory().asSlice(view.index(row, token, head) * Float.BYTES, width * 4L);
    }

    /** The memory of consecutive tokens of one head. */
    private static MemorySegment vectors(HeadsView view, int row, int token, int head, int count, int width) {
        long last = (count - 1) * view.tokenStride();
        return view.memory().asSlice(view.index(row, token, head) * Float.BYTES, (last + width) * Float.BYTES);
    }

    /** Scores of all keys for {@link #ROWS} heads from {@code head} on: blocks of all streams, and the keys that fill none. */
    private static void scores(MemorySegment k, long stride, int count, Scratch s, int head, int heads, int width) {
        int each = count / BLOCK * LANES;
        for (int j = 0; j < each; j += LANES) {
            MemorySegment block = k.asSlice(j * stride, ((STREAMS - 1L) * each + LANES - 1) * stride + width * 4L);
            dots(block, stride, each * stride, SHIFT, BLOCK, s, head, heads, width);
            sumLanes(BLOCK, s, head, heads, j, each);
        }
        int done = STREAMS * each;
        if (done < count) {
            MemorySegment block = k.asSlice(done * stride, (count - done - 1) * stride + width * 4L);
            dots(block, stride, 0, 0, count - done, s, head, heads, width);
            sumLanes(count - done, s, head, heads, done, LANES);
        }
        for (int h = head; h < Math.min(heads, head + ROWS); h++) {
            for (int d = F.loopBound(width); d < width; d++) {
                addProducts(k, stride, count, d, s.queries[h * width + d], s.scores, h * KEYS);
            }
        }
    }

    /** Adds up the lanes of {@code count} keys, which belong to scores from {@code to} on, each vector of them {@code gap} further. */
    private static void sumLanes(int count, Scratch s, int head, int heads, int to, int gap) {
        for (int r = 0; r < Math.min(ROWS, heads - head); r++) {
            int at = (head + r) * KEYS + to;
            for (int j = 0; j < count; j += LANES, at += gap) {
                LaneSum.ofEach(s.lanes, (r * BLOCK + j) * LANES, s.scores, at);
            }
        }
    }

    /** Products of a block of keys, {@code shift} being the logarithm of the number of streams, which are {@code gap} bytes apart. */
    private static void dots(MemorySegment k, long stride, long gap, int shift, int count, Scratch s, int head, int heads, int width) {
        int last = heads - 1;
        int q0 = head * width;
        int q1 = Math.min(last, head + 1) * width;
        int q2 = Math.min(last, head + 2) * width;
        int q3 = Math.min(last, head + 3) * width;
        boolean single = head == last;
        Arrays.fill(s.lanes, 0, single ? BLOCK * LANES : ROWS * BLOCK * LANES, 0f);
        int main = F.loopBound(width);
        int d = 0;
        for (; d + WIDE * LANES <= main; d += WIDE * LANES) {
            if (single) {
                addDotsOfOne(k, stride, gap, shift, count, s.queries, q0, d, s.lanes);
            } else {
                addDots(k, stride, gap, shift, count, s.queries, q0, q1, q2, q3, d, s.lanes);
            }
        }
        for (; d < main; d += LANES) {
            addNarrowDots(k, stride, gap, shift, count, s.queries, q0, q1, q2, q3, d, s.lanes);
        }
    }

    private static void addDotsOfOne(MemorySegment k, long stride, long gap, int shift, int count, float[] q, int qo, int d,
            float[] lanes) {
        FloatVector a = FloatVector.fromArray(F, q, qo + d);
        FloatVector b = FloatVector.fromArray(F, q, qo + d + LANES);
        FloatVector c = FloatVector.fromArray(F, q, qo + d + 2 * LANES);
        FloatVector e = FloatVector.fromArray(F, q, qo + d + 3 * LANES);
        int mask = (1 << shift) - 1;
        for (int j = 0; j < count; j++) {
            long from = (j & mask) * gap + (j >> shift) * stride + d * 4L;
            int to = ((j & mask) * LANES + (j >> shift)) * LANES;
            FloatVector x = FloatVector.fromMemorySegment(F, k, from, ORDER);
            FloatVector y = FloatVector.fromMemorySegment(F, k, from + LANES * 4L, ORDER);
            FloatVector z = FloatVector.fromMemorySegment(F, k, from + 2 * LANES * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(F, k, from + 3 * LANES * 4L, ORDER);
            w.fma(e, z.fma(c, y.fma(b, x.fma(a, FloatVector.fromArray(F, lanes, to))))).intoArray(lanes, to);
        }
    }

    private static void addDots(MemorySegment k, long stride, long gap, int shift, int count, float[] q, int q0, int q1, int q2, int q3,
            int d, float[] lanes) {
        FloatVector a0 = FloatVector.fromArray(F, q, q0 + d);
        FloatVector b0 = FloatVector.fromArray(F, q, q0 + d + LANES);
        FloatVector c0 = FloatVector.fromArray(F, q, q0 + d + 2 * LANES);
        FloatVector d0 = FloatVector.fromArray(F, q, q0 + d + 3 * LANES);
        FloatVector a1 = FloatVector.fromArray(F, q, q1 + d);
        FloatVector b1 = FloatVector.fromArray(F, q, q1 + d + LANES);
        FloatVector c1 = FloatVector.fromArray(F, q, q1 + d + 2 * LANES);
        FloatVector d1 = FloatVector.fromArray(F, q, q1 + d + 3 * LANES);
        FloatVector a2 = FloatVector.fromArray(F, q, q2 + d);
        FloatVector b2 = FloatVector.fromArray(F, q, q2 + d + LANES);
        FloatVector c2 = FloatVector.fromArray(F, q, q2 + d + 2 * LANES);
        FloatVector d2 = FloatVector.fromArray(F, q, q2 + d + 3 * LANES);
        FloatVector a3 = FloatVector.fromArray(F, q, q3 + d);
        FloatVector b3 = FloatVector.fromArray(F, q, q3 + d + LANES);
        FloatVector c3 = FloatVector.fromArray(F, q, q3 + d + 2 * LANES);
        FloatVector d3 = FloatVector.fromArray(F, q, q3 + d + 3 * LANES);
        int mask = (1 << shift) - 1;
        for (int j = 0; j < count; j++) {
            long from = (j & mask) * gap + (j >> shift) * stride + d * 4L;
            int to = ((j & mask) * LANES + (j >> shift)) * LANES;
            FloatVector x = FloatVector.fromMemorySegment(F, k, from, ORDER);
            FloatVector y = FloatVector.fromMemorySegment(F, k, from + LANES * 4L, ORDER);
            FloatVector z = FloatVector.fromMemorySegment(F, k, from + 2 * LANES * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(F, k, from + 3 * LANES * 4L, ORDER);
            w.fma(d0, z.fma(c0, y.fma(b0, x.fma(a0, FloatVector.fromArray(F, lanes, to))))).intoArray(lanes, to);
            to += BLOCK * LANES;
            w.fma(d1, z.fma(c1, y.fma(b1, x.fma(a1, FloatVector.fromArray(F, lanes, to))))).intoArray(lanes, to);
            to += BLOCK * LANES;
            w.fma(d2, z.fma(c2, y.fma(b2, x.fma(a2, FloatVector.fromArray(F, lanes, to))))).intoArray(lanes, to);
            to += BLOCK * LANES;
            w.fma(d3, z.fma(c3, y.fma(b3, x.fma(a3, FloatVector.fromArray(F, lanes, to))))).intoArray(lanes, to);
        }
    }

    private static void addNarrowDots(MemorySegment k, long stride, long gap, int shift, int count, float[] q, int q0, int q1, int q2,
            int q3, int d, float[] lanes) {
        FloatVector a0 = FloatVector.fromArray(F, q, q0 + d);
        FloatVector a1 = FloatVector.fromArray(F, q, q1 + d);
        FloatVector a2 = FloatVector.fromArray(F, q, q2 + d);
        FloatVector a3 = FloatVector.fromArray(F, q, q3 + d);
        int mask = (1 << shift) - 1;
        for (int j = 0; j < count; j++) {
            FloatVector x = FloatVector.fromMemorySegment(F, k, (j & mask) * gap + (j >> shift) * stride + d * 4L, ORDER);
            int to = ((j & mask) * LANES + (j >> shift)) * LANES;
            x.fma(a0, FloatVector.fromArray(F, lanes, to)).intoArray(lanes, to);
            to += BLOCK * LANES;
            x.fma(a1, FloatVector.fromArray(F, lanes, to)).intoArray(lanes, to);
            to += BLOCK * LANES;
            x.fma(a2, FloatVector.fromArray(F, lanes, to)).intoArray(lanes, to);
            to += BLOCK * LANES;
            x.fma(a3, FloatVector.fromArray(F, lanes, to)).intoArray(lanes, to);
        }
    }

    /** Adds the products of one channel to the scores. */
    private static void addProducts(MemorySegment k, long stride, int count, int d, float query, float[] scores, int at) {
        for (int j = 0; j < count; j++) {
            scores[at + j] += query * k.get(FLOAT, j * stride + d * 4L);
        }
    }

    /** The largest of {@code count} scores, a multiple of the lane count; NaN does not count. */
    private static float maximum(float[] scores, int from, int count, float[] lanes) {
        FloatVector m = FloatVector.broadcast(F, Softmax.NO_MAXIMUM);
        for (int j = 0; j < count; j += LANES) {
            FloatVector x = FloatVector.fromArray(F, scores, from + j);
            m = m.blend(x, m.lt(x));
        }
        m.intoArray(lanes, 0);
        float maximum = Softmax.NO_MAXIMUM;
        for (int l = 0; l < LANES; l++) {
            maximum = lanes[l] > maximum ? lanes[l] : maximum;
        }
        return maximum;
    }

    /** Adds the values of keys [from, to), weighted by their scores, to the sums of {@link #ROWS} heads from {@code head} on. */
    private static void values(MemorySegment v, long stride, int from, int to, float[] weights, int head, int heads, int width,
            float[] sums, int at, int step) {
        int h1 = Math.min(heads - 1, head + 1);
        int h2 = Math.min(heads - 1, head + 2);
        int h3 = Math.min(heads - 1, head + 3);
        int main = F.loopBound(width);
        int d = 0;
        for (; d + WIDE * LANES <= main; d += WIDE * LANES) {
            if (head == heads - 1) {
                addValuesOfOne(v, stride, from, to, d, weights, head * KEYS, sums, at + head * step + d);
                continue;
            }
            addValues(v, stride, from, to, d, weights, head * KEYS, h1 * KEYS, h2 * KEYS, h3 * KEYS, sums, at + head * step + d,
                    at + h1 * step + d, at + h2 * step + d, at + h3 * step + d);
        }
        for (; d < main; d += LANES) {
            addNarrowValues(v, stride, from, to, d, weights, head * KEYS, h1 * KEYS, h2 * KEYS, h3 * KEYS, sums, at + head * step + d,
                    at + h1 * step + d, at + h2 * step + d, at + h3 * step + d);
        }
        for (; d < width; d++) {
            for (int h = head; h <= h3; h++) {
                float sum = 0f;
                for (int j = from; j < to; j++) {
                    sum += weights[h * KEYS + j] * v.get(FLOAT, j * stride + d * 4L);
                }
                sums[at + h * step + d] += sum;
            }
        }
    }

    private static void addValuesOfOne(MemorySegment v, long stride, int from, int to, int d, float[] weights, int wo, float[] sums,
            int o) {
        FloatVector a = FloatVector.fromArray(F, sums, o);
        FloatVector b = FloatVector.fromArray(F, sums, o + LANES);
        FloatVector c = FloatVector.fromArray(F, sums, o + 2 * LANES);
        FloatVector e = FloatVector.fromArray(F, sums, o + 3 * LANES);
        int each = (to - from) / STREAMS;
        for (int i = 0; i < to - from; i++) {
            int j = from + (i < STREAMS * each ? (i % STREAMS) * each + i / STREAMS : i);
            long at = j * stride + d * 4L;
            FloatVector w = FloatVector.broadcast(F, weights[wo + j]);
            a = FloatVector.fromMemorySegment(F, v, at, ORDER).fma(w, a);
            b = FloatVector.fromMemorySegment(F, v, at + LANES * 4L, ORDER).fma(w, b);
            c = FloatVector.fromMemorySegment(F, v, at + 2 * LANES * 4L, ORDER).fma(w, c);
            e = FloatVector.fromMemorySegment(F, v, at + 3 * LANES * 4L, ORDER).fma(w, e);
        }
        a.intoArray(sums, o);
        b.intoArray(sums, o + LANES);
        c.intoArray(sums, o + 2 * LANES);
        e.intoArray(sums, o + 3 * LANES);
    }

    private static void addValues(MemorySegment v, long stride, int from, int to, int d, float[] weights, int w0, int w1, int w2, int w3,
            float[] sums, int o0, int o1, int o2, int o3) {
        FloatVector a0 = FloatVector.fromArray(F, sums, o0);
        FloatVector b0 = FloatVector.fromArray(F, sums, o0 + LANES);
        FloatVector c0 = FloatVector.fromArray(F, sums, o0 + 2 * LANES);
        FloatVector d0 = FloatVector.fromArray(F, sums, o0 + 3 * LANES);
        FloatVector a1 = FloatVector.fromArray(F, sums, o1);
        FloatVector b1 = FloatVector.fromArray(F, sums, o1 + LANES);
        FloatVector c1 = FloatVector.fromArray(F, sums, o1 + 2 * LANES);
        FloatVector d1 = FloatVector.fromArray(F, sums, o1 + 3 * LANES);
        FloatVector a2 = FloatVector.fromArray(F, sums, o2);
        FloatVector b2 = FloatVector.fromArray(F, sums, o2 + LANES);
        FloatVector c2 = FloatVector.fromArray(F, sums, o2 + 2 * LANES);
        FloatVector d2 = FloatVector.fromArray(F, sums, o2 + 3 * LANES);
        FloatVector a3 = FloatVector.fromArray(F, sums, o3);
        FloatVector b3 = FloatVector.fromArray(F, sums, o3 + LANES);
        FloatVector c3 = FloatVector.fromArray(F, sums, o3 + 2 * LANES);
        FloatVector d3 = FloatVector.fromArray(F, sums, o3 + 3 * LANES);
        int each = (to - from) / STREAMS;
        for (int i = 0; i < to - from; i++) {
            int j = from + (i < STREAMS * each ? (i % STREAMS) * each + i / STREAMS : i);
            long at = j * stride + d * 4L;
            FloatVector x = FloatVector.fromMemorySegment(F, v, at, ORDER);
            FloatVector y = FloatVector.fromMemorySegment(F, v, at + LANES * 4L, ORDER);
            FloatVector z = FloatVector.fromMemorySegment(F, v, at + 2 * LANES * 4L, ORDER);
            FloatVector u = FloatVector.fromMemorySegment(F, v, at + 3 * LANES * 4L, ORDER);
            FloatVector w = FloatVector.broadcast(F, weights[w0 + j]);
            a0 = x.fma(w, a0);
            b0 = y.fma(w, b0);
            c0 = z.fma(w, c0);
            d0 = u.fma(w, d0);
            w = FloatVector.broadcast(F, weights[w1 + j]);
            a1 = x.fma(w, a1);
            b1 = y.fma(w, b1);
            c1 = z.fma(w, c1);
            d1 = u.fma(w, d1);
            w = FloatVector.broadcast(F, weights[w2 + j]);
            a2 = x.fma(w, a2);
            b2 = y.fma(w, b2);
            c2 = z.fma(w, c2);
            d2 = u.fma(w, d2);
            w = FloatVector.broadcast(F, weights[w3 + j]);
            a3 = x.fma(w, a3);
            b3 = y.fma(w, b3);
            c3 = z.fma(w, c3);
            d3 = u.fma(w, d3);
        }
        a0.intoArray(sums, o0);
        b0.intoArray(sums, o0 + LANES);
        c0.intoArray(sums, o0 + 2 * LANES);
        d0.intoArray(sums, o0 + 3 * LANES);
        a1.intoArray(sums, o1);
        b1.intoArray(sums, o1 + LANES);
        c1.intoArray(sums, o1 + 2 * LANES);
        d1.intoArray(sums, o1 + 3 * LANES);
        a2.intoArray(sums, o2);
        b2.intoArray(sums, o2 + LANES);
        c2.intoArray(sums, o2 + 2 * LANES);
        d2.intoArray(sums, o2 + 3 * LANES);
        a3.intoArray(sums, o3);
        b3.intoArray(sums, o3 + LANES);
        c3.intoArray(sums, o3 + 2 * LANES);
        d3.intoArray(sums, o3 + 3 * LANES);
    }

    private static void addNarrowValues(MemorySegment v, long stride, int from, int to, int d, float[] weights, int w0, int w1, int w2,
            int w3, float[] sums, int o0, int o1, int o2, int o3) {
        FloatVector a0 = FloatVector.fromArray(F, sums, o0);
        FloatVector a1 = FloatVector.fromArray(F, sums, o1);
        FloatVector a2 = FloatVector.fromArray(F, sums, o2);
        FloatVector a3 = FloatVector.fromArray(F, sums, o3);
        for (int j = from; j < to; j++) {
            FloatVector x = FloatVector.fromMemorySegment(F, v, j * stride + d * 4L, ORDER);
            a0 = x.fma(FloatVector.broadcast(F, weights[w0 + j]), a0);
            a1 = x.fma(FloatVector.broadcast(F, weights[w1 + j]), a1);
            a2 = x.fma(FloatVector.broadcast(F, weights[w2 + j]), a2);
            a3 = x.fma(FloatVector.broadcast(F, weights[w3 + j]), a3);
        }
        a0.intoArray(sums, o0);
        a1.intoArray(sums, o1);
        a2.intoArray(sums, o2);
        a3.intoArray(sums, o3);
    }

    /** Joins the pieces of one query and writes its result. */
    static void join(AttentionCall call, int row, int head, int i, float[] partials, Scratch s) {
        AttentionSizes sizes = call.sizes();
        int pieces = pieces(sizes);
        int step = partial(sizes);
        int first = Math.toIntExact(call.lseIndex(row, head, i)) * pieces * step;
        float maximum = Softmax.NO_MAXIMUM;
        for (int p = 0; p < pieces; p++) {
            maximum = Math.max(maximum, partials[first + p * step]);
        }
        float sum = 0f;
        float[] sums = s.sums(sizes.width());
        Arrays.fill(sums, 0, sizes.width(), 0f);
        for (int p = 0; p < pieces; p++) {
            int at = first + p * step;
            float weight = (float) Math.exp((partials[at] - maximum) * Softmax.LN_2);
            sum += weight * partials[at + 1];
            addWeighted(partials, at + 2, weight, sizes.width(), sums);
        }
        float inverse = sum == 0f ? 0f : 1f / sum;
        MemorySegment out = vector(call.out(), row, i, head, sizes.width());
        for (int d = 0; d < sizes.width(); d++) {
            out.set(FLOAT, d * 4L, sums[d] * inverse);
        }
        if (call.lse() != null) {
            float lse = sum == 0f ? Float.NEGATIVE_INFINITY : maximum * Softmax.LN_2 + (float) Math.log(sum);
            call.lse().set(FLOAT, call.lseIndex(row, head, i) * Float.BYTES, lse);
        }
    }

    private static void addWeighted(float[] values, int from, float weight, int width, float[] sums) {
        for (int d = 0; d < width; d++) {
            sums[d] += weight * values[from + d];
        }
    }
}
