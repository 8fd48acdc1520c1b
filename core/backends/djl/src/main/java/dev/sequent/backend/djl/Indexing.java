package dev.sequent.backend.djl;

import ai.djl.ndarray.index.NDIndex;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;

/** Look-ups and sums by index, and the largest elements. What DJL lacks is done by loops on the host. Stateless. */
final class Indexing {
    private Indexing() {}

    static TensorHandle gather(Call c, TensorHandle x, int axis, TensorHandle index) {
        PtNDArray a = c.array(x);
        PtNDArray at = index(c, index, x.shape().dim(axis));
        c.reserve(index.shape(), x.dtype());
        return c.dense(JniUtils.gather(a, at, axis), index.shape(), x.dtype());
    }

    static TensorHandle indexSelect(Call c, TensorHandle x, int axis, TensorHandle index) {
        PtNDArray a = c.array(x);
        PtNDArray at = index(c, index, x.shape().dim(axis));
        Shape shape = x.shape().with(axis, index.shape().size());
        c.reserve(shape, x.dtype());
        if (axis == 0 && x.shape().rank() == 2) {
            return c.dense(JniUtils.embedding(at, a, false), shape, x.dtype());
        }
        NDIndex rows = new NDIndex().addAllDim(axis).addIndices("{}", at);
        return c.result(JniUtils.indexAdv(a, rows, c.device().manager()), shape, x.dtype(), null);
    }

    static TensorHandle topK(Call c, TensorHandle x, int k) {
        DType compute = Elementwise.compute(x.dtype());
        PtNDArray a = c.toHost(c.in(c.dense(x), x.dtype(), compute));
        Shape shape = x.shape().with(-1, k);
        c.reserve(shape, DType.I64);
        PtNDArray y = c.hostArray(shape, DType.I64);
        if (shape.size() > 0) {
            int n = Math.toIntExact(x.shape().dim(-1));
            HostLoops.topK(c.memory(a, x.shape(), compute), compute, x.shape().size() / n, n, k, c.memory(y, shape, DType.I64));
        }
        return c.dense(c.toDevice(y), shape, DType.I64);
    }

    /** An index operand as I64. A GPU would not survive an index out of range, so that there they are checked first. */
    private static PtNDArray index(Call c, TensorHandle index, long n) {
        if (c.device().isHost()) {
            return c.in(c.array(index), index.dtype(), DType.I64);
        }
        PtNDArray wide = c.in(c.dense(index), index.dtype(), DType.I64);
        HostLoops.check(c, c.memory(c.toHost(wide), index.shape(), DType.I64), index.shape().size(), n);
        return wide;
    }

    /**
     * A tensor plus a source at indices along an axis.
     *
     * @param each whether every element of the source has an index of its own, or every slice
     */
    static TensorHandle added(Call c, TensorHandle x, int axis, TensorHandle index, TensorHandle source, boolean each) {
        DType compute = Elementwise.compute(x.dtype());
        PtNDArray a = c.toHost(c.in(c.dense(x), x.dtype(), compute));
        PtNDArray at = c.toHost(c.in(c.dense(index), index.dtype(), DType.I64));
        PtNDArray b = c.toHost(c.in(c.dense(source), source.dtype(), compute));
        c.reserve(x.shape(), x.dtype());
        PtNDArray y = c.hostArray(x.shape(), compute);
        if (x.shape().size() > 0) {
            MemorySegment sums = c.memory(y, x.shape(), compute);
            sums.copyFrom(c.memory(a, x.shape(), compute));
            long[] sizes = {1, source.shape().dim(axis), 1};
            for (int i = 0; i < source.shape().rank(); i++) {
                sizes[0] *= i < axis ? source.shape().dim(i) : 1;
                sizes[2] *= i > axis ? source.shape().dim(i) : 1;
            }
            HostLoops.add(c, compute, sums, x.shape().dim(axis), c.memory(at, index.shape(), DType.I64), each,
                    c.memory(b, source.shape(), compute), sizes);
        }
        return c.dense(Elementwise.narrow(c, c.toDevice(y), compute, x.dtype()), x.shape(), x.dtype());
    }
}
