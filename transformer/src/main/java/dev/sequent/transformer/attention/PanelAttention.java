package dev.sequent.transformer.attention;

import dev.sequent.spi.Parallel;
import java.util.concurrent.atomic.AtomicLong;

/** Tiled attention with the Vector API. Load this class only where the module {@code jdk.incubator.vector} is present. Thread-safe. */
final class PanelAttention implements RawAttention {
    /** Pieces of keys for which several threads join them. */
    private static final int MANY_PIECES = 16;

    private final Parallel parallel;
    private final AtomicLong calls = new AtomicLong();
    private final ThreadLocal<PanelScratch> scratch = new ThreadLocal<>();
    private final ThreadLocal<DecodeAttention.Scratch> decodeScratch = ThreadLocal.withInitial(DecodeAttention.Scratch::new);
    private final ThreadLocal<float[]> partialScratch = new ThreadLocal<>();

    PanelAttention(Parallel parallel) {
        this.parallel = parallel;
    }

    @Override
    public String flavour() {
        return "vector" + Tiles.F.vectorBitSize();
    }

    @Override
    public void forward(AttentionCall call) {
        AttentionSizes sizes = call.sizes();
        if (sizes.queries() <= DecodeAttention.MOST_QUERIES) {
            decode(call);
            return;
        }
        int heads = sizes.batch() * sizes.heads();
        int blocks = PanelForward.blocks(sizes);
        long id = calls.getAndIncrement();
        parallel.forEach(heads * blocks, task -> {
            // all blocks of a head one after the other, because its keys then stay in cache, and the small ones last
            int head = task / blocks;
            int block = blocks - 1 - task % blocks;
            PanelForward.block(call, id, head / sizes.heads(), head % sizes.heads(), block * PanelForward.BLOCK, scratch(sizes.width()));
        });
    }

    private void decode(AttentionCall call) {
        AttentionSizes sizes = call.sizes();
        int groups = sizes.batch() * sizes.groups();
        float[] partials = partials(DecodeAttention.partials(sizes));
        parallel.forEach(groups * DecodeAttention.pieces(sizes), task -> {
            int group = task % groups;
            DecodeAttention.piece(call, group / sizes.groups(), group % sizes.groups(), task / groups, partials, decodeScratch.get());
        });
        int queries = sizes.heads() * sizes.queries();
        Parallel.Task join = task -> {
            int query = task % queries;
            DecodeAttention.join(call, task / queries, query / sizes.queries(), query % sizes.queries(), partials, decodeScratch.get());
        };
        if (DecodeAttention.pieces(sizes) >= MANY_PIECES) {
            parallel.forEach(sizes.batch() * queries, join);
        } else {
            for (int task = 0; task < sizes.batch() * queries; task++) {
                join.run(task);
            }
        }
    }

    private float[] partials(int count) {
        float[] partials = partialScratch.get();
        if (partials == null || partials.length < count) {
            partials = new float[count];
            partialScratch.set(partials);
        }
        return partials;
    }

    @Override
    public long workspaceFloats(AttentionSizes sizes) {
        return PanelBackward.workspaceFloats(sizes);
    }

    @Override
    public void backward(AttentionCall call, AttentionGradients gradients) {
        AttentionSizes sizes = call.sizes();
        int heads = sizes.batch() * sizes.heads();
        int groups = sizes.batch() * sizes.groups();
        int chunks = PanelBackward.chunks(sizes);
        int pieces = PanelBackward.pieces(sizes);
        parallel.forEach(heads * pieces, task -> {
            int head = task / pieces;
            PanelBackward.delta(call, gradients, head / sizes.heads(), head % sizes.heads(), task % pieces);
        });
        long id = calls.getAndIncrement();
        parallel.forEach(groups * chunks, task -> {
            // all chunks of a head one after the other, because a thread then loads its queries once
            int group = task / chunks;
            PanelBackward.task(call, gradients, id, group / sizes.groups(), group % sizes.groups(), task % chunks, scratch(sizes.width()));
        });
        if (chunks > 1) {
            parallel.forEach(heads * pieces, task -> {
                int head = task / pieces;
                PanelBackward.collect(call, gradients, head / sizes.heads(), head % sizes.heads(), task % pieces);
            });
        }
    }

    private PanelScratch scratch(int width) {
        PanelScratch s = scratch.get();
        if (s == null || s.width < width) {
            s = new PanelScratch(width);
            scratch.set(s);
        }
        return s;
    }
}
