package dev.sequent.backend.djl;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.DeviceMismatchException;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * One operation in progress: it holds its operands, charges for its result, and owns its intermediate arrays. Closing it lets go of
 * the operands and closes what did not become the result, also when the operation fails half way. Used by one thread.
 */
final class Call implements AutoCloseable {
    /** 2^63: as near as a double comes to the largest I64, and beyond it. */
    private static final double LARGEST_LONG = 0x1p63;

    private final DjlBackend backend;
    private final String op;
    private final List<Cell> operands = new ArrayList<>(3);
    private final List<PtNDArray> temporaries = new ArrayList<>();
    private DjlDevice device;
    private long charge;
    /** An array of {@link #hostArray} that is still being filled. */
    private PtNDArray unfinished;

    /** A call that has yet to learn its device from its first operand. */
    Call(DjlBackend backend, String op) {
        this.backend = backend;
        this.op = op;
    }

    /** A call on a device. */
    Call(DjlDevice device, String op) {
        this(device.backend(), op);
        this.device = device;
    }

    String op() {
        return op;
    }

    DjlDevice device() {
        return device;
    }

    // operands

    /** Holds an operand until the end of the call. */
    Cell cell(TensorHandle x) {
        DjlHandle handle = backend.own(op, x);
        if (device != null && handle.device() != device) {
            throw new DeviceMismatchException(op, "operands on " + device, "one on " + handle.device());
        }
        Cell cell = handle.hold(op);
        operands.add(cell);
        device = handle.device();
        return cell;
    }

    /** The array of an operand, valid until the end of the call. */
    PtNDArray array(TensorHandle x) {
        return cell(x).array();
    }

    /** An operand in row-major order without gaps; a copy where it is not known to be so. */
    PtNDArray dense(TensorHandle x) {
        Cell cell = cell(x);
        return cell.isDense() ? cell.array() : keep(copy(cell.array(), x.shape(), x.dtype()));
    }

    /** A dense copy. */
    PtNDArray copy(PtNDArray a, Shape shape, DType dtype) {
        PtNDArray y = empty(shape, dtype);
        if (shape.size() > 0) {
            paste(y, new long[shape.rank()], a, shape);
        }
        return y;
    }

    /** Writes {@code source} into {@code target} from coordinate {@code start} on. */
    static void paste(PtNDArray target, long[] start, PtNDArray source, Shape shape) {
        long[] stop = new long[start.length];
        long[] step = new long[start.length];
        for (int axis = 0; axis < start.length; axis++) {
            stop[axis] = start[axis] + shape.dim(axis);
            step[axis] = 1;
        }
        if (start.length == 0) {
            // a scalar has no axis to index
            try (PtNDArray row = JniUtils.reshape(target, new long[] {1})) {
                JniUtils.indexSet(row, source, new long[1], new long[] {1}, new long[] {1});
            }
            return;
        }
        JniUtils.indexSet(target, source, start, stop, step);
    }

    // intermediate arrays

    /** Takes over an intermediate array, to be closed at the end of the call. */
    PtNDArray keep(PtNDArray a) {
        finish(a);
        temporaries.add(a);
        return a;
    }

    /** Notes that an array has an owner. */
    private void finish(PtNDArray a) {
        if (a == unfinished) {
            unfinished = null;
        }
    }

    /** An uninitialised array on the device. */
    PtNDArray empty(Shape shape, DType dtype) {
        return JniUtils.createEmptyNdArray(device.manager(), Types.shape(shape), Types.of(op, dtype), device.device(), SparseFormat.DENSE);
    }

    /** An array of one value. */
    PtNDArray full(Shape shape, double value, DType dtype) {
        double stored = Types.stored(value, dtype);
        if (dtype == DType.I64 && stored >= LARGEST_LONG) {
            return HostLoops.filled(this, shape, Long.MAX_VALUE);
        }
        return JniUtils.full(device.manager(), Types.shape(shape), stored, Types.of(op, dtype), device.device(), SparseFormat.DENSE);
    }

    /** A scalar operand, valid until the end of the call. */
    PtNDArray scalar(double value, DType dtype) {
        PtNDArray kept = device.scalar(value, dtype);
        if (kept != null) {
            return kept;
        }
        PtNDArray made = full(Shape.of(), value, dtype);
        finish(made);
        NDScope.unregister(made);
        return device.keep(value, dtype, made) ? made : keep(made);
    }

    /** {@code a} in another element type; a new array, which may share memory when the type is the same. */
    PtNDArray to(PtNDArray a, DType dtype) {
        return JniUtils.to(a, Types.of(op, dtype), device.device());
    }

    /** {@code a} in another element type, as an intermediate array; {@code a} itself when it has that type. */
    PtNDArray in(PtNDArray a, DType from, DType to) {
        return from == to ? a : keep(to(a, to));
    }

    // memory that Java reads and writes

    /**
     * An uninitialised array in this process's memory, where {@link #memory} reaches it; {@link #toDevice} makes it a result. It is filled
     * before the next one is made, and closed at the end of the call if that fails.
     */
    PtNDArray hostArray(Shape shape, DType dtype) {
        DjlDevice host = backend.host();
        unfinished = JniUtils.createEmptyNdArray(host.manager(), Types.shape(shape), Types.of(op, dtype), Device.cpu(), SparseFormat.DENSE);
        return unfinished;
    }

    /** Moves an array of {@link #hostArray} to the call's device. */
    PtNDArray toDevice(PtNDArray onHost) {
        return device.isHost() ? onHost : moved(keep(onHost), device);
    }

    /** A dense array in this process's memory: {@code dense} itself, or a copy of it. */
    PtNDArray toHost(PtNDArray dense) {
        return device.isHost() ? dense : keep(moved(dense, backend.host()));
    }

    private static PtNDArray moved(PtNDArray a, DjlDevice to) {
        PtNDArray moved = JniUtils.to(a, a.getDataType(), to.device());
        // DJL has made a manager for the copy, which nobody would close
        NDManager made = moved.getManager();
        moved.attach(to.manager());
        if (made != to.manager() && made != a.getManager()) {
            made.close();
        }
        return moved;
    }

    /** The elements of a dense array in this process's memory, valid as long as the array. */
    MemorySegment memory(PtNDArray onHost, Shape shape, DType dtype) {
        if (shape.size() == 0) {
            return MemorySegment.NULL;
        }
        if (shape.size() * dtype.bytes() > Integer.MAX_VALUE) {
            throw new BackendException(op, "at most 2^31 - 1 bytes, what DJL can show to Java at once", dtype + shape.toString());
        }
        return MemorySegment.ofBuffer(JniUtils.getByteBuffer(onHost, true));
    }

    // results

    /** Charges for the result before it is made, so that a request beyond the limit fails before PyTorch is asked. */
    void reserve(Shape shape, DType dtype) {
        Types.of(op, dtype);
        charge = device.account().charge(op, shape, dtype);
    }

    /** A result in memory of its own, in row-major order without gaps. */
    TensorHandle dense(PtNDArray y, Shape shape, DType dtype) {
        return result(y, shape, dtype, shape.strides());
    }

    /** A result in memory of its own whose order follows the operands: known only when all of them are dense. */
    TensorHandle elementwise(PtNDArray y, Shape shape, DType dtype) {
        boolean isDense = operands.stream().allMatch(Cell::isDense);
        return result(y, shape, dtype, isDense ? shape.strides() : null);
    }

    /** A result in memory of its own; {@code strides} may be null when they are unknown. */
    TensorHandle result(PtNDArray y, Shape shape, DType dtype, long[] strides) {
        Storage storage = new Storage(device.account(), charge);
        charge = 0;
        return handle(y, shape, dtype, storage, strides);
    }

    /** A result that shares the memory of {@code base}. */
    TensorHandle view(Cell base, PtNDArray y, Shape shape, DType dtype, long[] strides) {
        return handle(y, shape, dtype, base.storage().share(), strides);
    }

    private TensorHandle handle(PtNDArray y, Shape shape, DType dtype, Storage storage, long[] strides) {
        finish(y);
        // a caller's own DJL scope on this thread must not close what belongs to the handle
        NDScope.unregister(y);
        device.account().handle(1);
        return new DjlHandle(device, shape, dtype, new Cell(y, storage, shape, strides));
    }

    /** Another handle to an operand's value. */
    TensorHandle share(TensorHandle x, Cell cell) {
        // the call's own hold ends with the call; the handle needs one that stays
        if (!cell.hold()) {
            throw new AssertionError("an operand that the call holds was closed");
        }
        device.account().handle(1);
        return new DjlHandle(device, x.shape(), x.dtype(), cell);
    }

    @Override
    public void close() {
        if (unfinished != null) {
            keep(unfinished);
        }
        for (PtNDArray a : temporaries) {
            NDScope.unregister(a);
            a.close();
        }
        for (Cell cell : operands) {
            cell.release();
        }
        if (charge > 0) {
            device.account().refund(charge);
        }
    }

    /** DJL's element type. */
    DataType type(DType dtype) {
        return Types.of(op, dtype);
    }
}
