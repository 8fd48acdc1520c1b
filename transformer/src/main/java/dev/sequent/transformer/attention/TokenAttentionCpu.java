package dev.sequent.transformer.attention;

import dev.sequent.fused.HostTensors;
import dev.sequent.fused.Simd;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.position.RotaryMath;
import dev.sequent.transformer.position.RotaryTable;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link TokenAttentionKernel} over F32 tensors in host memory. */
final class TokenAttentionCpu implements TokenAttentionKernel {
    private final HostTensors host;
    private final RawAttention attention;
    private final RotaryMath rotary;

    TokenAttentionCpu(HostTensors host) {
        this.host = host;
        this.attention = Simd.choose(host.vectorised(), () -> new PanelAttention(host.parallel()),
                () -> new LoopAttention(host.parallel()));
        this.rotary = RotaryMath.of(host.vectorised());
    }

    @Override
    public String name() {
        return "token attention/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Tensor x, DType cache, int width) {
        if (x.dtype() != DType.F32 || cache != DType.F32) {
            return Optional.of("takes F32, given " + x.dtype() + " and a cache of " + cache);
        }
        return width > RawAttention.MOST_CHANNELS ? Optional.of("takes at most " + RawAttention.MOST_CHANNELS + " channels per head")
                : Optional.empty();
    }

    @Override
    public Tensor attend(Tensor q, Tensor k, Tensor v, Cache cache, double scale) {
        int batch = (int) cache.keys().dim(0);
        int groups = (int) cache.keys().dim(1);
        long capacity = cache.keys().dim(2);
        int width = (int) cache.keys().dim(3);
        int heads = (int) (q.dim(2) / width);
        Vectors keys = new Vectors(host.read(cache.keys()), capacity * width, width);
        Vectors values = new Vectors(host.read(cache.values()), capacity * width, width);
        Vectors queries = new Vectors(host.read(q), width, width);
        turn(new Vectors(host.read(k), width, width), keys.from(cache.slot()), batch * groups, cache.table(), cache.slot());
        turn(new Vectors(host.read(v), width, width), values.from(cache.slot()), batch * groups, null, cache.slot());
        if (cache.table() != null) {
            Vectors turned = new Vectors(host.scratch(q, q.size()), width, width);
            turn(queries, turned, batch * heads, cache.table(), cache.slot());
            queries = turned;
        }
        Tensor out = host.allocate(q);
        AttentionSizes sizes = new AttentionSizes(batch, 1, cache.slot() + 1, heads, groups, width);
        AttentionMask mask = cache.window() == AttentionMask.UNLIMITED ? AttentionMask.CAUSAL
                : AttentionMask.CAUSAL.withWindow(cache.window());
        attention.forward(new AttentionCall(sizes, mask, (float) scale, queries.heads(heads), keys.heads(groups), values.heads(groups),
                new Vectors(host.read(out), width, width).heads(heads), null));
        return out;
    }

    /**
     * Heads in native memory.
     *
     * @param stride distance of heads, in elements
     * @param width P
     */
    private record Vectors(MemorySegment memory, long stride, int width) {
        /** The heads of later tokens. */
        Vectors from(int token) {
            return new Vectors(memory.asSlice((long) token * width * Float.BYTES), stride, width);
        }

        /** One head. */
        MemorySegment head(int i) {
            return memory.asSlice(i * stride * Float.BYTES, (long) width * Float.BYTES);
        }

        /** With {@code count} heads a row, whose tokens are neighbours. */
        HeadsView heads(int count) {
            return new HeadsView(memory, count * stride, width, stride);
        }
    }

    /** Copies heads, turned to a position where there is a table. */
    private void turn(Vectors from, Vectors to, int heads, RotaryTable table, int position) {
        for (int h = 0; h < heads; h++) {
            if (table == null) {
                to.head(h).copyFrom(from.head(h));
            } else {
                rotary.rotate(from.head(h), to.head(h), table, position * table.half(), table.half(), from.width(), 1f);
            }
        }
    }
}
