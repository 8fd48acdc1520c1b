package dev.sequent.transformer.attention;

import dev.sequent.spi.Parallel;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Attention in plain loops, one query at a time, for virtual machines without the Vector API. Thread-safe. */
final class LoopAttention implements RawAttention {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Parallel parallel;

    LoopAttention(Parallel parallel) {
        this.parallel = parallel;
    }

    @Override
    public String flavour() {
        return "scalar";
    }

    @Override
    public void forward(AttentionCall call) {
        AttentionSizes n = call.sizes();
        parallel.forEach(n.batch() * n.heads(), task -> {
            float[] scores = new float[n.keys()];
            float[] sums = new float[n.width()];
            for (int i = 0; i < n.queries(); i++) {
                query(call, task / n.heads(), task % n.heads(), i, scores, sums);
            }
        });
    }

    private static void query(AttentionCall call, int row, int head, int i, float[] scores, float[] sums) {
        AttentionSizes n = call.sizes();
        int group = head / n.headsPerGroup();
        int from = call.mask().firstKey(n, row, i);
        int to = call.mask().endKey(n, row, i);
        float maximum = Float.NEGATIVE_INFINITY;
        for (int j = from; j < to; j++) {
            if (call.mask().sameDocument(n, row, i, j)) {
                scores[j] = dot(call.q(), call.q().index(row, i, head), call.k(), call.k().index(row, j, group), n.width()) * call.scale();
                maximum = Math.max(maximum, scores[j]);
            }
        }
        java.util.Arrays.fill(sums, 0f);
        float sum = 0f;
        for (int j = from; j < to; j++) {
            if (call.mask().sameDocument(n, row, i, j)) {
                float p = (float) Math.exp(scores[j] - maximum);
                sum += p;
                add(p, call.v(), call.v().index(row, j, group), sums);
            }
        }
        for (int d = 0; d < n.width(); d++) {
            set(call.out(), call.out().index(row, i, head) + d, sum == 0f ? 0f : sums[d] / sum);
        }
        if (call.lse() != null) {
            float lse = sum == 0f ? Float.NEGATIVE_INFINITY : maximum + (float) Math.log(sum);
            call.lse().set(FLOAT, call.lseIndex(row, head, i) * Float.BYTES, lse);
        }
    }

    @Override
    public long workspaceFloats(AttentionSizes sizes) {
        return 0;
    }

    @Override
    public void backward(AttentionCall call, AttentionGradients gradients) {
        AttentionSizes n = call.sizes();
        parallel.forEach(n.batch() * n.groups(), task -> {
            int row = task / n.groups();
            int group = task % n.groups();
            for (int j = 0; j < n.keys(); j++) {
                clear(gradients.dk(), gradients.dk().index(row, j, group), n.width());
                clear(gradients.dv(), gradients.dv().index(row, j, group), n.width());
            }
            for (int head = group * n.headsPerGroup(); head < (group + 1) * n.headsPerGroup(); head++) {
                for (int i = 0; i < n.queries(); i++) {
                    queryGradient(call, gradients, row, group, head, i);
                }
            }
        });
    }

    private static void queryGradient(AttentionCall call, AttentionGradients gradients, int row, int group, int head, int i) {
        AttentionSizes n = call.sizes();
        int width = n.width();
        long q = call.q().index(row, i, head);
        long dout = gradients.dout().index(row, i, head);
        long dq = gradients.dq().index(row, i, head);
        clear(gradients.dq(), dq, width);
        float lse = call.lse().get(FLOAT, call.lseIndex(row, head, i) * Float.BYTES);
        float delta = dot(call.out(), call.out().index(row, i, head), gradients.dout(), dout, width);
        for (int j = call.mask().firstKey(n, row, i); j < call.mask().endKey(n, row, i); j++) {
            if (call.mask().sameDocument(n, row, i, j)) {
                long k = call.k().index(row, j, group);
                float p = (float) Math.exp(dot(call.q(), q, call.k(), k, width) * call.scale() - lse);
                float dp = dot(gradients.dout(), dout, call.v(), call.v().index(row, j, group), width);
                float ds = p * (dp - delta) * call.scale();
                add(p, gradients.dout(), dout, gradients.dv(), gradients.dv().index(row, j, group), width);
                add(ds, call.q(), q, gradients.dk(), gradients.dk().index(row, j, group), width);
                add(ds, call.k(), k, gradients.dq(), dq, width);
            }
        }
    }

    private static float get(HeadsView view, long index) {
        return view.memory().get(FLOAT, index * Float.BYTES);
    }

    private static void set(HeadsView view, long index, float value) {
        view.memory().set(FLOAT, index * Float.BYTES, value);
    }

    private static void clear(HeadsView view, long at, int width) {
        for (int d = 0; d < width; d++) {
            set(view, at + d, 0f);
        }
    }

    private static float dot(HeadsView x, long xAt, HeadsView y, long yAt, int width) {
        float sum = 0f;
        for (int d = 0; d < width; d++) {
            sum += get(x, xAt + d) * get(y, yAt + d);
        }
        return sum;
    }

    private static void add(float factor, HeadsView x, long at, float[] sums) {
        for (int d = 0; d < sums.length; d++) {
            sums[d] += factor * get(x, at + d);
        }
    }

    private static void add(float factor, HeadsView x, long xAt, HeadsView sums, long at, int width) {
        for (int d = 0; d < width; d++) {
            set(sums, at + d, get(sums, at + d) + factor * get(x, xAt + d));
        }
    }
}
