package dev.sequent.backend.cuda;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.Layout;
import dev.sequent.spi.Layout.Space;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Arrays;

/** Elementwise functions on one device. Called with the device's lock. */
final class Elementwise {
    private static final int THREADS = 256;
    /** Bytes that a thread of a packed kernel reads at a time. */
    private static final int PACK = 16;

    private final CudaDevice device;
    private final Kernels kernels;

    Elementwise(CudaDevice device, Kernels kernels) {
        this.device = device;
        this.kernels = kernels;
    }

    CudaHandle unary(UnaryOp op, CudaHandle x) {
        CudaHandle y = result(op.name(), x, x.dtype());
        if (packs(x, y) > 0) {
            device.launch(kernels.of("unary_packed", x.dtype()), grid(packs(x, y)), op.ordinal(), x, y, packs(x, y));
        } else {
            device.launch(kernels.of("unary", x.dtype()), grid(x.size()), op.ordinal(), x, y, x.size(), space(op.name(), y, x));
        }
        return y;
    }

    CudaHandle binary(BinaryOp op, CudaHandle a, CudaHandle b) {
        boolean alike = Arrays.equals(a.strides(), b.strides());
        CudaHandle y = alike ? result(op.name(), a, a.dtype()) : device.allocate(op.name(), a.shape(), a.dtype());
        if (packs(a, b, y) > 0) {
            device.launch(kernels.of("binary_packed", a.dtype()), grid(packs(a, b, y)), op.ordinal(), a, b, y, packs(a, b, y));
        } else {
            device.launch(kernels.of("binary", a.dtype()), grid(a.size()), op.ordinal(), a, b, y, a.size(), space(op.name(), y, a, b));
        }
        return y;
    }

    CudaHandle scalar(BinaryOp op, CudaHandle x, double s, boolean reversed) {
        CudaHandle y = result(op.name(), x, x.dtype());
        int order = reversed ? 1 : 0;
        if (packs(x, y) > 0) {
            device.launch(kernels.of("scalar_packed", x.dtype()), grid(packs(x, y)), op.ordinal(), x, s, (long) s, order, y, packs(x, y));
        } else {
            device.launch(kernels.of("scalar", x.dtype()), grid(x.size()), op.ordinal(), x, s, (long) s, order, y, x.size(),
                    space(op.name(), y, x));
        }
        return y;
    }

    CudaHandle compare(CompareOp op, CudaHandle a, CudaHandle b) {
        CudaHandle y = device.allocate(op.name(), a.shape(), DType.BOOL);
        device.launch(kernels.of("compare", a.dtype()), grid(a.size()), op.ordinal(), a, b, y, a.size(), space(op.name(), y, a, b));
        return y;
    }

    CudaHandle where(CudaHandle condition, CudaHandle a, CudaHandle b) {
        CudaHandle y = device.allocate("where", a.shape(), a.dtype());
        device.launch(kernels.moving("where<" + Kernels.word(a.dtype()) + ">"), grid(a.size()), condition, a, b, y, a.size(),
                space("where", y, condition, a, b));
        return y;
    }

    CudaHandle cast(CudaHandle x, DType dtype) {
        CudaHandle y = result("cast", x, dtype);
        device.launch(kernels.moving("cast<" + Kernels.type(x.dtype()) + ">"), grid(x.size()), dtype.ordinal(), x, y, x.size(),
                space("cast", y, x));
        return y;
    }

    CudaHandle iota(long n, DType dtype) {
        CudaHandle y = device.allocate("iota", Shape.of(n), dtype);
        device.launch(kernels.moving("iota<" + Kernels.type(dtype) + ">"), grid(n), y, n);
        return y;
    }

    CudaHandle uniform(Shape shape, DType dtype, long seed, long offset) {
        CudaHandle y = device.allocate("randomUniform", shape, dtype);
        device.launch(kernels.moving("uniform<" + Kernels.type(dtype) + ">"), grid((y.size() + 3) / 4 + (y.size() == 0 ? 0 : 1)), y,
                y.size(), seed, offset);
        return y;
    }

    /** Sets all elements of a dense tensor to {@code value}. */
    void fill(CudaHandle y, double value) {
        device.launch(kernels.moving("fill<" + Kernels.word(y.dtype()) + ">"), grid(y.size()), y, bits(value, y.dtype()), y.size());
    }

    /** The element {@code value} as a word. */
    static long bits(double value, DType dtype) {
        return switch (dtype) {
            case F64 -> Double.doubleToRawLongBits(value);
            case F32 -> Float.floatToRawIntBits((float) value);
            case F16 -> Float.floatToFloat16((float) value);
            case BF16 -> {
                int bits = Float.floatToIntBits((float) value);
                yield Double.isNaN(value) ? bits >>> Short.SIZE : bits + 0x7FFF + (bits >>> Short.SIZE & 1) >>> Short.SIZE;
            }
            case I64 -> (long) value;
            case I32 -> (int) value;
            case BOOL -> value != 0 ? 1 : 0;
        };
    }

    private Grid grid(long work) {
        return device.grid(work, THREADS);
    }

    /** A tensor for the result of a function of {@code x}: in the order of x's memory where x has no gaps. */
    private CudaHandle result(String op, CudaHandle x, DType dtype) {
        boolean keeps = !x.contiguous() && Strides.isDense(x.shape(), x.strides());
        return keeps ? device.allocate(op, x.shape(), dtype, x.strides()) : device.allocate(op, x.shape(), dtype);
    }

    /** Number of packs when all tensors are whole packs of elements in the same order, else 0. */
    private static long packs(CudaHandle... all) {
        CudaHandle y = all[all.length - 1];
        long bytes = y.bytes();
        if (bytes % PACK != 0) {
            return 0;
        }
        for (CudaHandle x : all) {
            if (x.address() % PACK != 0 || !Arrays.equals(x.strides(), y.strides()) && !(x.contiguous() && y.contiguous())) {
                return 0;
            }
        }
        return bytes / PACK;
    }

    /** Positions in the operands, in the order of the result's memory. */
    private static long[] space(String op, CudaHandle y, CudaHandle... operands) {
        long[] dims = y.shape().toArray();
        long[][] strides = new long[operands.length][];
        for (int k = 0; k < strides.length; k++) {
            strides[k] = operands[k].strides();
        }
        if (!y.contiguous()) {
            // the result lies like its operand: both are walked through from one end of the memory to the other
            int[] order = Strides.order(y.strides());
            dims = Layout.permute(dims, order);
            for (int k = 0; k < strides.length; k++) {
                strides[k] = Layout.permute(strides[k], order);
            }
        }
        return Strides.argument(op, Layout.collapse(dims, strides));
    }
}
