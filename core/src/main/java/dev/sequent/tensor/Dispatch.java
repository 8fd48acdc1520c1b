package dev.sequent.tensor;

import dev.sequent.op.Op;
import dev.sequent.spi.Backend;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DeviceMismatchException;

/** Executes primitives on a backend. Operands have been checked by {@link Tensor}'s methods. */
final class Dispatch {
    private Dispatch() {}

    /** Executes {@code op}, gives the result to the innermost scope and shows it to the tracer. */
    static Tensor apply(Op op, Tensor... inputs) {
        Device device = inputs[0].device();
        TensorHandle[] handles = new TensorHandle[inputs.length];
        for (int i = 0; i < inputs.length; i++) {
            if (inputs[i].device() != device && !inputs[i].device().equals(device)) {
                throw new DeviceMismatchException(op.label(), "tensors of one device", device + " and " + inputs[i].device());
            }
            handles[i] = inputs[i].handle(op);
        }
        Tensor output = Tensor.wrap(device, execute(device.backend(), op, handles));
        Tracer tracer = Tracing.current();
        if (tracer != null) {
            tracer.record(op, inputs, output);
        }
        return output;
    }

    private static TensorHandle execute(Backend b, Op op, TensorHandle[] x) {
        return switch (op) {
            case Op.Unary o -> b.unary(o.f(), x[0]);
            case Op.Binary o -> b.binary(o.f(), x[0], x[1]);
            case Op.Scalar o -> b.binaryScalar(o.f(), x[0], o.s(), o.reversed());
            case Op.Compare o -> b.compare(o.f(), x[0], x[1]);
            case Op.Where o -> b.where(x[0], x[1], x[2]);
            case Op.Cast o -> b.cast(x[0], o.to());
            case Op.Reduce o -> b.reduce(o.f(), x[0], o.axes());
            case Op.ArgReduce o -> b.argReduce(o.f(), x[0], o.axis());
            case Op.Cumulative o -> b.scan(o.f(), x[0], o.axis(), o.reverse());
            case Op.Reshape o -> b.reshape(x[0], o.to());
            case Op.Permute o -> b.permute(x[0], o.order());
            case Op.BroadcastTo o -> b.broadcastTo(x[0], o.to());
            case Op.Slice o -> b.slice(x[0], o.start(), o.stop());
            case Op.Pad o -> b.pad(x[0], o.before(), o.after(), o.value());
            case Op.Flip o -> b.flip(x[0], o.axes());
            case Op.Concat o -> b.concat(x, o.axis());
            case Op.Contiguous o -> b.contiguous(x[0]);
            case Op.Gather o -> b.gather(x[0], o.axis(), x[1]);
            case Op.ScatterAdd o -> b.scatterAdd(x[0], o.axis(), x[1], x[2]);
            case Op.IndexSelect o -> b.indexSelect(x[0], o.axis(), x[1]);
            case Op.IndexAdd o -> b.indexAdd(x[0], o.axis(), x[1], x[2]);
            case Op.TopK o -> b.topK(x[0], o.k());
            case Op.MatMul o -> b.matmul(x[0], x[1], o.transposeA(), o.transposeB());
        };
    }
}
