package dev.sequent.testkit;

import dev.sequent.op.ReduceOp;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Reductions over every subset of axes, positions of extremes, and cumulative reductions. */
public interface ReductionContract extends BackendFixture {
    /** Every reduction over every subset of axes, the empty one included, in every layout; empty tensors give the identity. */
    @TestFactory
    default Stream<DynamicTest> reduceEqualsItsLoopForEveryAxisSubset() {
        return Stream.of(ReduceOp.values()).flatMap(op -> perDType(op.name(), dtype -> dtype != DType.BOOL, (w, dtype) ->
                BackendFixture.forShapesAndLayouts(dtype, (given, layout) -> {
                    HostTensor x = calm(op, given);
                    TensorHandle handle = w.upload(x, layout);
                    for (int[] axes : subsets(x.shape().rank())) {
                        BackendFixture.describe("axes " + Arrays.toString(axes), () -> checkReduce(w, op, x, handle, axes));
                    }
                    w.release(handle);
                })));
    }

    /** Long reductions, where partial sums of vectors, tasks and tiles meet. */
    @TestFactory
    default Stream<DynamicTest> reduceHoldsForLongAxes() {
        return Stream.of(ReduceOp.values()).flatMap(op -> perDType(op.name(), dtype -> dtype != DType.BOOL, (w, dtype) -> {
            for (Shape shape : new Shape[] {Shape.of(70_001), Shape.of(3, 20_011), Shape.of(20_011, 3), Shape.of(33, 65, 17)}) {
                HostTensor x = calm(op, HostTensor.random(shape, dtype, 3));
                TensorHandle handle = w.upload(x);
                for (int[] axes : subsets(shape.rank())) {
                    BackendFixture.describe(shape + " axes " + Arrays.toString(axes), () -> checkReduce(w, op, x, handle, axes));
                }
            }
        }));
    }

    private static void checkReduce(Workspace w, ReduceOp op, HostTensor x, TensorHandle handle, int[] axes) {
        Reduced expected = reduced(op, x, axes);
        w.expect(expected.values, i -> expected.bounds[i], w.backend().reduce(op, handle, axes));
    }

    /** Expected values with the error that is allowed for each. */
    record Reduced(HostTensor values, double[] bounds) {}

    private static Reduced reduced(ReduceOp op, HostTensor x, int[] axes) {
        Shape shape = x.shape();
        for (int axis : axes) {
            shape = shape.with(axis, 1);
        }
        HostTensor target = HostTensor.integers(shape, DType.I64, i -> 0);
        double[] numbers = new double[target.size()];
        double[] magnitudes = new double[target.size()];
        long[] integers = new long[target.size()];
        Arrays.fill(numbers, op.identity());
        Arrays.fill(integers, x.dtype() == DType.I32 ? (int) op.identity() : (long) op.identity());
        for (int i = 0; i < x.size(); i++) {
            long[] c = x.coordinate(i);
            for (int axis : axes) {
                c[axis] = 0;
            }
            int to = target.index(c);
            if (x.isFloat()) {
                numbers[to] = op.apply(numbers[to], x.number(i));
                magnitudes[to] += Math.abs(x.number(i));
            } else {
                integers[to] = op.applyInteger(integers[to], x.integer(i));
            }
        }
        HostTensor values = x.isFloat()
                ? HostTensor.floats(shape, x.dtype(), i -> numbers[i])
                : HostTensor.integers(shape, x.dtype(), i -> integers[i]);
        long terms = numbers.length == 0 ? 0 : x.size() / numbers.length;
        double[] bounds = new double[numbers.length];
        Arrays.setAll(bounds, i -> bound(op, x.dtype(), terms, numbers[i], magnitudes[i]));
        return new Reduced(values, bounds);
    }

    private static double bound(ReduceOp op, DType dtype, long terms, double value, double magnitude) {
        return switch (op) {
            case SUM -> Tolerance.sum(dtype, terms, magnitude);
            case PROD -> Tolerance.sum(dtype, terms, Math.abs(value));
            case MAX, MIN -> 0;
        };
    }

    /** Factors near one, so that long products neither vanish nor overflow; other reductions take any values. */
    private static HostTensor calm(ReduceOp op, HostTensor x) {
        if (op != ReduceOp.PROD || !x.isFloat()) {
            return x;
        }
        double spread = 1.0 / Math.max(16, x.size());
        return HostTensor.floats(x.shape(), x.dtype(), i -> HostTensor.round(1 + spread * x.number(i), x.dtype()));
    }

    private static List<int[]> subsets(int rank) {
        List<int[]> subsets = new ArrayList<>();
        for (int bits = 0; bits < 1 << rank; bits++) {
            int chosen = bits;
            subsets.add(IntStream.range(0, rank).filter(axis -> (chosen >> axis & 1) == 1).toArray());
        }
        return subsets;
    }

    /** NaN decides every reduction it takes part in, wherever it stands; infinities follow the arithmetic. */
    @TestFactory
    default Stream<DynamicTest> reductionsPropagateNan() {
        return Stream.of(ReduceOp.values()).flatMap(op -> perDType(op.name(), DType::isFloat, (w, dtype) -> {
            for (int n : new int[] {1, 3, 17, 63, 100}) {
                for (int at : new int[] {0, n / 2, n - 1}) {
                    for (double special : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
                        HostTensor x = HostTensor.floats(Shape.of(n, 2), dtype, i -> i == 2 * at ? special : 1 + i % 2);
                        BackendFixture.describe(special + " at " + at + " of " + n, () -> {
                            checkReduce(w, op, x, w.upload(x), new int[] {0});
                            checkReduce(w, op, x, w.upload(x, Layout.PERMUTED), new int[] {0});
                            checkReduce(w, op, x, w.upload(x), new int[] {0, 1});
                            checkScan(w, op, x, Layout.PLAIN, 0, false);
                        });
                    }
                }
            }
        }));
    }

    /** Integers beyond 2^53 add up exactly; I32 wraps around. */
    @TestFactory
    default Stream<DynamicTest> integerReductionsAreExact() {
        return Stream.of(ReduceOp.values()).flatMap(op -> perDType(op.name(), DType::isInteger, (w, dtype) -> {
            long step = dtype == DType.I64 ? (1L << 57) + 1 : (1L << 25) + 1;
            HostTensor x = HostTensor.integers(Shape.of(100, 3), dtype, i -> (i - 150) * step);
            checkReduce(w, op, x, w.upload(x), new int[] {0});
            checkReduce(w, op, x, w.upload(x), new int[] {0, 1});
            checkScan(w, op, x, Layout.PLAIN, 0, false);
            checkScan(w, op, x, Layout.PLAIN, 1, true);
        }));
    }

    /** The index of the first of equal extremes, along every axis, in every layout. */
    @TestFactory
    default Stream<DynamicTest> argReduceFindsTheFirstExtreme() {
        return Stream.of(ReduceOp.MAX, ReduceOp.MIN).flatMap(op -> perDType(op.name(), dtype -> dtype != DType.BOOL, (w, dtype) ->
                BackendFixture.forShapesAndLayouts(dtype, (given, layout) -> {
                    // few distinct values, so that there are ties
                    HostTensor x = given.isFloat()
                            ? HostTensor.floats(given.shape(), dtype, i -> Math.rint(given.number(i)))
                            : HostTensor.integers(given.shape(), dtype, i -> given.integer(i) / 3);
                    for (int axis = 0; axis < x.shape().rank(); axis++) {
                        if (x.shape().dim(axis) > 0) {
                            int along = axis;
                            HostTensor expected = HostTensor.integers(x.shape().with(axis, 1), DType.I64,
                                    i -> first(op, x, HostTensor.coordinate(x.shape().with(along, 1), i), along));
                            w.expect(expected, w.backend().argReduce(op, w.upload(x, layout), axis));
                        }
                    }
                })));
    }

    private static long first(ReduceOp op, HostTensor x, long[] c, int axis) {
        long best = 0;
        for (long k = 1; k < x.shape().dim(axis); k++) {
            c[axis] = k;
            int candidate = x.index(c);
            c[axis] = best;
            int holder = x.index(c);
            boolean isBetter = op == ReduceOp.MAX ? x.number(candidate) > x.number(holder) : x.number(candidate) < x.number(holder);
            best = isBetter ? k : best;
        }
        return best;
    }

    /** NaN counts as the extreme, as it decides the reduction: the index of the first NaN. */
    @TestFactory
    default Stream<DynamicTest> argReduceFindsTheFirstNan() {
        return Stream.of(ReduceOp.MAX, ReduceOp.MIN).flatMap(op -> perDType(op.name(), DType::isFloat, (w, dtype) -> {
            for (int n : new int[] {2, 17, 100}) {
                int at = n / 2;
                HostTensor x = HostTensor.floats(Shape.of(n), dtype, i -> i == at || i == n - 1 ? Double.NaN : i == 0
                        ? Double.POSITIVE_INFINITY : -i);
                w.expect(HostTensor.indices(DType.I64, at), w.backend().argReduce(op, w.upload(x), 0));
            }
        }));
    }

    /** I64 extremes that are equal as doubles are told apart. */
    @TestFactory
    default Stream<DynamicTest> argReduceTellsLargeIntegersApart() {
        return perDType("I64", dtype -> dtype == DType.I64, (w, dtype) -> {
            long base = 1L << 60;
            HostTensor x = HostTensor.indices(dtype, base + 1, base + 3, base + 2, base);
            w.expect(HostTensor.indices(DType.I64, 1), w.backend().argReduce(ReduceOp.MAX, w.upload(x), 0));
            w.expect(HostTensor.indices(DType.I64, 3), w.backend().argReduce(ReduceOp.MIN, w.upload(x), 0));
        });
    }

    /** Cumulative reductions along every axis, in both directions, in every layout. */
    @TestFactory
    default Stream<DynamicTest> scanEqualsItsLoop() {
        return Stream.of(ReduceOp.values()).flatMap(op -> perDType(op.name(), dtype -> dtype != DType.BOOL, (w, dtype) -> {
            BackendFixture.forShapesAndLayouts(dtype, (given, layout) -> {
                HostTensor x = calm(op, given);
                for (int axis = 0; axis < x.shape().rank(); axis++) {
                    checkScan(w, op, x, layout, axis, false);
                    checkScan(w, op, x, layout, axis, true);
                }
            });
            for (Shape shape : new Shape[] {Shape.of(20_011), Shape.of(5, 3_001, 3)}) {
                HostTensor x = calm(op, HostTensor.random(shape, dtype, 12));
                checkScan(w, op, x, Layout.PLAIN, shape.rank() / 2, false);
                checkScan(w, op, x, Layout.PLAIN, shape.rank() / 2, true);
            }
        }));
    }

    private static void checkScan(Workspace w, ReduceOp op, HostTensor x, Layout layout, int axis, boolean reverse) {
        int n = (int) x.shape().dim(axis);
        double[] numbers = new double[x.size()];
        double[] magnitudes = new double[x.size()];
        long[] integers = new long[x.size()];
        double[] bounds = new double[x.size()];
        int distance = x.size() == 0 ? 0 : IntStream.range(axis + 1, x.shape().rank()).map(a -> (int) x.shape().dim(a))
                .reduce(1, (a, b) -> a * b);
        for (int step = 0; step < x.size(); step++) {
            int i = reverse ? x.size() - 1 - step : step;
            int along = (int) x.coordinate(i)[axis];
            int terms = reverse ? n - along : along + 1;
            int previous = reverse ? i + distance : i - distance;
            if (x.isFloat()) {
                numbers[i] = terms == 1 ? x.number(i) : op.apply(numbers[previous], x.number(i));
                magnitudes[i] = Math.abs(x.number(i)) + (terms == 1 ? 0 : magnitudes[previous]);
                bounds[i] = bound(op, x.dtype(), terms, numbers[i], magnitudes[i]);
            } else {
                integers[i] = terms == 1 ? x.integer(i) : op.applyInteger(integers[previous], x.integer(i));
            }
        }
        HostTensor expected = x.isFloat()
                ? HostTensor.floats(x.shape(), x.dtype(), i -> numbers[i])
                : HostTensor.integers(x.shape(), x.dtype(), i -> integers[i]);
        BackendFixture.describe("axis " + axis + (reverse ? " reversed" : ""),
                () -> w.expect(expected, i -> bounds[i], w.backend().scan(op, w.upload(x, layout), axis, reverse)));
    }
}
