package dev.sequent.transformer.attention;

import dev.sequent.fused.LaneSum;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The forward pass for a few queries against many keys, as in token-by-token generation. It is bound by memory: keys and values are
 * read once, in place, for all query heads that share them, and long sequences are cut into pieces of {@link #KEYS} keys whose partial
 * softmaxes are joined afterwards (Flash-Decoding, Dao et al. 2023). Stateless.
 */
final class DecodeAttention {
    /** Keys of one task. */
    static final int KEYS = 512;

    /** More queries than this are better off in panels. */
    static final int MOST_QUERIES = 8;

    private static final VectorSpecies<Float> F = Tiles.F;
    private static final int LANES = Tiles.LANES;
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
        private final float[] scores = new float[KEYS];
        private float[] query = new float[0];

        private float[] query(int width) {
            if (query.length < width) {
                query = new float[width];
            }
            return query;
        }
    }

    /** One piece of the keys of a key-value head, for all queries that read it. */
    static void piece(AttentionCall call, int row, int group, int piece, float[] partials, Scratch s) {
        AttentionSizes sizes = call.sizes();
        for (int h = 0; h < sizes.headsPerGroup(); h++) {
            int head = group * sizes.headsPerGroup() + h;
            for (int i = 0; i < sizes.queries(); i++) {
                int at = (Math.toIntExact(call.lseIndex(row, head, i)) * pieces(sizes) + piece) * partial(sizes);
                query(call, row, group, head, i, piece * KEYS, Math.min(sizes.keys(), (piece + 1) * KEYS), partials, at, s);
            }
        }
    }

    private static void query(AttentionCall call, int row, int group, int head, int i, int start, int end, float[] partials, int at, Scratch s) {
        AttentionSizes sizes = call.sizes();
        int width = sizes.width();
        int from = Math.max(start, call.mask().firstKey(sizes, row, i));
        int count = Math.min(end, call.mask().endKey(sizes, row, i)) - from;
        Arrays.fill(partials, at, at + partial(sizes), 0f);
        partials[at] = Softmax.NO_MAXIMUM;
        if (count <= 0) {
            return;
        }
        float[] query = s.query(width);
        MemorySegment q = call.q().memory().asSlice(call.q().index(row, i, head) * Float.BYTES, width * 4L);
        for (int d = 0; d < width; d++) {
            query[d] = q.get(FLOAT, d * 4L) * call.scale() * Softmax.LOG2_E;
        }
        scores(vectors(call.k(), row, from, group, count, width), call.k().tokenStride() * Float.BYTES, count, query, width, s.scores);
        if (call.mask().hasDocuments()) {
            for (int j = 0; j < count; j++) {
                if (!call.mask().sameDocument(sizes, row, i, from + j)) {
                    s.scores[j] = Float.NEGATIVE_INFINITY;
                }
            }
        }
        partials[at] = maximum(s.scores, count);
        partials[at + 1] = exponentials(s.scores, count, partials[at]);
        values(call, row, group, from, count, s.scores, partials, at + 2);
    }

    private static MemorySegment vector(HeadsView view, int row, int token, int head, int width) {
        return view.memory().asSlice(view.index(row, token, head) * Float.BYTES, width * 4L);
    }

    /** The memory of consecutive tokens of one head. */
    private static MemorySegment vectors(HeadsView view, int row, int token, int head, int count, int width) {
        long last = (count - 1) * view.tokenStride();
        return view.memory().asSlice(view.index(row, token, head) * Float.BYTES, (last + width) * Float.BYTES);
    }

    private static void scores(MemorySegment k, long stride, int count, float[] query, int width, float[] scores) {
        int main = F.loopBound(width);
        int j = 0;
        for (; j + 4 <= count; j += 4) {
            long at = j * stride;
            FloatVector s0 = FloatVector.zero(F);
            FloatVector s1 = FloatVector.zero(F);
            FloatVector s2 = FloatVector.zero(F);
            FloatVector s3 = FloatVector.zero(F);
            for (int d = 0; d < main; d += LANES) {
                FloatVector q = FloatVector.fromArray(F, query, d);
                s0 = FloatVector.fromMemorySegment(F, k, at + d * 4L, ORDER).fma(q, s0);
                s1 = FloatVector.fromMemorySegment(F, k, at + stride + d * 4L, ORDER).fma(q, s1);
                s2 = FloatVector.fromMemorySegment(F, k, at + 2 * stride + d * 4L, ORDER).fma(q, s2);
                s3 = FloatVector.fromMemorySegment(F, k, at + 3 * stride + d * 4L, ORDER).fma(q, s3);
            }
            scores[j] = LaneSum.of(s0);
            scores[j + 1] = LaneSum.of(s1);
            scores[j + 2] = LaneSum.of(s2);
            scores[j + 3] = LaneSum.of(s3);
        }
        for (; j < count; j++) {
            FloatVector sum = FloatVector.zero(F);
            for (int d = 0; d < main; d += LANES) {
                sum = FloatVector.fromMemorySegment(F, k, j * stride + d * 4L, ORDER).fma(FloatVector.fromArray(F, query, d), sum);
            }
            scores[j] = LaneSum.of(sum);
        }
        for (int d = main; d < width; d++) {
            addProducts(k, stride, count, d, query[d], scores);
        }
    }

    /** Adds the products of one channel to the scores. */
    private static void addProducts(MemorySegment k, long stride, int count, int d, float query, float[] scores) {
        for (int j = 0; j < count; j++) {
            scores[j] += query * k.get(FLOAT, j * stride + d * 4L);
        }
    }

    private static float maximum(float[] scores, int count) {
        float maximum = Softmax.NO_MAXIMUM;
        for (int j = 0; j < count; j++) {
            maximum = scores[j] > maximum ? scores[j] : maximum;
        }
        return maximum;
    }

    /** Replaces scores by 2^(score - maximum) and returns their sum. */
    private static float exponentials(float[] scores, int count, float maximum) {
        int whole = Math.ceilDiv(count, LANES) * LANES;
        Arrays.fill(scores, count, whole, Float.NEGATIVE_INFINITY);
        return Softmax.exponentials(scores, whole, maximum);
    }

    /** Adds values weighted by {@code weights} to {@code sums}. */
    private static void values(AttentionCall call, int row, int group, int from, int count, float[] weights, float[] sums, int at) {
        int width = call.sizes().width();
        MemorySegment v = vectors(call.v(), row, from, group, count, width);
        long stride = call.v().tokenStride() * Float.BYTES;
        int j = 0;
        if (!call.mask().hasDocuments()) {
            j = count - count % 4;
            addFours(v, stride, j, weights, width, sums, at);
        }
        for (; j < count; j++) {
            if (weights[j] != 0f) {
                add(v, j * stride, weights[j], width, sums, at);
            }
        }
    }

    private static void addFours(MemorySegment v, long stride, int count, float[] weights, int width, float[] sums, int to) {
        int main = F.loopBound(width);
        for (int j = 0; j < count; j += 4) {
            long at = j * stride;
            FloatVector w0 = FloatVector.broadcast(F, weights[j]);
            FloatVector w1 = FloatVector.broadcast(F, weights[j + 1]);
            FloatVector w2 = FloatVector.broadcast(F, weights[j + 2]);
            FloatVector w3 = FloatVector.broadcast(F, weights[j + 3]);
            for (int d = 0; d < main; d += LANES) {
                FloatVector a = FloatVector.fromMemorySegment(F, v, at + d * 4L, ORDER).fma(w0, FloatVector.fromArray(F, sums, to + d));
                FloatVector b = FloatVector.fromMemorySegment(F, v, at + stride + d * 4L, ORDER).mul(w1);
                a = FloatVector.fromMemorySegment(F, v, at + 2 * stride + d * 4L, ORDER).fma(w2, a);
                b = FloatVector.fromMemorySegment(F, v, at + 3 * stride + d * 4L, ORDER).fma(w3, b);
                a.add(b).intoArray(sums, to + d);
            }
        }
        for (int d = main; d < width; d++) {
            float sum = 0f;
            for (int j = 0; j < count; j++) {
                sum += weights[j] * v.get(FLOAT, j * stride + d * 4L);
            }
            sums[to + d] += sum;
        }
    }

    private static void add(MemorySegment v, long from, float weight, int width, float[] sums, int at) {
        FloatVector w = FloatVector.broadcast(F, weight);
        int main = F.loopBound(width);
        for (int d = 0; d < main; d += LANES) {
            FloatVector.fromMemorySegment(F, v, from + d * 4L, ORDER).fma(w, FloatVector.fromArray(F, sums, at + d)).intoArray(sums, at + d);
        }
        for (int d = main; d < width; d++) {
            sums[at + d] += weight * v.get(FLOAT, from + d * 4L);
        }
    }

    /** Joins the pieces of one query and writes its result. */
    static void join(AttentionCall call, int row, int head, int i, float[] partials) {
        AttentionSizes sizes = call.sizes();
        int pieces = pieces(sizes);
        int step = partial(sizes);
        int first = Math.toIntExact(call.lseIndex(row, head, i)) * pieces * step;
        float maximum = Softmax.NO_MAXIMUM;
        for (int p = 0; p < pieces; p++) {
            maximum = Math.max(maximum, partials[first + p * step]);
        }
        float sum = 0f;
        for (int p = 0; p < pieces; p++) {
            int at = first + p * step;
            partials[at] = (float) Math.exp((partials[at] - maximum) * Softmax.LN_2);
            sum += partials[at] * partials[at + 1];
        }
        float inverse = sum == 0f ? 0f : 1f / sum;
        MemorySegment out = vector(call.out(), row, i, head, sizes.width());
        for (int d = 0; d < sizes.width(); d++) {
            float total = 0f;
            for (int p = 0; p < pieces; p++) {
                total += partials[first + p * step] * partials[first + p * step + 2 + d];
            }
            out.set(FLOAT, d * 4L, total * inverse);
        }
        if (call.lse() != null) {
            float lse = sum == 0f ? Float.NEGATIVE_INFINITY : maximum * Softmax.LN_2 + (float) Math.log(sum);
            call.lse().set(FLOAT, call.lseIndex(row, head, i) * Float.BYTES, lse);
        }
    }
}
