package dev.sequent.fused.conv;

import dev.sequent.fused.HostTensors;
import dev.sequent.fused.Simd;
import dev.sequent.spi.HostMemory;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/** {@link CausalConvKernel} over F32 rows in host memory: a task is a sequence and a tile of channels. */
final class CausalConvCpu implements CausalConvKernel {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    private final HostTensors host;
    private final ConvTiles tiles;
    private final ThreadLocal<ConvTask> tasks = new ThreadLocal<>();

    CausalConvCpu(HostTensors host) {
        this.host = host;
        this.tiles = Simd.choose(host.vectorised(), () -> new ConvTilesVector(), () -> new ConvTilesScalar());
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

    private static int tileCount(Problem p) {
        return Math.toIntExact(Math.ceilDiv(p.x().dim(2), ConvTiles.WIDTH));
    }

    private static ConvTask.Job job(Problem p, int index, ConvRows x, ConvRows initial, ConvRows y, ConvRows last, ConvRows dy,
            ConvRows dLast, ConvRows dx, ConvRows dInitial) {
        int channel = index % tileCount(p) * ConvTiles.WIDTH;
        int columns = (int) Math.min(ConvTiles.WIDTH, p.x().dim(2) - channel);
        return new ConvTask.Job((int) p.x().dim(1), channel, columns, p.silu(), index / tileCount(p), p.flags(), x, initial, y, last, dy,
                dLast, dx, dInitial);
    }

    @Override
    public Tensor[] forward(Problem p) {
        Tensor y = host.allocate(p.x());
        Tensor last = host.allocate(p.x(), DType.F32, p.x().shape().with(1, p.taps() - 1));
        ConvRows x = rows(p.x());
        ConvRows initial = rows(p.initialState());
        ConvRows out = rows(y);
        ConvRows end = rows(last);
        MemorySegment weight = host.read(p.weight());
        MemorySegment bias = host.readOrNull(p.bias());
        host.parallel().forEach((int) p.x().dim(0) * tileCount(p),
                i -> task(p.taps()).forward(job(p, i, x, initial, out, end, null, null, null, null), weight, bias));
        return new Tensor[] {y, last};
    }

    @Override
    public Tensor[] backward(Problem p, Tensor dy, Tensor dFinalState) {
        int batch = (int) p.x().dim(0);
        Tensor dx = host.allocate(p.x());
        Tensor dWeight = host.allocate(p.weight());
        Tensor dBias = p.bias() == null ? null : host.allocate(p.bias());
        Tensor dInitial = p.initialState() == null ? null : host.allocate(p.initialState());
        // one part per sequence, added up in order: the same sums for any number of threads
        MemorySegment weightParts = host.scratch(p.x(), batch * p.weight().size());
        MemorySegment biasParts = host.scratch(p.x(), batch * p.x().dim(2));
        ConvRows x = rows(p.x());
        ConvRows initial = rows(p.initialState());
        ConvRows gradient = rows(dy != null ? dy : Tensor.zeros(p.x().device(), DType.F32, p.x().shape().toArray()));
        ConvRows end = rows(dFinalState);
        ConvRows dIn = rows(dx);
        ConvRows dStart = rows(dInitial);
        MemorySegment weight = host.read(p.weight());
        MemorySegment bias = host.readOrNull(p.bias());
        host.parallel().forEach(batch * tileCount(p), i -> {
            ConvTask.Job job = job(p, i, x, initial, null, null, gradient, end, dIn, dStart);
            task(p.taps()).backward(job, weight, bias, part(weightParts, job.batch(), p.weight().shape()),
                    part(biasParts, job.batch(), Shape.of(p.x().dim(2))));
        });
        sum(weightParts, batch, host.read(dWeight), p.weight().size());
        if (dBias != null) {
            sum(biasParts, batch, host.read(dBias), dBias.size());
        }
        return new Tensor[] {dx, dWeight, dBias, dInitial};
    }

    private static MemorySegment part(MemorySegment parts, int index, Shape shape) {
        return parts.asSlice(index * shape.size() * Float.BYTES, shape.size() * Float.BYTES);
    }

    private static void sum(MemorySegment parts, int count, MemorySegment target, long size) {
        for (long i = 0; i < size; i++) {
            float sum = 0;
            for (int p = 0; p < count; p++) {
                sum += parts.getAtIndex(F32, p * size + i);
            }
            target.setAtIndex(F32, i, sum);
        }
    }
}
