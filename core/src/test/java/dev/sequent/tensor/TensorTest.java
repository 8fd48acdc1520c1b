package dev.sequent.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.DeviceMismatchException;
import dev.sequent.type.SequentException;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What tensors check before a backend is called, and who owns what they make. */
class TensorTest {
    private Device device;

    @BeforeEach
    void open() {
        device = Device.open("cpu", Map.of("threads", "1"));
    }

    @AfterEach
    void close() {
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    /** Methods that consist of several primitives, on a tensor (2, 3). */
    private static Map<String, Function<Tensor, Tensor>> composites() {
        Map<String, Function<Tensor, Tensor>> all = new LinkedHashMap<>();
        all.put("mean", x -> x.mean());
        all.put("mean of an axis", x -> x.mean(1));
        all.put("sum", x -> x.sum());
        all.put("max", x -> x.max(0));
        all.put("argmax", x -> x.argmax(1));
        all.put("softmax", x -> x.softmax(-1));
        all.put("logSoftmax", x -> x.logSoftmax(0));
        all.put("clamp", x -> x.clamp(0, 1));
        all.put("compare with a number", x -> x.compare(CompareOp.GT, 0.5));
        all.put("select", x -> x.select(1, 2));
        all.put("broadcasting", x -> {
            try (Tensor row = Tensor.arange(x.device(), 3)) {
                return x.add(row);
            }
        });
        all.put("broadcasting comparison", x -> {
            try (Tensor row = Tensor.arange(x.device(), 3)) {
                return x.compare(CompareOp.LT, row);
            }
        });
        all.put("broadcasting choice", x -> {
            try (Tensor zero = Tensor.zeros(x.device(), DType.F32); Tensor yes = Tensor.of(x.device(), new boolean[] {true, false, true})) {
                return yes.where(x, zero);
            }
        });
        all.put("broadcasting product", x -> {
            try (Tensor many = Tensor.ones(x.device(), DType.F32, 4, 3, 2)) {
                return x.matmul(many);
            }
        });
        all.put("stack", x -> Tensor.stack(0, x, x));
        all.put("normal", x -> new Rng(1).normal(x.device(), DType.F32, 0, 1, 2));
        all.put("uniform", x -> new Rng(1).uniform(x.device(), DType.F32, 0, 1, 2));
        return all;
    }

    @Test
    void withoutAScopeOnlyTheResultIsLeft() {
        try (Tensor x = Tensor.of(device, new float[] {1, 2, 3, 4, 5, 6}, 2, 3)) {
            composites().forEach((name, f) -> {
                long before = device.memory().liveHandles();
                try (Tensor _ = f.apply(x)) {
                    assertThat(device.memory().liveHandles()).as("live tensors after " + name).isEqualTo(before + 1);
                }
            });
        }
    }

    @Test
    void writesOutsideOfTheTargetAreRefused() {
        try (Scope _ = Scope.open()) {
            Tensor x = Tensor.zeros(device, DType.F32, 4);
            Tensor one = Tensor.ones(device, DType.F32, 1);
            for (long start : new long[] {-1, 4, Long.MAX_VALUE, Long.MIN_VALUE}) {
                assertThatThrownBy(() -> x.write(one, start)).as("start " + start).isInstanceOf(ShapeException.class)
                        .hasMessageContaining("[write]");
            }
            assertThatThrownBy(() -> x.write(one)).isInstanceOf(ShapeException.class);
            assertThatThrownBy(() -> x.write(Tensor.ones(device, DType.F64, 1), 0)).isInstanceOf(DTypeException.class);
            assertThat(x.toFloats()).containsOnly(0);
        }
    }

    @Test
    void tensorsOfAnotherDeviceAreRefusedByWrites() {
        try (Device other = Device.open("reference"); Scope _ = Scope.open()) {
            Tensor x = Tensor.zeros(device, DType.F32, 4);
            assertThatThrownBy(() -> x.write(Tensor.ones(other, DType.F32, 1), 0)).isInstanceOf(DeviceMismatchException.class)
                    .hasMessageContaining("[write]");
        }
    }

    @Test
    void logicalFunctionsTakeNoNumbers() {
        try (Scope _ = Scope.open()) {
            Tensor x = Tensor.ones(device, DType.F32, 2);
            for (BinaryOp f : new BinaryOp[] {BinaryOp.AND, BinaryOp.OR}) {
                assertThatThrownBy(() -> x.binary(f, 1, false)).isInstanceOf(DTypeException.class);
                assertThatThrownBy(() -> x.binary(f, x)).isInstanceOf(DTypeException.class);
            }
        }
    }

    /** A fraction would be cut off, and {@code ids.mul(0.5)} be 0. */
    @Test
    void integersAreCombinedWithWholeNumbersOnly() {
        try (Scope _ = Scope.open()) {
            Tensor x = Tensor.of(device, new long[] {0, 1, 7});
            assertThatThrownBy(() -> x.mul(0.5)).isInstanceOf(DTypeException.class).hasMessageContaining("0.5");
            assertThatThrownBy(() -> x.add(Double.NaN)).isInstanceOf(DTypeException.class);
            assertThatThrownBy(() -> x.compare(CompareOp.LT, 0.5)).isInstanceOf(DTypeException.class);
            assertThat(x.mul(2).sub(1).toLongs()).containsExactly(-1, 1, 13);
            assertThat(x.clamp(Double.NEGATIVE_INFINITY, 3).toLongs()).containsExactly(0, 1, 3);
            assertThat(x.compare(CompareOp.LT, 1).toLongs()).containsExactly(1, 0, 0);
        }
    }

    @Test
    void elementTypesOfNewTensorsAreChecked() {
        assertThatThrownBy(() -> Tensor.arange(device, DType.BOOL, 3)).isInstanceOf(DTypeException.class);
        assertThatThrownBy(() -> Tensor.arange(device, -1)).isInstanceOf(ShapeException.class);
        assertThatThrownBy(() -> new Rng(1).unit(device, DType.I64, 3)).isInstanceOf(DTypeException.class);
        assertThatThrownBy(() -> new Rng(1).normal(device, DType.I32, 0, 1, 3)).isInstanceOf(DTypeException.class);
    }

    /** 2^62 elements of 4 bytes are 0 bytes, counted in 64 bits. */
    @Test
    void tensorsThatNoArrayHoldsAreNotDownloaded() {
        try (Scope _ = Scope.open()) {
            Tensor huge = Tensor.ones(device, DType.F32).broadcastTo(Shape.of(1L << 31, 1L << 31));
            assertThatThrownBy(huge::toFloats).isInstanceOf(ShapeException.class);
            assertThatThrownBy(huge::toDoubles).isInstanceOf(ShapeException.class);
        }
    }

    @Test
    void aScopeReleasesTheOthersWhenOneCannotBeReleased() {
        Scope scope = Scope.open();
        Tensor first = Tensor.ones(device, DType.F32, 2);
        Device closed = Device.open("reference");
        Tensor.ones(closed, DType.F32, 2);
        Tensor.ones(closed, DType.F32, 2);
        Tensor last = Tensor.ones(device, DType.F32, 2);
        closed.close();
        assertThatThrownBy(scope::close).isInstanceOf(SequentException.class).hasMessageContaining("[release]");
        assertThat(first.isReleased()).isTrue();
        assertThat(last.isReleased()).isTrue();
    }

    @Test
    void emptyTensorsGoThroughEveryReduction() {
        try (Scope _ = Scope.open()) {
            Tensor empty = Tensor.zeros(device, DType.F32, 0, 3);
            assertThat(empty.sum().item()).isZero();
            assertThat(empty.sum(0).toFloats()).containsExactly(0, 0, 0);
            assertThat(empty.reduce(ReduceOp.MAX, false, 0).toFloats()).containsOnly(Float.NEGATIVE_INFINITY);
            assertThat(empty.softmax(1).shape()).isEqualTo(Shape.of(0, 3));
            assertThat(empty.cumsum(0).size()).isZero();
            assertThat(empty.matmul(Tensor.ones(device, DType.F32, 3, 2)).shape()).isEqualTo(Shape.of(0, 2));
            assertThat(Tensor.ones(device, DType.F32, 2, 0).matmul(Tensor.ones(device, DType.F32, 0, 2)).toFloats()).containsOnly(0);
            assertThat(Tensor.concat(0, empty, empty).flip(0).transpose(0, 1).contiguous().size()).isZero();
            assertThatThrownBy(() -> empty.argmax(0)).isInstanceOf(ShapeException.class);
        }
    }

    /** Sizes beyond an int where the product itself is small. */
    @Test
    void productsOfAxesBeyondAnIntAreRefused() {
        try (Scope _ = Scope.open()) {
            Tensor row = Tensor.ones(device, DType.F32, 1, 1).broadcastTo(Shape.of(1, 1L << 32));
            Tensor column = Tensor.ones(device, DType.F32, 1, 1).broadcastTo(Shape.of(1L << 32, 1));
            assertThatThrownBy(() -> row.matmul(column)).isInstanceOf(SequentException.class).hasMessageContaining("[matmul]");
        }
    }
}
