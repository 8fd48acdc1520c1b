package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.SequentException;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Gathering, scattering and ordering by index. */
public interface IndexingContract extends BackendFixture {
    /** Index types that the backend claims. */
    private List<DType> indexTypes() {
        return dtypes().stream().filter(DType::isInteger).toList();
    }

    /** Elements picked along every axis by an index tensor of another length, in every layout of both. */
    @TestFactory
    default Stream<DynamicTest> gatherPicksElements() {
        return indexTypes().stream().flatMap(type -> perDType("by " + type + " from", dtype -> true, (w, dtype) ->
                BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
                    for (int axis = 0; axis < x.shape().rank(); axis++) {
                        for (int length : lengths(x, axis)) {
                            HostTensor index = layout.prepare(indices(x.shape().with(axis, length), type, x, axis));
                            int along = axis;
                            HostTensor expected = x.moved(index.shape(), c -> {
                                c[along] = index.integer(index.index(c));
                                return c;
                            });
                            BackendFixture.describe("axis " + axis + " length " + length,
                                    () -> w.expect(expected, w.backend().gather(w.upload(x, layout), along, w.upload(index, layout))));
                        }
                    }
                })));
    }

    /** Whole slices picked along every axis. */
    @TestFactory
    default Stream<DynamicTest> indexSelectPicksSlices() {
        return indexTypes().stream().flatMap(type -> perDType("by " + type + " from", dtype -> true, (w, dtype) ->
                BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
                    for (int axis = 0; axis < x.shape().rank(); axis++) {
                        for (int length : lengths(x, axis)) {
                            HostTensor index = layout.prepare(indices(Shape.of(length), type, x, axis));
                            int along = axis;
                            HostTensor expected = x.moved(x.shape().with(axis, length), c -> {
                                c[along] = index.integer((int) c[along]);
                                return c;
                            });
                            BackendFixture.describe("axis " + axis + " length " + length,
                                    () -> w.expect(expected, w.backend().indexSelect(w.upload(x, layout), along, w.upload(index, layout))));
                        }
                    }
                })));
    }

    /** Sums land where the index says; repeated indices add up. */
    @TestFactory
    default Stream<DynamicTest> scatterAddSumsElements() {
        return indexTypes().stream().flatMap(type -> perDType("by " + type + " into", dtype -> dtype != DType.BOOL, (w, dtype) ->
                BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
                    for (int axis = 0; axis < x.shape().rank(); axis++) {
                        for (int length : lengths(x, axis)) {
                            HostTensor index = layout.prepare(indices(x.shape().with(axis, length), type, x, axis));
                            HostTensor source = layout.prepare(HostTensor.random(index.shape(), dtype, 17));
                            int along = axis;
                            Sums sums = new Sums(x);
                            for (int i = 0; i < source.size(); i++) {
                                long[] c = source.coordinate(i);
                                c[axis] = index.integer(i);
                                sums.add(x.index(c), source, i);
                            }
                            BackendFixture.describe("axis " + axis + " length " + length, () -> sums.expect(w, w.backend().scatterAdd(
                                    w.upload(x, layout), along, w.upload(index, layout), w.upload(source, layout))));
                        }
                    }
                })));
    }

    /** Sums of whole slices; repeated indices add up. */
    @TestFactory
    default Stream<DynamicTest> indexAddSumsSlices() {
        return indexTypes().stream().flatMap(type -> perDType("by " + type + " into", dtype -> dtype != DType.BOOL, (w, dtype) ->
                BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
                    for (int axis = 0; axis < x.shape().rank(); axis++) {
                        for (int length : lengths(x, axis)) {
                            HostTensor index = layout.prepare(indices(Shape.of(length), type, x, axis));
                            HostTensor source = layout.prepare(HostTensor.random(x.shape().with(axis, length), dtype, 18));
                            int along = axis;
                            Sums sums = new Sums(x);
                            for (int i = 0; i < source.size(); i++) {
                                long[] c = source.coordinate(i);
                                c[axis] = index.integer((int) c[axis]);
                                sums.add(x.index(c), source, i);
                            }
                            BackendFixture.describe("axis " + axis + " length " + length, () -> sums.expect(w, w.backend().indexAdd(
                                    w.upload(x, layout), along, w.upload(index, layout), w.upload(source, layout))));
                        }
                    }
                })));
    }

    /** The gradient of an embedding: many rows, many repetitions; the operands are left as they were. */
    @TestFactory
    default Stream<DynamicTest> indexAddOfAnEmbeddingGradient() {
        return perDType("embedding", DType::isFloat, (w, dtype) -> {
            HostTensor x = HostTensor.floats(Shape.of(63, 17), dtype, i -> 0);
            HostTensor index = HostTensor.randomIndices(Shape.of(2_000), DType.I64, 63, 6);
            HostTensor source = HostTensor.random(Shape.of(2_000, 17), dtype, 7);
            Sums sums = new Sums(x);
            for (int i = 0; i < source.size(); i++) {
                sums.add((int) (index.integer(i / 17) * 17 + i % 17), source, i);
            }
            TensorHandle target = w.upload(x);
            TensorHandle rows = w.upload(source);
            sums.expect(w, w.backend().indexAdd(target, 0, w.upload(index), rows));
            w.expect(x, target);
            w.expect(source, rows);
        });
    }

    /** Expected sums with the terms and magnitudes that bound their error. */
    final class Sums {
        private final HostTensor x;
        private final double[] numbers;
        private final double[] magnitudes;
        private final long[] integers;
        private final int[] terms;

        Sums(HostTensor x) {
            this.x = x;
            this.numbers = new double[x.size()];
            this.magnitudes = new double[x.size()];
            this.integers = new long[x.size()];
            this.terms = new int[x.size()];
            for (int i = 0; i < x.size(); i++) {
                add(i, x, i);
            }
        }

        void add(int to, HostTensor source, int from) {
            numbers[to] += source.number(from);
            magnitudes[to] += Math.abs(source.number(from));
            integers[to] += source.isFloat() ? 0 : source.integer(from);
            terms[to]++;
        }

        void expect(Workspace w, TensorHandle actual) {
            HostTensor expected = x.isFloat()
                    ? HostTensor.floats(x.shape(), x.dtype(), i -> numbers[i])
                    : HostTensor.integers(x.shape(), x.dtype(), i -> integers[i]);
            // 16-bit sums may be rounded at every addition: a copy is added to, in memory
            double u = Tolerance.roundoff(x.dtype());
            w.expect(expected, i -> terms[i] == 1 ? 0 : Tolerance.ARITHMETIC * u * terms[i] * magnitudes[i] + Tolerance.floor(x.dtype()),
                    actual);
        }
    }

    /** I64 sums and moves are exact beyond 2^53. */
    @TestFactory
    default Stream<DynamicTest> indexingIsExactForLargeIntegers() {
        return perDType("I64", dtype -> dtype == DType.I64, (w, dtype) -> {
            long base = (1L << 60) + 1;
            HostTensor x = HostTensor.indices(dtype, base, base + 1, -base);
            HostTensor index = HostTensor.indices(DType.I64, 2, 0, 0, 1);
            HostTensor source = HostTensor.indices(dtype, 1, 2, 4, -1);
            HostTensor sums = HostTensor.indices(dtype, base + 6, base, 1 - base);
            w.expect(HostTensor.indices(dtype, -base, base, base, base + 1), w.backend().gather(w.upload(x), 0, w.upload(index)));
            w.expect(sums, w.backend().scatterAdd(w.upload(x), 0, w.upload(index), w.upload(source)));
            w.expect(sums, w.backend().indexAdd(w.upload(x), 0, w.upload(index), w.upload(source)));
        });
    }

    /** An index outside the tensor gives an error of this library or some value, and never touches memory outside. */
    @TestFactory
    default Stream<DynamicTest> wrongIndicesAreHarmless() {
        return perDType("out of range", DType::isFloat, (w, dtype) -> {
            TensorHandle x = w.upload(HostTensor.random(Shape.of(5, 3), dtype, 1));
            TensorHandle source = w.upload(HostTensor.random(Shape.of(2, 3), dtype, 2));
            for (long wrong : new long[] {-1, 5, 1L << 31, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 40}) {
                TensorHandle vector = w.upload(HostTensor.indices(DType.I64, 0, wrong));
                TensorHandle matrix = w.upload(HostTensor.integers(Shape.of(2, 3), DType.I64, i -> i == 3 ? wrong : 0));
                harmless(w, () -> w.backend().indexSelect(x, 0, vector));
                harmless(w, () -> w.backend().gather(x, 0, matrix));
                harmless(w, () -> w.backend().indexAdd(x, 0, vector, source));
                harmless(w, () -> w.backend().scatterAdd(x, 0, matrix, source));
            }
        });
    }

    private static void harmless(Workspace w, Supplier<TensorHandle> operation) {
        TensorHandle result = null;
        try {
            result = operation.get();
        } catch (SequentException refused) {
            assertThat(refused).hasMessageContaining("[");
        }
        if (result != null) {
            w.keep(result);
        }
    }

    /** The k largest in descending order, the first of equal ones first, for every k, in every layout. */
    @TestFactory
    default Stream<DynamicTest> topKOrdersByValueThenIndex() {
        return perDType("topK", dtype -> dtype != DType.BOOL, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (given, layout) -> {
            if (given.shape().rank() > 0) {
                HostTensor x = given.isFloat()
                        ? HostTensor.floats(given.shape(), dtype, i -> Math.rint(given.number(i)) + 0.0)
                        : HostTensor.integers(given.shape(), dtype, i -> given.integer(i) / 3);
                int n = (int) x.shape().dim(-1);
                for (int k : new int[] {0, Math.min(1, n), n / 2, n}) {
                    BackendFixture.describe("k " + k, () -> w.expect(best(x, k), w.backend().topK(w.upload(x, layout), k)));
                }
            }
        }));
    }

    /** A vocabulary's worth of logits, infinities, NaN and both zeros. */
    @TestFactory
    default Stream<DynamicTest> topKOfLongRowsAndSpecialValues() {
        return perDType("topK", DType::isFloat, (w, dtype) -> {
            HostTensor logits = HostTensor.random(Shape.of(2, 5_003), dtype, 77, 20);
            w.expect(best(logits, 50), w.backend().topK(w.upload(logits), 50));
            HostTensor special = HostTensor.vector(dtype, 1, Double.NEGATIVE_INFINITY, 0.0, -0.0, Double.NaN, 2, Double.POSITIVE_INFINITY,
                    -0.0, 0.0, Double.NaN);
            // NaN counts as the largest, as it does for argReduce; both zeros are equal
            w.expect(HostTensor.indices(DType.I64, 4, 9, 6, 5, 0, 2, 3, 7, 8, 1), w.backend().topK(w.upload(special), 10));
        });
    }

    private static HostTensor best(HostTensor x, int k) {
        int n = (int) x.shape().dim(-1);
        int[][] rows = IntStream.range(0, n == 0 ? 0 : x.size() / n).mapToObj(row -> IntStream.range(0, n).boxed()
                .sorted(Comparator.comparingDouble((Integer i) -> -x.number(row * n + i)).thenComparing(Comparator.naturalOrder()))
                .mapToInt(Integer::intValue).toArray()).toArray(int[][]::new);
        int[] flat = Arrays.stream(rows).flatMapToInt(row -> Arrays.stream(row, 0, k)).toArray();
        return HostTensor.integers(x.shape().with(-1, k), DType.I64, i -> flat[i]);
    }

    private static int[] lengths(HostTensor x, int axis) {
        return x.shape().dim(axis) == 0 ? new int[] {0} : new int[] {0, 1, 5, (int) x.shape().dim(axis)};
    }

    private static HostTensor indices(Shape shape, DType type, HostTensor x, int axis) {
        return HostTensor.randomIndices(shape, type, (int) Math.max(1, x.shape().dim(axis)), shape.hashCode() + axis);
    }
}
