package dev.sequent.tensor;

import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Copies between Java arrays and tensors. */
final class HostData {
    private HostData() {}

    static Tensor upload(Device device, float[] data, long... shape) {
        ByteBuffer b = buffer(data.length, DType.F32);
        b.asFloatBuffer().put(data);
        return upload(device, DType.F32, b, data.length, shape);
    }

    static Tensor upload(Device device, double[] data, long... shape) {
        ByteBuffer b = buffer(data.length, DType.F64);
        b.asDoubleBuffer().put(data);
        return upload(device, DType.F64, b, data.length, shape);
    }

    static Tensor upload(Device device, int[] data, long... shape) {
        ByteBuffer b = buffer(data.length, DType.I32);
        b.asIntBuffer().put(data);
        return upload(device, DType.I32, b, data.length, shape);
    }

    static Tensor upload(Device device, long[] data, long... shape) {
        ByteBuffer b = buffer(data.length, DType.I64);
        b.asLongBuffer().put(data);
        return upload(device, DType.I64, b, data.length, shape);
    }

    static Tensor upload(Device device, boolean[] data, long... shape) {
        ByteBuffer b = buffer(data.length, DType.BOOL);
        for (int i = 0; i < data.length; i++) {
            b.put(i, (byte) (data[i] ? 1 : 0));
        }
        return upload(device, DType.BOOL, b, data.length, shape);
    }

    private static Tensor upload(Device device, DType dtype, ByteBuffer data, int n, long... sizes) {
        DTypeChecks.requireSupport(device, dtype, "tensor");
        Shape shape = sizes.length == 0 ? Shape.of(n) : Axes.infer(Shape.of(n), sizes);
        if (shape.size() != n) {
            throw new ShapeException("tensor", "a shape of " + n + " elements", shape.toString());
        }
        return Tensor.wrap(device, device.backend().upload(data, shape, dtype, device.index()));
    }

    static float[] floats(Tensor x) {
        Tensor f = x.dtype() == DType.F32 ? x : null;
        if (f == null) {
            double[] d = doubles(x);
            float[] out = new float[d.length];
            for (int i = 0; i < d.length; i++) {
                out[i] = (float) d[i];
            }
            return out;
        }
        float[] out = new float[count(x)];
        download(x).asFloatBuffer().get(out);
        return out;
    }

    static double[] doubles(Tensor x) {
        double[] out = new double[count(x)];
        ByteBuffer b = download(x);
        switch (x.dtype()) {
            case F64 -> b.asDoubleBuffer().get(out);
            case F32 -> fill(out, i -> b.getFloat(4 * i));
            case F16 -> fill(out, i -> Float.float16ToFloat(b.getShort(2 * i)));
            case BF16 -> fill(out, i -> Float.intBitsToFloat(b.getShort(2 * i) << 16));
            case I64 -> fill(out, i -> b.getLong(8 * i));
            case I32 -> fill(out, i -> b.getInt(4 * i));
            case BOOL -> fill(out, i -> b.get(i));
        }
        return out;
    }

    static long[] longs(Tensor x) {
        if (x.dtype().isFloat()) {
            throw new DTypeException("toLongs", "an integer or BOOL tensor", x.dtype().toString());
        }
        long[] out = new long[count(x)];
        ByteBuffer b = download(x);
        for (int i = 0; i < out.length; i++) {
            out[i] = switch (x.dtype()) {
                case I64 -> b.getLong(8 * i);
                case I32 -> b.getInt(4 * i);
                default -> b.get(i);
            };
        }
        return out;
    }

    private interface Element {
        double at(int i);
    }

    private static void fill(double[] out, Element e) {
        for (int i = 0; i < out.length; i++) {
            out[i] = e.at(i);
        }
    }

    private static int count(Tensor x) {
        if (x.size() > (Integer.MAX_VALUE - 16) / x.dtype().bytes()) {
            throw new ShapeException("download", "at most 2^31 bytes; slice the tensor", x.shape().toString());
        }
        return (int) x.size();
    }

    private static ByteBuffer download(Tensor x) {
        ByteBuffer b = buffer(count(x), x.dtype());
        x.device().backend().download(x.handle(), b);
        return b.rewind().order(ByteOrder.LITTLE_ENDIAN);
    }

    private static ByteBuffer buffer(int n, DType dtype) {
        if (n > (Integer.MAX_VALUE - 16) / dtype.bytes()) {
            throw new ShapeException("tensor", "at most 2^31 bytes; join pieces with concat", n + " elements of " + dtype);
        }
        return ByteBuffer.allocate(n * dtype.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    }
}
