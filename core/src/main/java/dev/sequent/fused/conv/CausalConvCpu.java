package dev.sequent.fused.conv;

import dev.sequent.fused.HostTensors;
import dev.sequent.fused.RowMath;
import dev.sequent.fused.Rows;
import dev.sequent.fused.Simd;
import dev.sequent.spi.HostMemory;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link CausalConvKernel} over F32 rows in host memory: a task is a piece of a sequence and a tile of channels. */
final class CausalConvCpu implements CausalConvKernel {
    /** Tasks that are enough for many cores. */
    private static final int TASKS = 128;
    /** A piece of fewer tokens would spend its time on the taps and on the tokens around it. */
    private static final int MIN_TOKENS = 64;

    private final HostTensors host;
    private final ConvTiles tiles;
    private final RowMath math;
    private final ThreadLocal<ConvTask> tasks = new ThreadLocal<>();

    CausalConvCpu(HostTensors host) {
        this.host = host;
        this.tiles = Simd.choose(host.vectorised(), () -> new ConvTilesVector(), () -> new ConvTilesScalar());
        this.math = RowMath.of(host.vectorised());
    }

    @Override
    public String name() {
        return "causal-conv/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Problem p) {
        if (p.x().size() == 0) {
            return Optional.of("takes at least one element, given " + p.x().shape());
        }
        return HostTensors.refusal(p.x());
    }

    /** Rows of a tensor where they lie; of a dense copy if its channels are not neighbours. */
    private ConvRows rows(Tensor x) {
        if (x == null) {
            return null;
        }
        HostMemory.View view = host.view(x);
        if (view.strides()[2] != 1) {
            return new ConvRows(host.read(x.contiguous()), x.dim(1) * x.dim(2), x.dim(2));
        }
        return new ConvRows(view.segment(), view.strides()[0], view.strides()[1]);
    }

    private ConvTask task(int taps) {
        ConvTask task = tasks.get();
        if (task == null || !task.fits(taps)) {
            task = new ConvTask(tiles, taps);
            tasks.set(task);
        }
        return task;
    }

    /** How a problem is cut: by tiles of channels, sequences and pieces of {@code tokens} tokens; a function of its sizes alone. */
    private record Cut(Problem p, int tiles, int tokens, int pieces) {
        static Cut of(Problem p) {
            int time = (int) p.x().dim(1);
            int tiles = Math.toIntExact(Math.ceilDiv(p.x().dim(2), ConvTiles.WIDTH));
            long wanted = Math.ceilDiv(TASKS, p.x().dim(0) * tiles);
            int tokens = (int) Math.max(MIN_TOKENS, Math.ceilDiv(time, wanted));
            return new Cut(p, tiles, tokens, Math.ceilDiv(time, tokens));
        }

        int parts() {
            return Math.toIntExact(p.x().dim(0) * pieces);
        }

        int tasks() {
            return Math.multiplyExact(parts(), tiles);
        }

        /** Which of the {@link #parts} a task belongs to: a sequence and a piece of it. */
        int part(int task) {
            return task / tiles;
        }

        ConvTask.Job job(ConvTask.Call call, int task) {
            int from = part(task) % pieces * tokens;
            int channel = task % tiles * ConvTiles.WIDTH;
            return new ConvTask.Job(call, part(task) / pieces, from, Math.min(call.tokens(), from + tokens), channel,
                    (int) Math.min(ConvTiles.WIDTH, p.x().dim(2) - channel));
        }
    }

    @Override
    public Tensor[] forward(Problem p) {
        Tensor y = host.allocate(p.x());
        Tensor last = host.allocate(p.x(), DType.F32, p.x().shape().with(1, p.taps() - 1));
        ConvTask.Call call = new ConvTask.Call((int) p.x().dim(1), p.silu(), p.flags(), host.read(p.weight()), host.readOrNull(p.bias()),
                rows(p.x()), rows(p.initialState()), rows(y), rows(last), null, null, null, null);
        Cut cut = Cut.of(p);
        host.parallel().forEach(cut.tasks(), task -> task(p.taps()).forward(cut.job(call, task)));
        return new Tensor[] {y, last};
    }

    @Override
    public Tensor[] backward(Problem p, Tensor dy, Tensor dFinalState) {
        Tensor dx = host.allocate(p.x());
        Tensor dWeight = host.allocate(p.weight());
        Tensor dBias = p.bias() == null ? null : host.allocate(p.bias());
        Tensor dInitial = p.initialState() == null ? null : host.allocate(p.initialState());
        ConvTask.Call call = new ConvTask.Call((int) p.x().dim(1), p.silu(), p.flags(), host.read(p.weight()), host.readOrNull(p.bias()),
                rows(p.x()), rows(p.initialState()), null, null,
                rows(dy != null ? dy : Tensor.zeros(p.x().device(), DType.F32, p.x().shape().toArray())), rows(dFinalState), rows(dx),
                rows(dInitial));
        Cut cut = Cut.of(p);
        // one part per piece, added up in order: the same sums for any number of threads
        long weights = p.weight().size();
        long channels = p.x().dim(2);
        MemorySegment weightParts = host.scratch(p.x(), cut.parts() * weights);
        MemorySegment biasParts = host.scratch(p.x(), cut.parts() * channels);
        host.parallel().forEach(cut.tasks(), task -> task(p.taps()).backward(cut.job(call, task),
                part(weightParts, cut.part(task), weights), part(biasParts, cut.part(task), channels)));
        Rows.sumParts(host.parallel(), math, weightParts, 0, cut.parts(), weights, host.read(dWeight));
        if (dBias != null) {
            Rows.sumParts(host.parallel(), math, biasParts, 0, cut.parts(), channels, host.read(dBias));
        }
        return new Tensor[] {dx, dWeight, dBias, dInitial};
    }

    private static MemorySegment part(MemorySegment parts, int index, long size) {
        return parts.asSlice(index * size * Float.BYTES, size * Float.BYTES);
    }
}
