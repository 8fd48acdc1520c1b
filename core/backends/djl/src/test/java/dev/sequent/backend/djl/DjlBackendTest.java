package dev.sequent.backend.djl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.GradientCollector;
import dev.sequent.op.BinaryOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.TensorHandle;
import dev.sequent.testkit.HostTensor;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.SequentException;
import dev.sequent.type.Shape;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** What is particular to this backend: refusals, memory limit, and living together with other users of DJL in the process. */
class DjlBackendTest {
    private static Backend open(Map<String, String> options) {
        return new DjlBackendProvider().open(options);
    }

    @Test
    void bfloat16IsRefusedBeforeTheNativeCall() {
        try (Backend b = open(Map.of())) {
            TensorHandle x = b.full(Shape.of(3), DType.F32, 1, 0);
            Map<String, Runnable> uses = Map.of(
                    "cast", () -> b.cast(x, DType.BF16),
                    "full", () -> b.full(Shape.of(2), DType.BF16, 0, 0),
                    "upload", () -> b.upload(ByteBuffer.allocate(4), Shape.of(2), DType.BF16, 0),
                    "iota", () -> b.iota(2, DType.BF16, 0),
                    "randomUniform", () -> b.randomUniform(Shape.of(2), DType.BF16, 0, 0, 0));
            uses.forEach((name, use) -> assertThatThrownBy(use::run).as(name).isInstanceOf(DTypeException.class)
                    .hasMessageContaining("[" + name + "]").hasMessageContaining("BF16"));
            assertThat(b.memory(0).liveHandles()).isEqualTo(1);
            assertThat(b.memory(0).liveBytes()).isEqualTo(12);
            b.release(x);
        }
    }

    @Test
    void theLimitIsATypedErrorThatNamesRequestAndUseAndTheNextStepWorks() {
        try (Backend b = open(Map.of("memoryLimit", "4000"))) {
            TensorHandle x = b.full(Shape.of(600), DType.F32, 2, 0);
            Map<String, Runnable> requests = Map.of(
                    "full", () -> b.full(Shape.of(500), DType.F32, 0, 0),
                    "EXP", () -> b.unary(UnaryOp.EXP, x),
                    "MUL", () -> b.binary(BinaryOp.MUL, x, x),
                    "pad", () -> b.pad(x, new long[] {5}, new long[] {0}, 0),
                    "matmul", () -> b.matmul(b.reshape(x, Shape.of(600, 1)), b.reshape(x, Shape.of(1, 600)), false, false));
            requests.forEach((name, request) -> assertThatThrownBy(request::run).as(name).isInstanceOf(OutOfDeviceMemoryException.class)
                    .hasMessageContaining("[" + name + "]").hasMessageContaining("F32(").hasMessageContaining("2400 bytes in use by"));
            assertThat(b.memory(0).liveBytes()).isEqualTo(2400);
            TensorHandle y = b.unary(UnaryOp.SQUARE, b.slice(x, new long[] {0}, new long[] {3}));
            HostTensor.vector(DType.F32, 4, 4, 4).requireEqual(HostTensor.download(b, y));
            assertThat(b.memory(0).limitBytes()).isEqualTo(4000);
        }
    }

    @Test
    void pyTorchsOwnOutOfMemoryIsTheSameError() {
        try (Backend b = open(Map.of("memoryLimit", Long.toString(Long.MAX_VALUE)))) {
            assertThatThrownBy(() -> b.full(Shape.of(1L << 58), DType.F32, 0, 0)).isInstanceOf(OutOfDeviceMemoryException.class)
                    .hasMessageContaining("[full]").hasMessageContaining("bytes in use by");
            assertThat(b.memory(0).liveBytes()).isZero();
            TensorHandle x = b.full(Shape.of(2), DType.F32, 1, 0);
            HostTensor.vector(DType.F32, 1, 1).requireEqual(HostTensor.download(b, x));
        }
    }

    @Test
    void viewsAreChargedOnceAndTheLastOneFreesTheMemory() {
        try (Backend b = open(Map.of())) {
            TensorHandle x = b.full(Shape.of(10, 20), DType.F32, 1, 0);
            TensorHandle view = b.permute(b.slice(x, new long[] {0, 5}, new long[] {10, 15}), new int[] {1, 0});
            TensorHandle flat = b.reshape(x, Shape.of(200));
            assertThat(b.memory(0).liveBytes()).isEqualTo(800);
            b.release(x);
            b.release(flat);
            assertThat(b.memory(0).liveBytes()).isEqualTo(800);
            // not a view: a transposed matrix has no row-major form in place
            TensorHandle copy = b.reshape(view, Shape.of(100));
            assertThat(b.memory(0).liveBytes()).isEqualTo(1200);
            b.release(copy);
            assertThat(b.memory(0).liveBytes()).isEqualTo(800);
        }
    }

    @Test
    void aCallersDjlScopeDoesNotCloseOurTensors() {
        try (Backend b = open(Map.of())) {
            TensorHandle x;
            try (NDScope scope = new NDScope()) {
                scope.suppressNotUsedWarning();
                x = b.unary(UnaryOp.SILU, b.full(Shape.of(2), DType.F32, 0, 0));
            }
            HostTensor.vector(DType.F32, 0, 0).requireEqual(HostTensor.download(b, x));
        }
    }

    @Test
    void aCallersOwnTrainingWithDjlGoesOn() {
        try (Backend b = open(Map.of()); NDManager manager = Engine.getEngine("PyTorch").newBaseManager()) {
            NDArray x = manager.create(new float[] {1, 2, 3});
            x.setRequiresGradient(true);
            try (GradientCollector collector = Engine.getEngine("PyTorch").newGradientCollector()) {
                TensorHandle ours = b.full(Shape.of(2), DType.F32, 1, 0);
                NDArray loss = x.square().sum();
                b.release(b.unary(UnaryOp.EXP, ours));
                collector.backward(loss);
            }
            assertThat(x.getGradient().toFloatArray()).containsExactly(2, 4, 6);
            assertThat(manager.create(1.5f).getDataType()).isEqualTo(DataType.FLOAT32);
        }
    }

    @Test
    void threadsAreSetForTheProcess() {
        try (Backend b = open(Map.of("threads", "1"))) {
            assertThat(b.capabilities(0).description()).contains("1 threads");
            assertThat(JniUtils.getNumThreads()).isEqualTo(1);
        }
        try (Backend _ = open(Map.of("threads", "2"))) {
            assertThat(JniUtils.getNumThreads()).isEqualTo(2);
        }
    }

    @Test
    void optionsAreChecked() {
        for (Map<String, String> wrong : List.of(Map.of("threads", "0"), Map.of("threads", "two"), Map.of("memoryLimit", "-1"),
                Map.of("download", "maybe"))) {
            assertThatThrownBy(() -> open(wrong).close()).as(wrong.toString()).isInstanceOf(SequentException.class)
                    .hasMessageContaining(wrong.keySet().iterator().next());
        }
    }

    @Test
    void nothingIsPrinted() {
        PrintStream before = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try (Backend b = open(Map.of())) {
            b.release(b.unary(UnaryOp.EXP, b.full(Shape.of(2), DType.F32, 0, 0)));
        } finally {
            System.setOut(before);
        }
        assertThat(printed.toString(StandardCharsets.UTF_8)).isEmpty();
    }

    @Test
    void errorsOfPyTorchAreTypedAndLeakNothing() {
        try (Backend b = open(Map.of())) {
            TensorHandle x = b.full(Shape.of(2, 3), DType.F32, 1, 0);
            TensorHandle index = b.full(Shape.of(1, 3), DType.I32, 7, 0);
            TensorHandle one = b.full(Shape.of(4), DType.F32, 7, 0);
            Map<String, Consumer<Backend>> uses = Map.of("gather", it -> it.gather(x, 0, index), "ADD",
                    it -> it.binary(BinaryOp.ADD, x, one));
            uses.forEach((name, use) -> assertThatThrownBy(() -> use.accept(b)).isInstanceOf(BackendException.class)
                    .hasMessageContaining("[" + name));
            assertThat(b.memory(0).liveHandles()).isEqualTo(3);
            assertThat(b.memory(0).liveBytes()).isEqualTo(24 + 12 + 16);
        }
    }
}
