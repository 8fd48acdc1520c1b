package dev.sequent.testkit;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Elementwise operations: every constant of the enums, so that a new one is tested as soon as it exists. */
public interface ElementwiseContract extends BackendFixture {
    /** Sizes beyond one vector, one task and one tile, and not a multiple of any. */
    int LARGE = 70_001;

    /** Whether a backend must offer {@code op} for {@code dtype}. */
    static boolean accepts(UnaryOp op, DType dtype) {
        return switch (op) {
            case NOT -> dtype == DType.BOOL;
            case NEG, ABS, SIGN, SQUARE -> dtype != DType.BOOL;
            default -> dtype.isFloat();
        };
    }

    /** Whether a backend must offer {@code op} for {@code dtype}. */
    static boolean accepts(BinaryOp op, DType dtype) {
        return switch (op) {
            case AND, OR -> dtype == DType.BOOL;
            default -> dtype != DType.BOOL;
        };
    }

    /** Every unary function equals its scalar definition, in every layout. */
    @TestFactory
    default Stream<DynamicTest> unaryEqualsItsScalarFunction() {
        return Stream.of(UnaryOp.values()).flatMap(op -> perDType(op.name(), dtype -> accepts(op, dtype),
                (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> checkUnary(w, op, x, layout))));
    }

    /** The same for arguments of very different magnitudes, and enough of them for every kernel's main loop. */
    @TestFactory
    default Stream<DynamicTest> unaryHoldsForAllMagnitudes() {
        return Stream.of(UnaryOp.values()).flatMap(op -> perDType(op.name(), dtype -> dtype.isFloat() && accepts(op, dtype), (w, dtype) -> {
            SplittableRandom random = new SplittableRandom(7);
            HostTensor x = HostTensor.floats(Shape.of(LARGE), dtype,
                    i -> HostTensor.round(Math.scalb(random.nextDouble(-1, 1), random.nextInt(-18, 6)), dtype));
            checkUnary(w, op, x, Layout.PLAIN);
        }));
    }

    /** NaN, infinities, zeros, overflow: what the scalar function makes of them. */
    @TestFactory
    default Stream<DynamicTest> unaryOfSpecialValues() {
        return Stream.of(UnaryOp.values()).flatMap(op -> perDType(op.name(), dtype -> dtype.isFloat() && accepts(op, dtype), (w, dtype) -> {
            double[] values = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 0.0, -0.0, 1, -1, 2, -2, 800, -800};
            for (double value : values) {
                // -inf times 0 in the formulas of these three; their limit is 0, and a backend may give either
                boolean isOpen = value == Double.NEGATIVE_INFINITY && (op == UnaryOp.SILU || op == UnaryOp.GELU || op == UnaryOp.GELU_TANH);
                if (!isOpen) {
                    // seventeen times, so that a vector kernel sees the value, and its tail too
                    double[] repeated = new double[17];
                    Arrays.fill(repeated, value);
                    BackendFixture.describe(op + "(" + value + ")", () ->
                            checkUnary(w, op, HostTensor.vector(dtype, repeated), Layout.PLAIN));
                }
            }
        }));
    }

    private static void checkUnary(Workspace w, UnaryOp op, HostTensor x, Layout layout) {
        HostTensor expected = x.isFloat()
                ? HostTensor.floats(x.shape(), x.dtype(), i -> op.apply(x.number(i)))
                : HostTensor.integers(x.shape(), x.dtype(), i -> op.applyInteger(x.integer(i)));
        TensorHandle y = w.backend().unary(op, w.upload(x, layout));
        w.expect(expected, i -> Tolerance.unary(op, x.dtype(), x.number(i), expected.number(i)), y);
    }

    /** Every function of two tensors equals its scalar definition, in every pair of layouts. */
    @TestFactory
    default Stream<DynamicTest> binaryEqualsItsScalarFunction() {
        return Stream.of(BinaryOp.values()).flatMap(op -> perDType(op.name(), dtype -> accepts(op, dtype), (w, dtype) -> {
            BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
                // the second operand walks through the layouts in another order
                Layout other = Layout.values()[(layout.ordinal() * 3 + 2) % Layout.values().length];
                HostTensor a = suited(op, x);
                HostTensor b = other.prepare(suited(op, HostTensor.random(x.shape(), dtype, 99 + x.shape().hashCode())));
                checkBinary(w, op, a, layout, b, other);
            });
            HostTensor a = suited(op, HostTensor.random(Shape.of(LARGE), dtype, 1));
            HostTensor b = suited(op, HostTensor.random(Shape.of(LARGE), dtype, 2));
            checkBinary(w, op, a, Layout.PLAIN, b, Layout.PLAIN);
        }));
    }

    /** NaN, infinities and zeros on either side. */
    @TestFactory
    default Stream<DynamicTest> binaryOfSpecialValues() {
        return Stream.of(BinaryOp.values()).filter(op -> op != BinaryOp.POW).flatMap(op -> perDType(op.name(),
                dtype -> dtype.isFloat() && accepts(op, dtype), (w, dtype) -> {
                    double[] values = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 0.0, 1.5, -2};
                    Shape all = Shape.of(values.length * values.length);
                    HostTensor a = HostTensor.floats(all, dtype, i -> values[i / values.length]);
                    HostTensor b = HostTensor.floats(all, dtype, i -> values[i % values.length]);
                    checkBinary(w, op, a, Layout.PLAIN, b, Layout.PLAIN);
                }));
    }

    private static void checkBinary(Workspace w, BinaryOp op, HostTensor a, Layout layoutA, HostTensor b, Layout layoutB) {
        HostTensor expected = a.isFloat()
                ? HostTensor.floats(a.shape(), a.dtype(), i -> op.apply(a.number(i), b.number(i)))
                : HostTensor.integers(a.shape(), a.dtype(), i -> op.applyInteger(a.integer(i), b.integer(i)));
        TensorHandle y = w.backend().binary(op, w.upload(a, layoutA), w.upload(b, layoutB));
        w.expect(expected, i -> bound(op, a.dtype(), a.number(i), b.number(i), 1), y);
    }

    /** Operands at which rounding cannot change the result's character: multiples of 1/4 where a remainder is taken. */
    private static HostTensor suited(BinaryOp op, HostTensor x) {
        return op == BinaryOp.MOD && x.isFloat() ? HostTensor.floats(x.shape(), x.dtype(), i -> Math.rint(4 * x.number(i)) / 4) : x;
    }

    private static double bound(BinaryOp op, DType dtype, double a, double b, double factor) {
        double u = Tolerance.roundoff(dtype);
        double y = Math.abs(op.apply(a, b));
        double relative = switch (op) {
            case MAX, MIN, MOD, AND, OR -> 0;
            case POW -> Tolerance.FUNCTION * (1 + Math.abs(b * Math.log(Math.abs(a))));
            default -> Tolerance.ARITHMETIC * factor;
        };
        return relative == 0 ? 0 : relative * u * y + Tolerance.floor(dtype);
    }

    /** A scalar operand on either side means the same as a tensor filled with it. */
    @TestFactory
    default Stream<DynamicTest> binaryScalarEqualsItsScalarFunction() {
        return Stream.of(BinaryOp.values()).flatMap(op -> perDType(op.name(), dtype -> accepts(op, dtype), (w, dtype) -> {
            double[] scalars = dtype == DType.BOOL ? new double[] {0, 1} : dtype.isFloat() ? new double[] {2, -0.5, 0.3, 0}
                    : new double[] {2, -3, 0};
            for (double s : scalars) {
                boolean isInexact = op == BinaryOp.MOD && s == 0.3;
                for (boolean reversed : new boolean[] {false, true}) {
                    if (!isInexact) {
                        BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> checkScalar(w, op, suited(op, x), layout, s, reversed));
                    }
                }
            }
        }));
    }

    private static void checkScalar(Workspace w, BinaryOp op, HostTensor x, Layout layout, double s, boolean reversed) {
        HostTensor expected = x.isFloat()
                ? HostTensor.floats(x.shape(), x.dtype(), i -> reversed ? op.apply(s, x.number(i)) : op.apply(x.number(i), s))
                : HostTensor.integers(x.shape(), x.dtype(),
                        i -> reversed ? op.applyInteger((long) s, x.integer(i)) : op.applyInteger(x.integer(i), (long) s));
        double u = Tolerance.roundoff(x.dtype());
        TensorHandle y = w.backend().binaryScalar(op, w.upload(x, layout), s, reversed);
        // the scalar may have been rounded to the compute type: an error of its own, which a difference may show in full
        double rounding = op == BinaryOp.AND || op == BinaryOp.OR || !x.isFloat() ? 0 : u * Math.abs(s);
        w.expect(expected, i -> (reversed ? bound(op, x.dtype(), s, x.number(i), 2) : bound(op, x.dtype(), x.number(i), s, 2)) + rounding,
                y);
    }

    /** Integers are exact where doubles are not, and wrap around at the ends of their range. */
    @TestFactory
    default Stream<DynamicTest> integersAreExact() {
        return perDType("integers", DType::isInteger, (w, dtype) -> {
            long top = dtype == DType.I64 ? Long.MAX_VALUE : Integer.MAX_VALUE;
            long[] values = {0, 1, -1, 2, -2, 7, -7, 63, (1L << 53) + 1, -(1L << 53) - 1, (1L << 62) + 3, top, top - 1, -top, -top - 1,
                    3_037_000_501L};
            long[] fitting = Arrays.stream(values).filter(v -> dtype == DType.I64 || v == (int) v).toArray();
            Shape all = Shape.of(fitting.length * fitting.length);
            HostTensor a = HostTensor.integers(all, dtype, i -> fitting[i / fitting.length]);
            HostTensor b = HostTensor.integers(all, dtype, i -> fitting[i % fitting.length]);
            for (BinaryOp op : BinaryOp.values()) {
                if (accepts(op, dtype)) {
                    BackendFixture.describe(op.name(), () -> checkBinary(w, op, a, Layout.PLAIN, b, Layout.PLAIN));
                }
            }
            for (UnaryOp op : UnaryOp.values()) {
                if (accepts(op, dtype)) {
                    BackendFixture.describe(op.name(), () -> checkUnary(w, op, a, Layout.PLAIN));
                }
            }
            for (CompareOp op : CompareOp.values()) {
                BackendFixture.describe(op.name(), () -> checkCompare(w, op, a, Layout.PLAIN, b, Layout.PLAIN));
            }
        });
    }

    /** Comparisons, with and without equal elements, and with NaN. */
    @TestFactory
    default Stream<DynamicTest> compareEqualsItsScalarFunction() {
        return Stream.of(CompareOp.values()).flatMap(op -> perDType(op.name(), dtype -> true, (w, dtype) -> {
            BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
                HostTensor b = HostTensor.random(x.shape(), dtype, 5);
                HostTensor mixed = x.isFloat()
                        ? HostTensor.floats(x.shape(), dtype, i -> i % 3 == 0 ? x.number(i) : i % 7 == 1 ? Double.NaN : b.number(i))
                        : HostTensor.integers(x.shape(), dtype, i -> i % 3 == 0 ? x.integer(i) : b.integer(i));
                checkCompare(w, op, x, layout, mixed, Layout.PLAIN);
                checkCompare(w, op, mixed, Layout.SLICED, x, layout);
            });
        }));
    }

    private static void checkCompare(Workspace w, CompareOp op, HostTensor a, Layout layoutA, HostTensor b, Layout layoutB) {
        HostTensor expected = HostTensor.integers(a.shape(), DType.BOOL, i -> {
            boolean holds = a.isFloat() ? op.apply(a.number(i), b.number(i)) : op.apply(Long.compare(a.integer(i), b.integer(i)), 0);
            return holds ? 1 : 0;
        });
        w.expect(expected, w.backend().compare(op, w.upload(a, layoutA), w.upload(b, layoutB)));
    }

    /** The elements that are not chosen leave no trace, even if they are NaN. */
    @TestFactory
    default Stream<DynamicTest> whereChoosesElements() {
        return perDType("where", dtype -> true, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> {
            HostTensor condition = layout.prepare(HostTensor.random(x.shape(), DType.BOOL, 8));
            HostTensor other = x.isFloat() ? HostTensor.floats(x.shape(), dtype, i -> Double.NaN) : HostTensor.random(x.shape(), dtype, 9);
            HostTensor expected = x.isFloat()
                    ? HostTensor.floats(x.shape(), dtype, i -> condition.integer(i) != 0 ? x.number(i) : other.number(i))
                    : HostTensor.integers(x.shape(), dtype, i -> condition.integer(i) != 0 ? x.integer(i) : other.integer(i));
            w.expect(expected, w.backend().where(w.upload(condition, layout), w.upload(x, layout), w.upload(other, Layout.PERMUTED)));
        }));
    }
}
