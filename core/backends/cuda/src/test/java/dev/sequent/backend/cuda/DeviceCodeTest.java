package dev.sequent.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Function;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Scratch;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.spi.TensorHandle;
import dev.sequent.testkit.HostTensor;
import dev.sequent.testkit.Workspace;
import dev.sequent.testkit.cuda.EmulatedCuda;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sources become functions, arguments arrive as they were given, wrong ones are refused, and compiled code is kept and checked. */
class DeviceCodeTest {
    private static final Source AXPY = Source.of("axpy", """
            #include "sequent.cuh"
            template <class T> __global__ void axpy(const T* x, T* y, i64 n, float a, double b, i32 c, Values<i64, 3> d,
                    Values<const T*, 2> more) {
                for (i64 i = grid_thread(); i < n; i += grid_threads()) {
                    float sum = a * to_float(x[i]) + (float) b + c + d.at[0] + d.at[1] + d.at[2];
                    if (more.at[0]) sum += to_float(more.at[0][i]);
                    if (more.at[1]) sum += 1000;
                    y[i] = from_float<T>(sum);
                }
            }
            """, "axpy<float>", "axpy<bf16>");

    private EmulatedCuda cuda;

    @TempDir
    private Path folder;

    @BeforeEach
    void reset() {
        cuda = EmulatedCuda.require();
        cuda.reset();
    }

    @AfterEach
    void resetAgain() {
        cuda.reset();
    }

    @Test
    void argumentsOfEveryTypeArrive() {
        try (CudaBackend backend = EmulatedDevice.backend(); Workspace w = new Workspace(backend)) {
            DeviceCode code = backend.facility(DeviceCode.class).orElseThrow();
            for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
                Function axpy = code.functions(AXPY, 0).get("axpy<" + (dtype == DType.F32 ? "float" : "bf16") + ">");
                HostTensor x = HostTensor.floats(Shape.of(1001), dtype, i -> i % 16);
                TensorHandle given = w.upload(x);
                TensorHandle y = w.keep(code.allocate(x.shape(), dtype, 0));
                code.launch(axpy, Grid.covering(1001, 128), given, y, 1001L, 2f, 0.5, 4, new long[] {1, 2, 3},
                        new TensorHandle[] {given, null});
                w.expect(HostTensor.floats(x.shape(), dtype, i -> 3 * x.number(i) + 10.5), w.backend().share(y));
            }
            assertThat(code.limits(0).isAtLeast(8, 0)).isTrue();
            assertThat(code.limits(0).isAtLeast(9, 1)).isFalse();
        }
    }

    @Test
    void wrongLaunchesAreRefusedAndHarmless() {
        try (CudaBackend code = EmulatedDevice.backend(); Workspace w = new Workspace(code)) {
            Function axpy = code.functions(AXPY, 0).get("axpy<float>");
            TensorHandle x = w.upload(HostTensor.vector(DType.F32, 1, 2, 3));
            TensorHandle[] none = new TensorHandle[2];
            Object[] good = {x, x, 3L, 2f, 0.5, 4, new long[3], none};
            assertThatThrownBy(() -> code.launch(axpy, Grid.of(1, 32), x, x)).isInstanceOf(BackendException.class)
                    .hasMessageContaining("8 arguments");
            assertThatThrownBy(() -> code.launch(axpy, Grid.of(1, 32), x, x, 3, 2f, 0.5, 4, new long[3], none))
                    .hasMessageContaining("argument 2 of 8 bytes");
            assertThatThrownBy(() -> code.launch(axpy, Grid.of(1, 32), x, x, 3L, 2f, 0.5, 4, new long[4], none))
                    .hasMessageContaining("argument 6 of 24 bytes");
            assertThatThrownBy(() -> code.launch(axpy, Grid.of(1, 32), x, x, 3L, 2f, 0.5, 4, "text", none))
                    .hasMessageContaining("java.lang.String");
            assertThatThrownBy(() -> code.launch(axpy, Grid.of(1, 2000), good)).hasMessageContaining("1024 threads");
            assertThatThrownBy(() -> code.launch(axpy, Grid.of(1, 32).blocks(1, 70_000, 1), good)).hasMessageContaining("65535");
            assertThatThrownBy(() -> code.launch(axpy, Grid.of(1, 32).shared(1 << 20), good)).hasMessageContaining("shared");
            TensorHandle gone = code.full(Shape.of(3), DType.F32, 0, 0);
            code.release(gone);
            assertThatThrownBy(() -> code.launch(axpy, Grid.of(1, 32), gone, x, 3L, 2f, 0.5, 4, new long[3], none))
                    .isInstanceOf(ReleasedTensorException.class);
            Scratch scratch = code.scratch(100, 0);
            scratch.close();
            scratch.close();
            assertThatThrownBy(() -> code.launch(axpy, Grid.of(1, 32), scratch, x, 3L, 2f, 0.5, 4, new long[3], none))
                    .isInstanceOf(ReleasedTensorException.class);
            code.launch(axpy, Grid.of(0, 32), good);
            w.expect(HostTensor.vector(DType.F32, 1, 2, 3), code.share(x));
        }
    }

    @Test
    void theCompilersMessagesComeThrough() {
        try (CudaBackend code = EmulatedDevice.backend()) {
            Source broken = Source.of("broken", "__global__ void k(float* x) { x[0] = SEVEN; }", "k");
            assertThatThrownBy(() -> code.functions(broken, 0)).isInstanceOf(CudaException.class)
                    .hasMessageContaining("broken.cu").hasMessageContaining("SEVEN").hasMessageContaining("NVRTC_ERROR_COMPILATION");
            Source defined = broken.define("SEVEN", 7).header("own.h", "");
            assertThat(code.functions(defined, 0)).containsOnlyKeys("k");
            assertThat(code.functions(defined, 0)).isSameAs(code.functions(defined, 0));
        }
    }

    /** Compiled once, found by the next backend, compiled again when the file is cut, changed or not what the driver takes. */
    @Test
    void compiledCodeIsKeptAndChecked() throws IOException {
        Source source = Source.of("kept", "__global__ void k(float* x) { x[0] = 7; }", "k");
        runKept(source, 7);
        Path file = only();
        byte[] good = Files.readAllBytes(file);
        var written = Files.getLastModifiedTime(file);
        runKept(source, 7);
        assertThat(Files.getLastModifiedTime(file)).isEqualTo(written);
        byte[] changed = good.clone();
        changed[changed.length / 2] ^= 1;
        for (byte[] bad : List.of(new byte[0], Arrays.copyOf(good, good.length / 2), changed)) {
            Files.write(file, bad);
            runKept(source, 7);
            assertThat(Files.readAllBytes(file)).hasSameSizeAs(good);
        }
        runKept(Source.of("kept", source.text().replace('7', '8'), "k"), 8);
        try (var files = Files.list(folder)) {
            assertThat(files).hasSize(2);
        }
    }

    private void runKept(Source source, double expected) {
        try (CudaBackend code = EmulatedDevice.backend("cache", folder); Workspace w = new Workspace(code)) {
            TensorHandle x = code.allocate(Shape.of(1), DType.F32, 0);
            code.launch(code.functions(source, 0).get("k"), Grid.of(1, 1), x);
            w.expect(HostTensor.vector(DType.F32, expected), x);
        }
    }

    private Path only() throws IOException {
        try (var files = Files.list(folder)) {
            return files.reduce((a, b) -> {
                throw new AssertionError("more than one file: " + a + ", " + b);
            }).orElseThrow();
        }
    }

    @Test
    void aCacheThatCannotBeWrittenIsNoObstacle() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        Source source = Source.of("unkept", "__global__ void k(float* x) { x[0] = 7; }", "k");
        try (CudaBackend code = EmulatedDevice.backend("cache", file)) {
            assertThat(code.functions(source, 0)).containsOnlyKeys("k");
        }
    }
}
