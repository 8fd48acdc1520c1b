package dev.sequent.testkit;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;

/** Laws that hold for any shape, layout and value; jqwik looks for the shape that breaks them and makes it small. */
public interface RandomShapesContract extends BackendFixture {
    /** Shapes of at most four axes and about a thousand elements. */
    @Provide
    default Arbitrary<Shape> shapes4() {
        return Arbitraries.longs().between(0, 7).array(long[].class).ofMaxSize(4).map(Shape::of);
    }

    /** Elementwise operations commute with movement: it does not matter whether one computes before or after turning. */
    @Property(tries = 60)
    default void computingCommutesWithMoving(@ForAll("shapes4") Shape shape, @ForAll Layout layout, @ForAll long seed) {
        try (Workspace w = new Workspace(backend())) {
            Backend b = w.backend();
            HostTensor value = layout.prepare(HostTensor.random(shape, DType.F32, seed));
            TensorHandle x = w.upload(value, layout);
            int[] order = IntStream.range(0, shape.rank()).map(i -> (i + 1) % shape.rank()).toArray();
            TensorHandle before = w.keep(b.permute(w.keep(b.unary(UnaryOp.TANH, x)), order));
            TensorHandle after = w.keep(b.unary(UnaryOp.TANH, w.keep(b.permute(x, order))));
            HostTensor one = w.download(before);
            HostTensor two = w.download(after);
            // a vector's tail may be computed by another kernel than its body
            w.expect(two, i -> Tolerance.unary(UnaryOp.TANH, DType.F32, 0, one.number(i)), w.keep(b.share(before)));
        }
    }

    /** Padding, then cutting the padding off, changes nothing; neither does flipping twice, or turning there and back. */
    @Property(tries = 60)
    default void movementsCancel(@ForAll("shapes4") Shape shape, @ForAll Layout layout, @ForAll DType dtype, @ForAll long seed,
            @ForAll @IntRange(max = 3) int before, @ForAll @IntRange(max = 3) int after) {
        if (!dtypes().contains(dtype)) {
            return;
        }
        try (Workspace w = new Workspace(backend())) {
            Backend b = w.backend();
            HostTensor value = layout.prepare(HostTensor.random(shape, dtype, seed));
            TensorHandle x = w.upload(value, layout);
            long[] front = repeat(before, shape.rank());
            TensorHandle padded = w.keep(b.pad(x, front, repeat(after, shape.rank()), 1));
            long[] stop = Arrays.stream(shape.toArray()).map(n -> n + before).toArray();
            w.expect(value, b.slice(padded, front, stop));
            int[] axes = IntStream.range(0, shape.rank()).filter(axis -> (axis + before) % 2 == 0).toArray();
            w.expect(value, b.flip(w.keep(b.flip(x, axes)), axes));
            int[] order = IntStream.range(0, shape.rank()).map(i -> (i + 1) % shape.rank()).toArray();
            int[] back = IntStream.range(0, shape.rank()).map(i -> (i + shape.rank() - 1) % shape.rank()).toArray();
            w.expect(value, b.permute(w.keep(b.permute(x, order)), back));
            w.expect(value, b.reshape(w.keep(b.reshape(x, Shape.of(shape.size()))), shape));
        }
    }

    /** The sum over all axes is the sum of sums over one axis after another; the last element of a scan is the reduction. */
    @Property(tries = 60)
    default void sumsOfSumsAreSums(@ForAll("shapes4") Shape shape, @ForAll Layout layout, @ForAll long seed) {
        try (Workspace w = new Workspace(backend())) {
            Backend b = w.backend();
            HostTensor value = layout.prepare(HostTensor.random(shape, DType.I64, seed, 1e9));
            TensorHandle x = w.upload(value, layout);
            TensorHandle all = w.keep(b.reduce(ReduceOp.SUM, x, IntStream.range(0, shape.rank()).toArray()));
            TensorHandle step = w.keep(b.share(x));
            for (int axis = 0; axis < shape.rank(); axis++) {
                step = w.keep(b.reduce(ReduceOp.SUM, step, new int[] {axis}));
            }
            w.expect(w.download(all), step);
            for (int axis = 0; axis < shape.rank() && shape.size() > 0; axis++) {
                TensorHandle scan = w.keep(b.scan(ReduceOp.SUM, x, axis, false));
                long[] start = new long[shape.rank()];
                start[axis] = shape.dim(axis) - 1;
                w.expect(w.download(w.keep(b.reduce(ReduceOp.SUM, x, new int[] {axis}))), b.slice(scan, start, shape.toArray()));
            }
        }
    }

    /** (A B)^T = B^T A^T, in every layout and batch, and the identity matrix changes nothing. */
    @Property(tries = 60)
    default void transposeOfAProduct(@ForAll @IntRange(max = 40) int rows, @ForAll @IntRange(max = 70) int inner,
            @ForAll @IntRange(max = 40) int columns, @ForAll @IntRange(max = 3) int batch, @ForAll Layout layout, @ForAll long seed) {
        try (Workspace w = new Workspace(backend())) {
            Backend b = w.backend();
            HostTensor left = layout.prepare(HostTensor.random(Shape.of(batch, rows, inner), DType.F32, seed));
            HostTensor right = layout.prepare(HostTensor.random(Shape.of(batch, inner, columns), DType.F32, ~seed));
            TensorHandle x = w.upload(left, layout);
            TensorHandle y = w.upload(right, layout);
            TensorHandle product = w.keep(b.matmul(x, y, false, false));
            HostTensor turned = w.download(w.keep(b.permute(product, new int[] {0, 2, 1})));
            double magnitude = 9.0 * inner;
            w.expect(turned, i -> 2 * Tolerance.sum(DType.F32, inner, magnitude), b.matmul(y, x, true, true));
            HostTensor identity = HostTensor.floats(Shape.of(batch, inner, inner), DType.F32,
                    i -> i / Math.max(1, inner) % Math.max(1, inner) == i % Math.max(1, inner) ? 1 : 0);
            w.expect(left, i -> Tolerance.floor(DType.F32), b.matmul(x, w.upload(identity), false, false));
        }
    }

    /** Gathering by what sorting found gives a descending row, and scattering ones counts every index. */
    @Property(tries = 40)
    default void indicesAreConsistent(@ForAll @IntRange(min = 1, max = 5) int rows, @ForAll @IntRange(min = 1, max = 40) int n,
            @ForAll long seed) {
        try (Workspace w = new Workspace(backend())) {
            Backend b = w.backend();
            HostTensor value = HostTensor.random(Shape.of(rows, n), DType.F32, seed);
            TensorHandle x = w.upload(value);
            TensorHandle order = w.keep(b.topK(x, n));
            double[] sorted = new double[rows * n];
            for (int row = 0; row < rows; row++) {
                int start = row * n;
                double[] descending = IntStream.range(0, n).mapToDouble(i -> -value.number(start + i)).sorted().map(v -> -v).toArray();
                System.arraycopy(descending, 0, sorted, start, n);
            }
            w.expect(HostTensor.floats(value.shape(), DType.F32, i -> sorted[i]), b.gather(x, 1, order));
            TensorHandle zeros = w.keep(b.full(Shape.of(rows, n), DType.F32, 0, 0));
            TensorHandle ones = w.keep(b.full(Shape.of(rows, n), DType.F32, 1, 0));
            w.expect(HostTensor.floats(value.shape(), DType.F32, i -> 1), b.scatterAdd(zeros, 1, order, ones));
        }
    }

    /** A scalar operand means the same as a broadcast tensor of it. */
    @Property(tries = 40)
    default void scalarsAreBroadcastTensors(@ForAll("shapes4") Shape shape, @ForAll Layout layout, @ForAll long seed,
            @ForAll @IntRange(min = -8, max = 8) int quarter) {
        try (Workspace w = new Workspace(backend())) {
            Backend b = w.backend();
            TensorHandle x = w.upload(layout.prepare(HostTensor.random(shape, DType.F32, seed)), layout);
            TensorHandle scalar = w.keep(b.full(Shape.of(), DType.F32, quarter / 4.0, 0));
            TensorHandle tensor = w.keep(b.broadcastTo(scalar, shape));
            for (BinaryOp op : new BinaryOp[] {BinaryOp.ADD, BinaryOp.SUB, BinaryOp.MUL, BinaryOp.MAX, BinaryOp.MIN}) {
                HostTensor expected = w.download(w.keep(b.binary(op, x, tensor)));
                w.expect(expected, i -> 0, b.binaryScalar(op, x, quarter / 4.0, false));
            }
        }
    }

    private static long[] repeat(long value, int times) {
        long[] values = new long[times];
        Arrays.fill(values, value);
        return values;
    }
}
