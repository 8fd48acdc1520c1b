package dev.sequent.testkit;

import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Operations that move elements and never change one: exact for every dtype, whatever the operand's layout. */
public interface MovementContract extends BackendFixture {
    /** Reshape keeps the row-major order of the value, not of the memory. */
    @TestFactory
    default Stream<DynamicTest> reshapeKeepsRowMajorOrder() {
        return perDType("reshape", dtype -> true, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
            TensorHandle handle = w.upload(x, layout);
            List<Shape> targets = new ArrayList<>(List.of(Shape.of(x.shape().size()), x.shape(), x.shape().insert(0, 1),
                    x.shape().insert(-1, 1)));
            if (x.shape().rank() >= 2) {
                targets.add(Shape.of(x.shape().dim(1), x.shape().dim(0)).insert(1, x.size() == 0 ? 1
                        : x.shape().size() / x.shape().dim(0) / x.shape().dim(1)));
            }
            for (Shape to : targets) {
                BackendFixture.describe("to " + to, () -> w.expect(x.reshaped(to), w.backend().reshape(handle, to)));
            }
            w.release(handle);
        }));
    }

    /** Every order of the axes. */
    @TestFactory
    default Stream<DynamicTest> permuteMovesAxes() {
        return perDType("permute", dtype -> true, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
            TensorHandle handle = w.upload(x, layout);
            for (int[] order : orders(x.shape().rank())) {
                BackendFixture.describe("order " + Arrays.toString(order), () -> {
                    w.expect(x.permuted(order), w.backend().permute(handle, order));
                    // and what a kernel makes of the result when it needs it in order
                    TensorHandle turned = w.keep(w.backend().permute(handle, order));
                    w.expect(x.permuted(order), w.backend().contiguous(turned));
                    w.release(turned);
                });
            }
            w.release(handle);
        }));
    }

    private static List<int[]> orders(int rank) {
        List<int[]> orders = List.of(new int[0]);
        for (int axis = 0; axis < rank; axis++) {
            List<int[]> longer = new ArrayList<>();
            for (int[] order : orders) {
                for (int at = 0; at <= order.length; at++) {
                    int[] next = new int[order.length + 1];
                    System.arraycopy(order, 0, next, 0, at);
                    next[at] = axis;
                    System.arraycopy(order, at, next, at + 1, order.length - at);
                    longer.add(next);
                }
            }
            orders = longer;
        }
        return orders;
    }

    /** Axes of size 1 and new outer axes repeat. */
    @TestFactory
    default Stream<DynamicTest> broadcastRepeats() {
        return perDType("broadcastTo", dtype -> true, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
            List<Shape> targets = new ArrayList<>(List.of(x.shape(), x.shape().insert(0, 3), x.shape().insert(0, 0)));
            for (int axis = 0; axis < x.shape().rank(); axis++) {
                if (x.shape().dim(axis) == 1) {
                    targets.add(x.shape().with(axis, 17));
                    targets.add(x.shape().with(axis, 0));
                    targets.add(x.shape().with(axis, 3).insert(0, 2));
                }
            }
            for (Shape to : targets) {
                HostTensor expected = x.moved(to, c -> {
                    long[] source = Arrays.copyOfRange(c, c.length - x.shape().rank(), c.length);
                    for (int axis = 0; axis < source.length; axis++) {
                        source[axis] = x.shape().dim(axis) == 1 ? 0 : source[axis];
                    }
                    return source;
                });
                BackendFixture.describe("to " + to, () -> w.expect(expected, w.backend().broadcastTo(w.upload(x, layout), to)));
            }
        }));
    }

    /** Slices of every kind: everything, nothing, one element, an inner part. */
    @TestFactory
    default Stream<DynamicTest> sliceCutsOut() {
        return perDType("slice", dtype -> true, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
            TensorHandle handle = w.upload(x, layout);
            SplittableRandom random = new SplittableRandom(x.shape().hashCode());
            for (int trial = 0; trial < 6; trial++) {
                long[] start = Arrays.stream(x.shape().toArray()).map(n -> random.nextLong(n + 1)).toArray();
                long[] stop = IntStream.range(0, start.length).mapToLong(a -> random.nextLong(start[a], x.shape().dim(a) + 1)).toArray();
                if (trial == 0) {
                    Arrays.fill(start, 0);
                    System.arraycopy(x.shape().toArray(), 0, stop, 0, stop.length);
                }
                Shape shape = Shape.of(IntStream.range(0, start.length).mapToLong(a -> stop[a] - start[a]).toArray());
                HostTensor expected = x.moved(shape, c -> plus(c, start));
                BackendFixture.describe(Arrays.toString(start) + " to " + Arrays.toString(stop),
                        () -> w.expect(expected, w.backend().slice(handle, start, stop)));
            }
            w.release(handle);
        }));
    }

    private static long[] plus(long[] a, long[] b) {
        return IntStream.range(0, a.length).mapToLong(i -> a[i] + b[i]).toArray();
    }

    /** Padding surrounds the tensor with one value, also an empty one. */
    @TestFactory
    default Stream<DynamicTest> padSurrounds() {
        return perDType("pad", dtype -> true, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
            double[] values = dtype == DType.BOOL ? new double[] {1} : dtype.isFloat() ? new double[] {0, -1.5, Double.NEGATIVE_INFINITY}
                    : new double[] {-7};
            long[] before = IntStream.range(0, x.shape().rank()).mapToLong(a -> (a + 1) % 3).toArray();
            long[] after = IntStream.range(0, x.shape().rank()).mapToLong(a -> (a + 2) % 4).toArray();
            Shape shape = Shape.of(plus(plus(x.shape().toArray(), before), after));
            for (double value : values) {
                int[] inside = new int[Math.toIntExact(shape.size())];
                Arrays.setAll(inside, i -> inside(x, HostTensor.coordinate(shape, i), before));
                HostTensor expected = x.isFloat()
                        ? HostTensor.floats(shape, dtype, i -> inside[i] < 0 ? value : x.number(inside[i]))
                        : HostTensor.integers(shape, dtype, i -> inside[i] < 0 ? (long) value : x.integer(inside[i]));
                w.expect(expected, w.backend().pad(w.upload(x, layout), before, after, value));
            }
            w.expect(x, w.backend().pad(w.upload(x, layout), new long[before.length], new long[before.length], 1));
        }));
    }

    private static int inside(HostTensor x, long[] c, long[] before) {
        for (int axis = 0; axis < c.length; axis++) {
            c[axis] -= before[axis];
            if (c[axis] < 0 || c[axis] >= x.shape().dim(axis)) {
                return -1;
            }
        }
        return x.index(c);
    }

    /** Flipping along every subset of axes. */
    @TestFactory
    default Stream<DynamicTest> flipReverses() {
        return perDType("flip", dtype -> true, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
            TensorHandle handle = w.upload(x, layout);
            for (int bits = 0; bits < 1 << x.shape().rank(); bits++) {
                int chosen = bits;
                int[] axes = IntStream.range(0, x.shape().rank()).filter(axis -> (chosen >> axis & 1) == 1).toArray();
                HostTensor expected = x.moved(x.shape(), c -> {
                    for (int axis : axes) {
                        c[axis] = x.shape().dim(axis) - 1 - c[axis];
                    }
                    return c;
                });
                BackendFixture.describe("axes " + Arrays.toString(axes), () -> w.expect(expected, w.backend().flip(handle, axes)));
            }
            w.release(handle);
        }));
    }

    /** Joining along every axis: one, two, or several parts, empty ones and the same one twice among them. */
    @TestFactory
    default Stream<DynamicTest> concatJoins() {
        return perDType("concat", dtype -> true, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
            for (int axis = 0; axis < x.shape().rank(); axis++) {
                int along = axis;
                HostTensor longer = HostTensor.random(x.shape().with(axis, 4), dtype, 21);
                HostTensor empty = HostTensor.random(x.shape().with(axis, 0), dtype, 22);
                for (List<HostTensor> parts : List.of(List.of(x), List.of(x, longer), List.of(empty, longer, x, x, empty))) {
                    TensorHandle[] handles = parts.stream().map(part -> w.upload(part, part == x ? layout : Layout.SLICED))
                            .toArray(TensorHandle[]::new);
                    BackendFixture.describe("axis " + axis, () -> w.expect(joined(parts, along), w.backend().concat(handles, along)));
                }
            }
        }));
    }

    private static HostTensor joined(List<HostTensor> parts, int axis) {
        HostTensor first = parts.get(0);
        long size = parts.stream().mapToLong(part -> part.shape().dim(axis)).sum();
        Shape shape = first.shape().with(axis, size);
        double[] numbers = new double[Math.toIntExact(shape.size())];
        long[] integers = new long[numbers.length];
        for (int i = 0; i < numbers.length; i++) {
            long[] c = HostTensor.coordinate(shape, i);
            int part = 0;
            while (c[axis] >= parts.get(part).shape().dim(axis)) {
                c[axis] -= parts.get(part).shape().dim(axis);
                part++;
            }
            HostTensor source = parts.get(part);
            if (source.isFloat()) {
                numbers[i] = source.number(source.index(c));
            } else {
                integers[i] = source.integer(source.index(c));
            }
        }
        return first.isFloat() ? HostTensor.floats(shape, first.dtype(), i -> numbers[i])
                : HostTensor.integers(shape, first.dtype(), i -> integers[i]);
    }

    /** Movement carries NaN, infinities, negative zero and the smallest subnormal numbers unchanged. */
    @TestFactory
    default Stream<DynamicTest> movementKeepsSpecialValues() {
        return perDType("special values", DType::isFloat, (w, dtype) -> {
            double smallest = switch (dtype) {
                case F64 -> Double.MIN_VALUE;
                case F32 -> Float.MIN_VALUE;
                case F16 -> 0x1p-24;
                default -> 0x1p-133;
            };
            double[] values = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 0.0, -0.0, smallest, -smallest,
                    Tolerance.largest(dtype)};
            HostTensor x = HostTensor.floats(Shape.of(50, 8), dtype, i -> values[i % 8]);
            for (Layout layout : Layout.values()) {
                HostTensor y = layout.prepare(x);
                w.expect(y, w.backend().contiguous(w.upload(y, layout)));
                w.expect(y.permuted(1, 0), w.backend().permute(w.upload(y, layout), new int[] {1, 0}));
                w.expect(joined(List.of(y, y), 1), w.backend().concat(new TensorHandle[] {w.upload(y, layout), w.upload(y, layout)}, 1));
            }
        });
    }

    /** Long chains of views stay correct: each is applied to the one before. */
    @TestFactory
    default Stream<DynamicTest> viewsOfViewsCompose() {
        return perDType("chain", dtype -> true, (w, dtype) -> {
            HostTensor x = HostTensor.random(Shape.of(6, 7, 8), dtype, 55);
            TensorHandle a = w.upload(x);
            TensorHandle b = w.keep(w.backend().slice(a, new long[] {1, 2, 3}, new long[] {6, 7, 8}));    // (5, 5, 5)
            TensorHandle c = w.keep(w.backend().flip(b, new int[] {0, 2}));
            TensorHandle d = w.keep(w.backend().permute(c, new int[] {2, 0, 1}));
            TensorHandle e = w.keep(w.backend().slice(d, new long[] {0, 1, 0}, new long[] {5, 2, 5}));      // (5, 1, 5)
            TensorHandle f = w.keep(w.backend().broadcastTo(e, Shape.of(2, 5, 3, 5)));
            TensorHandle g = w.keep(w.backend().reshape(f, Shape.of(10, 15)));
            HostTensor expected = x.moved(Shape.of(2, 5, 3, 5), i -> new long[] {5 - 1, 2 + i[3], 3 + 4 - i[1]}).reshaped(Shape.of(10, 15));
            for (TensorHandle base : new TensorHandle[] {a, b, c, d, e, f}) {
                w.release(base);
            }
            w.expect(expected, g);
        });
    }
}
