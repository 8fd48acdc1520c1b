package dev.sequent.testkit;

import dev.sequent.spi.Backend;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Ways to the same tensor value that leave a backend with different strides, if it keeps any: what an operation sees must not
 * depend on how its operands came about.
 */
public enum Layout {
    /** As it was uploaded. */
    PLAIN {
        @Override
        TensorHandle create(Backend backend, HostTensor x) {
            return upload(backend, x);
        }
    },
    /** Uploaded with its axes in reverse order and turned back. */
    PERMUTED {
        @Override
        TensorHandle create(Backend backend, HostTensor x) {
            int[] order = reversedAxes(x.shape());
            TensorHandle base = upload(backend, x.permuted(order));
            return replace(backend, base, backend.permute(base, order));
        }
    },
    /** Cut out of a larger tensor of other values. */
    SLICED {
        @Override
        TensorHandle create(Backend backend, HostTensor x) {
            TensorHandle base = upload(backend, surrounded(x));
            return replace(backend, base, cut(backend, base, x.shape()));
        }
    },
    /** Cut out of a larger tensor and turned: neither dense nor in order. */
    SLICED_PERMUTED {
        @Override
        TensorHandle create(Backend backend, HostTensor x) {
            int[] order = reversedAxes(x.shape());
            HostTensor turned = x.permuted(order);
            TensorHandle base = upload(backend, surrounded(turned));
            TensorHandle slice = replace(backend, base, cut(backend, base, turned.shape()));
            return replace(backend, slice, backend.permute(slice, order));
        }
    },
    /** Uploaded backwards and flipped along every axis. */
    FLIPPED {
        @Override
        TensorHandle create(Backend backend, HostTensor x) {
            int[] axes = IntStream.range(0, x.shape().rank()).toArray();
            TensorHandle base = upload(backend, reversed(x));
            return replace(backend, base, backend.flip(base, axes));
        }
    },
    /** Repeated along the outermost axis. */
    BROADCAST_OUTER {
        @Override
        HostTensor prepare(HostTensor x) {
            return repeated(x, 0);
        }

        @Override
        TensorHandle create(Backend backend, HostTensor x) {
            return broadcast(backend, x, 0);
        }
    },
    /** Repeated along the innermost axis. */
    BROADCAST_INNER {
        @Override
        HostTensor prepare(HostTensor x) {
            return repeated(x, x.shape().rank() - 1);
        }

        @Override
        TensorHandle create(Backend backend, HostTensor x) {
            return broadcast(backend, x, x.shape().rank() - 1);
        }
    };

    /** The value nearest to {@code x} that this layout can express: the broadcast ones repeat its first slice. */
    HostTensor prepare(HostTensor x) {
        return x;
    }

    /** A handle to the value of {@code x}, which {@link #prepare} returned, in this layout. */
    abstract TensorHandle create(Backend backend, HostTensor x);

    private static TensorHandle upload(Backend backend, HostTensor x) {
        return backend.upload(x.bytes(), x.shape(), x.dtype(), 0);
    }

    /** Releases the base of a derived handle at once: the derived one must live on by itself. */
    private static TensorHandle replace(Backend backend, TensorHandle base, TensorHandle derived) {
        backend.release(base);
        return derived;
    }

    private static int[] reversedAxes(Shape shape) {
        return IntStream.range(0, shape.rank()).map(i -> shape.rank() - 1 - i).toArray();
    }

    private static HostTensor reversed(HostTensor x) {
        return x.moved(x.shape(), c -> {
            for (int axis = 0; axis < c.length; axis++) {
                c[axis] = x.shape().dim(axis) - 1 - c[axis];
            }
            return c;
        });
    }

    /** {@code x} with one more element in front of every axis and two behind it: NaN, or numbers that no test uses. */
    private static HostTensor surrounded(HostTensor x) {
        Shape shape = Shape.of(Arrays.stream(x.shape().toArray()).map(n -> n + 3).toArray());
        HostTensor outside = x.isFloat()
                ? HostTensor.floats(shape, x.dtype(), i -> Double.NaN)
                : HostTensor.integers(shape, x.dtype(), i -> x.dtype() == DType.BOOL ? i % 2 : 77_777 + i);
        int[] inside = IntStream.range(0, outside.size()).map(i -> inside(x, outside.coordinate(i))).toArray();
        return x.isFloat()
                ? HostTensor.floats(shape, x.dtype(), i -> inside[i] < 0 ? outside.number(i) : x.number(inside[i]))
                : HostTensor.integers(shape, x.dtype(), i -> inside[i] < 0 ? outside.integer(i) : x.integer(inside[i]));
    }

    private static int inside(HostTensor x, long[] coordinate) {
        for (int axis = 0; axis < coordinate.length; axis++) {
            coordinate[axis]--;
            if (coordinate[axis] < 0 || coordinate[axis] >= x.shape().dim(axis)) {
                return -1;
            }
        }
        return x.index(coordinate);
    }

    private static TensorHandle cut(Backend backend, TensorHandle base, Shape shape) {
        long[] start = new long[shape.rank()];
        Arrays.fill(start, 1);
        long[] stop = Arrays.stream(shape.toArray()).map(n -> n + 1).toArray();
        return backend.slice(base, start, stop);
    }

    private static HostTensor repeated(HostTensor x, int axis) {
        if (x.shape().rank() == 0) {
            return x;
        }
        return x.moved(x.shape(), c -> {
            c[axis] = 0;
            return c;
        });
    }

    private static TensorHandle broadcast(Backend backend, HostTensor x, int axis) {
        if (x.shape().rank() == 0 || x.shape().dim(axis) == 0) {
            return upload(backend, x);
        }
        TensorHandle base = upload(backend, x.moved(x.shape().with(axis, 1), c -> c));
        return replace(backend, base, backend.broadcastTo(base, x.shape()));
    }
}
