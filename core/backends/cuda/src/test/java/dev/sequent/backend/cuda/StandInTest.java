package dev.sequent.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.spi.TensorHandle;
import dev.sequent.testkit.HostTensor;
import dev.sequent.testkit.cuda.EmulatedCuda;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The stand-ins find planted bugs: kernels without them give one result in all orders of threads, kernels with them do not. */
class StandInTest {
    private static final int ORDERS = 5;

    /** Reverses 256 numbers through shared memory; FIRST and SECOND are the barriers. */
    private static final String REVERSE = """
            #include "sequent.cuh"
            __global__ void reverse(const float* x, float* y) {
                SHARED(float, tile, [256]);
                for (int k = 0; k < 3; k++) {
                    tile[threadIdx.x] = x[k * 256 + threadIdx.x];
                    FIRST;
                    y[k * 256 + threadIdx.x] = tile[255 - threadIdx.x];
                    SECOND;
                }
            }
            """;

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

    private HostTensor run(Source source, String name, int order, int blocks, int threads) {
        cuda.set("order", order);
        try (CudaBackend code = EmulatedDevice.backend()) {
            HostTensor x = HostTensor.floats(Shape.of(768), DType.F32, i -> i);
            TensorHandle given = code.upload(x.bytes(), x.shape(), DType.F32, 0);
            TensorHandle y = code.full(x.shape(), DType.F32, 0, 0);
            code.launch(code.functions(source, 0).get(name), Grid.of(blocks, threads), given, y);
            return HostTensor.download(code, y);
        }
    }

    private static String text(HostTensor x) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < x.size(); i++) {
            text.append(x.number(i)).append(' ');
        }
        return text.toString();
    }

    private Set<String> results(Source source) {
        Set<String> results = new HashSet<>();
        for (int order = 0; order < ORDERS; order++) {
            results.add(text(run(source, "reverse", order, 1, 256)));
        }
        return results;
    }

    @Test
    void withAllBarriersThereIsOneResult() {
        Source whole = Source.of("reverse", REVERSE, "reverse").define("FIRST", "__syncthreads()").define("SECOND", "__syncthreads()");
        HostTensor expected = HostTensor.floats(Shape.of(768), DType.F32, i -> i / 256 * 256 + 255 - i % 256);
        assertThat(results(whole)).containsExactly(text(expected));
    }

    @Test
    void aMissingBarrierBeforeReadingShows() {
        Source racy = Source.of("reverse", REVERSE, "reverse").define("FIRST", "").define("SECOND", "__syncthreads()");
        assertThat(results(racy)).hasSizeGreaterThan(1);
    }

    @Test
    void aMissingBarrierBeforeOverwritingShows() {
        Source racy = Source.of("reverse", REVERSE, "reverse").define("FIRST", "__syncthreads()").define("SECOND", "");
        assertThat(results(racy)).hasSizeGreaterThan(1);
    }

    @Test
    void aBarrierThatOnlySomeThreadsReachIsReported() {
        Source stuck = Source.of("stuck", """
                __global__ void stuck(const float* x, float* y) {
                    if (threadIdx.x % 32 == 31) __syncthreads();
                    __syncwarp();
                    y[threadIdx.x] = x[threadIdx.x];
                }
                """, "stuck");
        for (int order = 0; order < ORDERS; order++) {
            int given = order;
            cuda.reset();
            assertThatThrownBy(() -> run(stuck, "stuck", given, 1, 64)).isInstanceOf(CudaException.class)
                    .hasMessageContaining("CUDA_ERROR_LAUNCH_FAILED");
        }
    }

    @Test
    void aShuffleOutsideOfItsMaskIsReported() {
        Source wrong = Source.of("wrong", """
                __global__ void wrong(const float* x, float* y) {
                    y[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, x[threadIdx.x], 1);
                }
                """, "wrong");
        assertThatThrownBy(() -> run(wrong, "wrong", 0, 1, 32)).hasMessageContaining("CUDA_ERROR_LAUNCH_FAILED");
    }

    @Test
    void aWriteBehindTheEndIsReported() {
        Source wild = Source.of("wild", "__global__ void wild(const float* x, float* y) { y[768 + threadIdx.x] = x[threadIdx.x]; }",
                "wild");
        try (CudaBackend code = EmulatedDevice.backend("reuse", "false")) {
            TensorHandle x = code.full(Shape.of(768), DType.F32, 1, 0);
            TensorHandle y = code.full(Shape.of(768), DType.F32, 0, 0);
            code.launch(code.functions(wild, 0).get("wild"), Grid.of(1, 1), x, y);
            assertThatThrownBy(() -> code.synchronize(0)).hasMessageContaining("CUDA_ERROR_ILLEGAL_ADDRESS");
        }
    }

    @Test
    void whatNobodyWroteIsNotANumber() {
        Source lazy = Source.of("lazy", """
                #include "sequent.cuh"
                __global__ void lazy(const float* x, float* y) {
                    SHARED(float, tile, [32]);
                    if (x[threadIdx.x] >= 0 && threadIdx.x < 31) tile[threadIdx.x] = 1;
                    __syncthreads();
                    y[threadIdx.x] = tile[threadIdx.x];
                }
                """, "lazy");
        HostTensor y = run(lazy, "lazy", 0, 2, 32);
        assertThat(y.number(30)).isEqualTo(1);
        assertThat(y.number(31)).isNaN();
    }
}
