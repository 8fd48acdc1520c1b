package dev.sequent.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.HostMemory;
import dev.sequent.spi.Probe;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.BackendException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

/** Options, views, and tensors large enough for every parallel path. */
class CpuBackendTest {
    private static Backend open(String... options) {
        Map<String, String> map = new HashMap<>(Map.of("poison", "true"));
        for (int i = 0; i < options.length; i += 2) {
            map.put(options[i], options[i + 1]);
        }
        return new CpuBackendProvider().open(map);
    }

    private static float[] floats(Backend b, TensorHandle x) {
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(x.shape().size() * 4)).order(ByteOrder.LITTLE_ENDIAN);
        b.download(x, bytes);
        float[] result = new float[bytes.remaining() / 4];
        bytes.asFloatBuffer().get(result);
        return result;
    }

    @Test
    void optionsAreChecked() {
        assertThatThrownBy(() -> open("thread", "2")).isInstanceOf(ConfigException.class)
                .hasMessageContaining("thread").hasMessageContaining("memoryLimit");
        assertThatThrownBy(() -> open("threads", "0")).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> open("threads", "two")).isInstanceOf(ConfigException.class).hasMessageContaining("two");
        assertThatThrownBy(() -> open("products", "f16")).isInstanceOf(ConfigException.class).hasMessageContaining("f32 or bf16");
        assertThatThrownBy(() -> open("vector", "maybe")).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> open("matmul", "no-such-provider")).isInstanceOf(BackendException.class)
                .hasMessageContaining("no-such-provider");
        assertThat(new CpuBackendProvider().probe().status()).isEqualTo(Probe.Status.AVAILABLE);
    }

    @Test
    void theMemoryLimitIsATypedErrorThatNamesTheRequest() {
        try (Backend b = open("memoryLimit", "1000000")) {
            TensorHandle x = b.full(Shape.of(1000, 200), DType.F32, 1, 0);
            assertThatThrownBy(() -> b.unary(UnaryOp.EXP, x)).isInstanceOf(OutOfDeviceMemoryException.class)
                    .hasMessageContaining("EXP").hasMessageContaining("800000");
            assertThat(b.memory(0).limitBytes()).isEqualTo(1_000_000);
            b.release(x);
            b.release(b.full(Shape.of(1000, 200), DType.F32, 1, 0));
        }
    }

    @Test
    void movementSharesMemory() {
        try (Backend b = open()) {
            TensorHandle x = b.full(Shape.of(64, 100), DType.F32, 1, 0);
            long bytes = b.memory(0).liveBytes();
            TensorHandle p = b.permute(x, new int[] {1, 0});
            TensorHandle s = b.slice(p, new long[] {3, 5}, new long[] {50, 60});
            TensorHandle r = b.reshape(b.share(x), Shape.of(8, 8, 4, 25));
            TensorHandle w = b.broadcastTo(s, Shape.of(7, 47, 55));
            assertThat(b.memory(0).liveBytes()).isEqualTo(bytes);
            HostMemory host = b.facility(HostMemory.class).orElseThrow();
            assertThat(host.view(s).strides()).containsExactly(1, 100);
            assertThat(host.view(s).contiguous()).isFalse();
            assertThat(host.view(w).strides()).containsExactly(0, 1, 100);
            assertThat(host.view(r).contiguous()).isTrue();
            assertThat(host.view(s).segment().get(ValueLayout.JAVA_FLOAT, 0)).isEqualTo(1f);
        }
    }

    @Test
    void reshapeOfAViewCopiesOnlyWhenStridesCannotExpressIt() {
        try (Backend b = open()) {
            TensorHandle x = b.full(Shape.of(4, 6, 5), DType.F32, 1, 0);
            TensorHandle p = b.permute(x, new int[] {1, 0, 2});
            long bytes = b.memory(0).liveBytes();
            b.reshape(p, Shape.of(2, 3, 4, 1, 5));
            assertThat(b.memory(0).liveBytes()).isEqualTo(bytes);
            b.reshape(p, Shape.of(24, 5));
            assertThat(b.memory(0).liveBytes()).isGreaterThan(bytes);
        }
    }

    @Test
    void memoryIsFreedWithTheLastView() {
        try (Backend b = open()) {
            TensorHandle x = b.full(Shape.of(100), DType.F32, 1, 0);
            TensorHandle view = b.slice(x, new long[] {10}, new long[] {20});
            b.release(x);
            assertThat(b.memory(0).liveBytes()).isPositive();
            b.release(view);
            assertThat(b.memory(0).liveBytes()).isZero();
            assertThatThrownBy(() -> b.release(view)).isInstanceOf(ReleasedTensorException.class);
            assertThatThrownBy(() -> b.unary(UnaryOp.NEG, x)).isInstanceOf(ReleasedTensorException.class).hasMessageContaining("NEG");
        }
    }

    @Test
    void hostMemoryIsAlignedAndUninitialised() {
        try (Backend b = open()) {
            HostMemory host = b.facility(HostMemory.class).orElseThrow();
            TensorHandle x = host.allocate(Shape.of(3, 5), DType.F32, 0);
            HostMemory.View view = host.view(x);
            assertThat(view.contiguous()).isTrue();
            assertThat(view.segment().address() % 64).isZero();
            assertThat(floats(b, x)).containsOnly(Float.NaN);
        }
    }

    @Test
    void aClosedBackendAnswersWithATypedError() {
        Backend b = open();
        TensorHandle x = b.full(Shape.of(3), DType.F32, 1, 0);
        HostMemory host = b.facility(HostMemory.class).orElseThrow();
        b.close();
        b.close();
        assertThatThrownBy(() -> b.unary(UnaryOp.NEG, x)).isInstanceOf(BackendException.class);
        assertThatThrownBy(() -> b.release(x)).isInstanceOf(BackendException.class);
        assertThatThrownBy(() -> host.view(x)).isInstanceOf(BackendException.class);
        assertThatThrownBy(() -> host.parallel().forEach(2, i -> { })).isInstanceOf(BackendException.class);
    }

    /** Operations on tensors large enough to be cut into pieces, by name. */
    private static Map<String, Function<Backend, TensorHandle>> largeOperations() {
        Map<String, Function<Backend, TensorHandle>> ops = new LinkedHashMap<>();
        ops.put("exp", b -> b.unary(UnaryOp.EXP, random(b, 70_001)));
        ops.put("add transposed", b -> b.binary(BinaryOp.ADD, random(b, 301, 257), b.permute(random(b, 257, 301), new int[] {1, 0})));
        ops.put("multiply by row", b -> b.binary(BinaryOp.MUL, random(b, 301, 257), b.broadcastTo(random(b, 257), Shape.of(301, 257))));
        ops.put("subtract column", b -> b.binary(BinaryOp.SUB, random(b, 301, 257), b.broadcastTo(random(b, 301, 1), Shape.of(301, 257))));
        ops.put("divide short rows", b -> b.binary(BinaryOp.DIV, random(b, 9001, 5), b.broadcastTo(random(b, 9001, 1), Shape.of(9001, 5))));
        ops.put("less", b -> b.cast(b.compare(CompareOp.LT, random(b, 40_003), b.flip(random(b, 40_003), new int[] {0})), DType.F32));
        ops.put("half", b -> b.cast(b.binaryScalar(BinaryOp.MUL, b.cast(random(b, 40_003), DType.BF16), 3, false), DType.F32));
        for (int[] axes : new int[][] {{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}, {0, 1, 2}}) {
            ops.put("sum over " + Arrays.toString(axes), b -> b.reduce(ReduceOp.SUM, random(b, 65, 70, 33), axes));
            ops.put("maximum over " + Arrays.toString(axes), b -> b.reduce(ReduceOp.MAX, random(b, 65, 70, 33), axes));
        }
        ops.put("sum of all", b -> b.reduce(ReduceOp.SUM, random(b, 200_003), new int[] {0}));
        ops.put("sum of long rows", b -> b.reduce(ReduceOp.SUM, random(b, 3, 70_001), new int[] {1}));
        ops.put("sum of long columns", b -> b.reduce(ReduceOp.SUM, random(b, 9001, 17), new int[] {0}));
        ops.put("scan", b -> b.scan(ReduceOp.SUM, random(b, 5, 200, 63), 1, true));
        ops.put("transpose", b -> b.contiguous(b.permute(random(b, 3, 301, 257), new int[] {2, 0, 1})));
        ops.put("pad", b -> b.pad(random(b, 300, 257), new long[] {1, 2}, new long[] {3, 0}, 7));
        ops.put("gather", b -> b.gather(random(b, 300, 257), 1,
                b.cast(b.binaryScalar(BinaryOp.MUL, random(b, 300, 100), 257, false), DType.I64)));
        ops.put("indexAdd", b -> b.indexAdd(random(b, 50, 257), 0,
                b.cast(b.binaryScalar(BinaryOp.MUL, random(b, 999), 50, false), DType.I64), random(b, 999, 257)));
        ops.put("product", b -> b.matmul(random(b, 150, 170), random(b, 160, 170), false, true));
        ops.put("products", b -> b.matmul(random(b, 40, 30, 20), random(b, 40, 20, 10), false, false));
        ops.put("products with one matrix", b -> b.matmul(random(b, 40, 30, 20),
                b.broadcastTo(random(b, 20, 10), Shape.of(40, 20, 10)), false, false));
        return ops;
    }

    private static TensorHandle random(Backend b, long... dims) {
        return b.randomUniform(Shape.of(dims), DType.F32, 42, 3, 0);
    }

    @Test
    void largeTensorsAgreeWithScalarKernels() {
        try (Backend vector = open("threads", "3"); Backend scalar = open("threads", "1", "vector", "off")) {
            largeOperations().forEach((name, op) -> {
                float[] expected = floats(scalar, op.apply(scalar));
                float[] actual = floats(vector, op.apply(vector));
                assertThat(actual).as(name).hasSameSizeAs(expected);
                for (int i = 0; i < expected.length; i++) {
                    assertThat(actual[i]).as(name + " element " + i)
                            .isCloseTo(expected[i], Offset.offset(Math.max(1e-6f, Math.abs(expected[i]) * 3e-6f)));
                }
            });
        }
    }

    @Test
    void resultsDoNotDependOnTheNumberOfThreads() {
        List<Backend> backends = new ArrayList<>();
        for (int threads : new int[] {1, 2, 3, 8, 64}) {
            backends.add(open("threads", Integer.toString(threads)));
        }
        largeOperations().forEach((name, op) -> {
            float[] expected = floats(backends.getFirst(), op.apply(backends.getFirst()));
            for (Backend b : backends) {
                assertThat(floats(b, op.apply(b))).as(name).isEqualTo(expected);
            }
        });
        backends.forEach(Backend::close);
    }

    @Test
    void nanWinsInMaximaWhereverItStands() {
        try (Backend b = open()) {
            for (int at : new int[] {0, 1, 15, 16, 40, 62}) {
                float[] values = new float[63];
                values[at] = Float.NaN;
                ByteBuffer bytes = ByteBuffer.allocate(252).order(ByteOrder.LITTLE_ENDIAN);
                bytes.asFloatBuffer().put(values);
                TensorHandle x = b.upload(bytes, Shape.of(63, 1), DType.F32, 0);
                for (ReduceOp op : new ReduceOp[] {ReduceOp.MAX, ReduceOp.MIN}) {
                    assertThat(floats(b, b.reduce(op, x, new int[] {0}))).containsExactly(Float.NaN);
                    assertThat(floats(b, b.reduce(op, b.broadcastTo(x, Shape.of(63, 20)), new int[] {0}))).containsOnly(Float.NaN);
                }
            }
        }
    }

    /** The indices are there already when there is no memory for a dense form of the tensor that they point into. */
    @Test
    void indexingWithoutMemoryLeavesNothingBehind() {
        try (Backend b = open("memoryLimit", "600000")) {
            TensorHandle x = b.full(Shape.of(1000, 100), DType.F32, 1, 0);
            TensorHandle columns = b.permute(x, new int[] {1, 0});
            TensorHandle index = b.iota(2, DType.I32, 0);
            long handles = b.memory(0).liveHandles();
            long bytes = b.memory(0).liveBytes();
            assertThatThrownBy(() -> b.indexSelect(columns, 0, index)).isInstanceOf(OutOfDeviceMemoryException.class);
            assertThat(b.memory(0).liveHandles()).isEqualTo(handles);
            assertThat(b.memory(0).liveBytes()).isEqualTo(bytes);
        }
    }
}
