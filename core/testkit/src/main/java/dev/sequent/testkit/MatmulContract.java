package dev.sequent.testkit;

import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Matrix products: all transpose flags, batches, layouts, and sizes on both sides of every tile. */
public interface MatmulContract extends BackendFixture {
    /** Rows, inner size and columns: zeros, vectors, odd sizes, and sizes beyond one register tile. */
    int[][] SIZES = {{1, 1, 1}, {3, 1, 17}, {1, 17, 1}, {1, 63, 100}, {100, 63, 1}, {17, 3, 63}, {63, 100, 17}, {3, 17, 3}, {0, 3, 2},
            {3, 0, 2}, {2, 3, 0},
        {16, 32, 64}};

    /** Every size with every combination of transpose flags. */
    @TestFactory
    default Stream<DynamicTest> matmulEqualsTripleLoop() {
        return perDType("sizes", DType::isFloat, (w, dtype) -> {
            for (int[] size : SIZES) {
                check(w, dtype, size, new long[0], Layout.PLAIN, Layout.PLAIN);
            }
        });
    }

    /** Batches: one, several, nested, none. */
    @TestFactory
    default Stream<DynamicTest> matmulOfBatches() {
        return perDType("batches", DType::isFloat, (w, dtype) -> {
            for (long[] batch : new long[][] {{1}, {3}, {2, 3}, {0}, {1, 2, 2}}) {
                for (int[] size : new int[][] {{3, 17, 5}, {1, 17, 63}, {17, 3, 1}, {2, 0, 3}}) {
                    check(w, dtype, size, batch, Layout.PLAIN, Layout.PLAIN);
                }
            }
        });
    }

    /** Operands in every pair of layouts, among them batches that share one matrix. */
    @TestFactory
    default Stream<DynamicTest> matmulOfStridedOperands() {
        return perDType("layouts", DType::isFloat, (w, dtype) -> {
            for (Layout a : Layout.values()) {
                for (Layout b : Layout.values()) {
                    check(w, dtype, new int[] {17, 5, 9}, new long[] {3}, a, b);
                    check(w, dtype, new int[] {1, 33, 20}, new long[0], a, b);
                }
            }
        });
    }

    /** Sizes beyond cache tiles and the threshold of parallel work. */
    @TestFactory
    default Stream<DynamicTest> matmulOfLargeMatrices() {
        return perDType("large", DType::isFloat, (w, dtype) -> {
            check(w, dtype, new int[] {257, 301, 130}, new long[0], Layout.PLAIN, Layout.PLAIN);
            check(w, dtype, new int[] {1, 1_031, 517}, new long[0], Layout.PLAIN, Layout.PLAIN);
            check(w, dtype, new int[] {5, 1_031, 257}, new long[0], Layout.PLAIN, Layout.PLAIN);
            check(w, dtype, new int[] {65, 70, 65}, new long[] {7}, Layout.PLAIN, Layout.PLAIN);
        });
    }

    /** Heads as the attention layer cuts them: (B, T, H, P) seen as (B, H, T, P), with and without a transposed second operand. */
    @TestFactory
    default Stream<DynamicTest> matmulOfAttentionHeads() {
        return perDType("heads", DType::isFloat, (w, dtype) -> {
            int[] order = {0, 2, 1, 3};
            HostTensor q = HostTensor.random(Shape.of(2, 17, 3, 8), dtype, 1);
            HostTensor k = HostTensor.random(Shape.of(2, 17, 3, 8), dtype, 2);
            TensorHandle qs = w.keep(w.backend().permute(w.upload(q), order));
            TensorHandle ks = w.keep(w.backend().permute(w.upload(k), order));
            Product scores = product(q.permuted(order), k.permuted(order), false, true);                     // (2, 3, 17, 17)
            w.expect(scores.values, i -> scores.bounds[i], w.backend().matmul(qs, ks, false, true));
            Product outer = product(q.permuted(order), k.permuted(order), true, false);                      // (2, 3, 8, 8)
            w.expect(outer.values, i -> outer.bounds[i], w.backend().matmul(qs, ks, true, false));
        });
    }

    /** A NaN or an infinity reaches its row and column and nothing else: tiles are padded with zeros, not with leftovers. */
    @TestFactory
    default Stream<DynamicTest> matmulConfinesSpecialValues() {
        return perDType("NaN", DType::isFloat, (w, dtype) -> {
            for (int[] size : new int[][] {{17, 5, 63}, {1, 33, 17}, {70, 130, 66}}) {
                HostTensor a = random(size[0], size[1], dtype, 3);
                HostTensor b = random(size[1], size[2], dtype, 4);
                int at = size[1] - 1;
                HostTensor withNan = HostTensor.floats(a.shape(), dtype, i -> i == at ? Double.NaN : a.number(i));
                HostTensor withInfinity = HostTensor.floats(b.shape(), dtype,
                        i -> i == size[2] - 1 ? Double.POSITIVE_INFINITY : b.number(i));
                for (HostTensor left : new HostTensor[] {a, withNan}) {
                    Product expected = product(left, withInfinity, false, false);
                    w.expect(expected.values, i -> expected.bounds[i],
                            w.backend().matmul(w.upload(left), w.upload(withInfinity), false, false));
                }
            }
        });
    }

    /** Integer products are exact, beyond 2^53 and modulo the dtype's range. */
    @TestFactory
    default Stream<DynamicTest> matmulOfIntegers() {
        return perDType("integers", DType::isInteger, (w, dtype) -> {
            check(w, dtype, new int[] {3, 17, 5}, new long[] {2}, Layout.PLAIN, Layout.SLICED_PERMUTED);
            check(w, dtype, new int[] {1, 0, 3}, new long[0], Layout.PLAIN, Layout.PLAIN);
            long large = dtype == DType.I64 ? (1L << 60) + 1 : (1L << 29) + 1;
            HostTensor a = HostTensor.integers(Shape.of(1, 2), dtype, i -> large + i);
            HostTensor b = HostTensor.integers(Shape.of(2, 1), dtype, i -> 3 - 2 * i);
            w.expect(HostTensor.integers(Shape.of(1, 1), dtype, i -> 4 * large + 1),
                    w.backend().matmul(w.upload(a), w.upload(b), false, false));
        });
    }

    private static HostTensor random(int rows, int columns, DType dtype, long seed) {
        return HostTensor.random(Shape.of(rows, columns), dtype, seed);
    }

    private static void check(Workspace w, DType dtype, int[] size, long[] batch, Layout layoutA, Layout layoutB) {
        for (int flags = 0; flags < 4; flags++) {
            boolean transposeA = (flags & 1) != 0;
            boolean transposeB = (flags & 2) != 0;
            Shape shapeA = matrices(batch, transposeA ? size[1] : size[0], transposeA ? size[0] : size[1]);
            Shape shapeB = matrices(batch, transposeB ? size[2] : size[1], transposeB ? size[1] : size[2]);
            HostTensor a = layoutA.prepare(HostTensor.random(shapeA, dtype, 40 + flags));
            HostTensor b = layoutB.prepare(HostTensor.random(shapeB, dtype, 50 + flags));
            Product expected = product(a, b, transposeA, transposeB);
            String what = layoutA + " " + a.shape() + (transposeA ? "^T" : "") + " times " + layoutB + " " + b.shape()
                    + (transposeB ? "^T" : "");
            BackendFixture.describe(what, () -> {
                TensorHandle x = w.upload(a, layoutA);
                TensorHandle y = w.upload(b, layoutB);
                w.expect(expected.values, i -> expected.bounds[i], w.backend().matmul(x, y, transposeA, transposeB));
                w.release(x);
                w.release(y);
            });
        }
    }

    private static Shape matrices(long[] batch, int rows, int columns) {
        return Shape.of(IntStream.range(0, batch.length + 2)
                .mapToLong(i -> i < batch.length ? batch[i] : i == batch.length ? rows : columns).toArray());
    }

    /** Expected elements with the error that is allowed for each. */
    record Product(HostTensor values, double[] bounds) {}

    private static Product product(HostTensor a, HostTensor b, boolean transposeA, boolean transposeB) {
        HostTensor left = transposeA ? turned(a) : a;
        HostTensor right = transposeB ? b : turned(b);
        int inner = (int) left.shape().dim(-1);
        int columns = (int) right.shape().dim(-2);
        Shape shape = left.shape().with(-1, columns);
        int rows = (int) shape.dim(-2);
        double[] numbers = new double[Math.toIntExact(shape.size())];
        long[] integers = new long[numbers.length];
        double[] bounds = new double[numbers.length];
        for (int i = 0; i < numbers.length; i++) {
            int row = i / columns;
            int column = row / rows * columns + i % columns;
            double magnitude = 0;
            for (int k = 0; k < inner; k++) {
                double term = left.number(row * inner + k) * right.number(column * inner + k);
                numbers[i] += term;
                integers[i] += (long) term;
                magnitude += Math.abs(term);
            }
            bounds[i] = Tolerance.sum(a.dtype(), inner, magnitude);
        }
        HostTensor values = a.isFloat()
                ? HostTensor.floats(shape, a.dtype(), i -> numbers[i])
                : HostTensor.integers(shape, a.dtype(), i -> integers[i]);
        return new Product(values, bounds);
    }

    private static HostTensor turned(HostTensor x) {
        int[] order = IntStream.range(0, x.shape().rank()).toArray();
        order[order.length - 1] = order.length - 2;
        order[order.length - 2] = order.length - 1;
        return x.permuted(order);
    }
}
