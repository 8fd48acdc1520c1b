package dev.sequent.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.op.UnaryOp;
import dev.sequent.spi.MemoryStats;
import dev.sequent.spi.TensorHandle;
import dev.sequent.testkit.HostTensor;
import dev.sequent.testkit.Workspace;
import dev.sequent.testkit.cuda.EmulatedCuda;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Memory that runs out, kernels that crash, and what is left behind. */
class CudaFaultTest {
    private static final long MIB = 1 << 20;

    private EmulatedCuda cuda;

    @BeforeEach
    void reset() {
        cuda = EmulatedCuda.require();
        cuda.reset();
    }

    @AfterEach
    void resetAgain() {
        cuda.reset();
    }

    private static TensorHandle megabytes(CudaBackend backend, long n) {
        return backend.full(Shape.of(n * MIB / Float.BYTES), DType.F32, 1, 0);
    }

    @Test
    void exhaustedMemoryIsATypedErrorThatNamesRequestAndUse() {
        cuda.set("memory", 64 * MIB);
        try (CudaBackend backend = EmulatedDevice.backend(); Workspace w = new Workspace(backend)) {
            TensorHandle x = w.keep(megabytes(backend, 40));
            assertThatThrownBy(() -> megabytes(backend, 40)).isInstanceOf(OutOfDeviceMemoryException.class)
                    .hasMessageContaining("[full]").hasMessageContaining(Long.toString(40 * MIB)).hasMessageContaining("by 1 tensors");
            w.keep(megabytes(backend, 8));
            w.expect(HostTensor.vector(DType.F32, Math.E), w.backend()
                    .unary(UnaryOp.EXP, w.keep(w.backend().slice(x, new long[1], new long[] {1}))));
        }
    }

    /** What lies unused in the pool is given back before a request fails. */
    @Test
    void unusedMemoryIsGivenBackBeforeARequestFails() {
        cuda.set("memory", 64 * MIB);
        try (CudaBackend backend = EmulatedDevice.backend()) {
            List<TensorHandle> small = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                small.add(megabytes(backend, 4));
            }
            small.forEach(backend::release);
            assertThat(backend.memory(0).pooledBytes()).isGreaterThanOrEqualTo(40 * MIB);
            TensorHandle large = megabytes(backend, 50);
            assertThat(backend.memory(0).pooledBytes()).isZero();
            backend.release(large);
        }
    }

    @Test
    void theMemoryLimitHolds() {
        try (CudaBackend backend = EmulatedDevice.backend("memoryLimit", 8 * MIB)) {
            assertThat(backend.memory(0).limitBytes()).isEqualTo(8 * MIB);
            assertThatThrownBy(() -> megabytes(backend, 9)).isInstanceOf(OutOfDeviceMemoryException.class).hasMessageContaining("limit");
        }
    }

    /** Repeated work takes no more memory from the driver, and closing gives everything back. */
    @Test
    void memoryIsReusedAndGivenBack() {
        long allocations = cuda.count("allocations");
        long pinned = cuda.count("pinned");
        long streams = cuda.count("streams");
        CudaBackend backend = EmulatedDevice.backend();
        long steady = 0;
        for (int step = 0; step < 200; step++) {
            TensorHandle x = backend.randomUniform(Shape.of(100, 63), DType.F32, step, 0, 0);
            TensorHandle y = backend.matmul(x, x, false, true);
            backend.release(x);
            HostTensor.download(backend, y);
            backend.release(y);
            if (step == 1) {
                steady = cuda.count("used");
            }
        }
        assertThat(cuda.count("used")).isEqualTo(steady);
        MemoryStats stats = backend.memory(0);
        assertThat(stats.liveHandles()).isZero();
        assertThat(stats.liveBytes()).isZero();
        backend.close();
        assertThat(cuda.count("allocations")).isEqualTo(allocations);
        assertThat(cuda.count("pinned")).isEqualTo(pinned);
        assertThat(cuda.count("streams")).isEqualTo(streams);
    }

    /**
     * A crash inside a kernel is not forgotten: the call that finds it says so, and so does every later one; releasing and closing still
     * work.
     */
    @Test
    void aLostDeviceSaysSo() {
        CudaBackend backend = EmulatedDevice.backend();
        TensorHandle x = megabytes(backend, 1);
        backend.synchronize(0);
        cuda.set("fail_at", cuda.count("launches"));
        TensorHandle y = backend.unary(UnaryOp.EXP, x);
        assertThatThrownBy(() -> HostTensor.download(backend, y)).isInstanceOfSatisfying(CudaException.class, e -> {
            assertThat(e.isSticky()).isTrue();
            assertThat(e.code()).isEqualTo(700);
            assertThat(e.error()).isEqualTo("CUDA_ERROR_ILLEGAL_ADDRESS");
            assertThat(e).hasMessageContaining("[cu").hasMessageContaining("illegal memory access")
                    .hasMessageContaining("stays with the process");
        });
        assertThatThrownBy(() -> backend.unary(UnaryOp.EXP, x)).isInstanceOf(BackendException.class).hasMessageContaining("[EXP]")
                .hasMessageContaining("made unusable").hasMessageContaining("CUDA_ERROR_ILLEGAL_ADDRESS");
        assertThatThrownBy(() -> backend.synchronize(0)).hasMessageContaining("made unusable");
        assertThatCode(() -> backend.release(x)).doesNotThrowAnyException();
        assertThatCode(backend::close).doesNotThrowAnyException();
    }
}
