package dev.sequent.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.spi.Backend;
import dev.sequent.spi.Probe;
import dev.sequent.spi.Probe.Status;
import dev.sequent.testkit.cuda.EmulatedCuda;
import dev.sequent.type.BackendException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The probe says what is missing and what to do about it, and never throws. */
class CudaProbeTest {
    private final CudaBackendProvider provider = new CudaBackendProvider();

    @TempDir
    private Path folder;

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

    private Probe probe() {
        return provider.probe(cuda.options());
    }

    /** A folder with copies of some of the stand-ins; copies, because a library is loaded once for a path. */
    private Probe probeWith(String... files) throws IOException {
        for (String file : files) {
            Files.copy(cuda.directory().resolve(file), folder.resolve(file));
        }
        return provider.probe(Map.of("libraries", folder.toString()));
    }

    @Test
    void everythingThereIsAvailable() {
        assertThat(probe().status()).isEqualTo(Status.AVAILABLE);
        assertThat(probe().message()).contains("CUDA 13.0").contains("NVRTC 13.0").contains("cuBLASLt");
    }

    @Test
    void aMachineWithoutDriverIsToldToInstallOne() {
        Probe probe = provider.probe(Map.of("libraries", folder.toString()));
        assertThat(probe.status()).isNotEqualTo(Status.MISCONFIGURED);
        if (probe.status() == Status.MISSING_SOFTWARE) {
            assertThat(probe.message() + probe.remedy()).containsAnyOf("no NVIDIA driver", "NVRTC", "cuBLASLt").contains("install");
        }
    }

    @Test
    void missingCompilerIsNamed() throws IOException {
        Probe probe = probeWith("libcuda.so.1", "libcublasLt.so.13");
        assertThat(probe.status()).isEqualTo(Status.MISSING_SOFTWARE);
        assertThat(probe.message()).contains("NVRTC").contains("libnvrtc.so.12");
        assertThat(probe.remedy()).contains("sequent.cuda.libraries");
    }

    @Test
    void missingMatrixLibraryIsNamed() throws IOException {
        Probe probe = probeWith("libcuda.so.1", "libnvrtc.so.13");
        assertThat(probe.status()).isEqualTo(Status.MISSING_SOFTWARE);
        assertThat(probe.message()).contains("cuBLASLt").contains("libcublasLt.so.13");
    }

    @Test
    void aBrokenLibraryIsNamed() throws IOException {
        Files.writeString(folder.resolve("libnvrtc.so.13"), "not a library");
        Probe probe = probeWith("libcuda.so.1", "libcublasLt.so.13");
        assertThat(probe.message()).contains(folder.resolve("libnvrtc.so.13") + " could not be loaded");
    }

    @Test
    void theDriversAnswersAreExplained() {
        cuda.set("init", 100);
        assertThat(probe()).satisfies(p -> assertThat(p.status()).isEqualTo(Status.UNSUPPORTED_HARDWARE),
                p -> assertThat(p.message()).contains("finds no GPU").contains("CUDA_ERROR_NO_DEVICE"));
        cuda.set("init", 34);
        assertThat(probe().message()).contains("stub");
        cuda.set("init", 803);
        assertThat(probe().remedy()).contains("restart");
        cuda.set("init", 999);
        assertThat(probe().message()).contains("cuInit").contains("CUDA_ERROR_UNKNOWN");
        cuda.set("init", 0);
        cuda.set("version", 11080);
        assertThat(probe().status()).isEqualTo(Status.MISSING_SOFTWARE);
        assertThat(probe().message()).contains("CUDA 11.8");
    }

    @Test
    void devicesThatCannotBeUsedAreExplained() {
        cuda.set("devices", 0);
        assertThat(probe().message()).contains("finds no GPU");
        cuda.set("devices", 1);
        cuda.set("major", 6);
        cuda.set("minor", 1);
        assertThat(probe().status()).isEqualTo(Status.UNSUPPORTED_HARDWARE);
        assertThat(probe().message()).contains("GPU 0 (CPU stand-in)").contains("6.1").contains("7.0 is needed");
        cuda.set("major", 7);
        cuda.set("minor", 0);
        assertThat(probe().message()).contains("NVRTC 13.0 begins with 7.5");
        assertThatThrownBy(() -> provider.open(cuda.options())).isInstanceOf(BackendException.class).hasMessageContaining("7.5");
    }

    @Test
    void everyDeviceIsADevice() {
        cuda.set("devices", 2);
        try (Backend backend = provider.open(cuda.options())) {
            assertThat(backend.deviceCount()).isEqualTo(2);
        }
    }

    @Test
    void badOptionsAreRefusedByName() {
        assertThat(provider.probe(Map.of("tf32", "perhaps")).message()).contains("tf32");
        assertThatThrownBy(() -> CudaOptions.of(Map.of("memoryLimit", "much"))).hasMessageContaining("memoryLimit");
        assertThatThrownBy(() -> CudaOptions.of(Map.of("memoryLimit", "0"))).hasMessageContaining("memoryLimit");
        assertThat(CudaOptions.of(Map.of("cache", "off")).cache()).isNull();
    }

    @Test
    void newerDevicesThanTheCompilerGetPtx() {
        assertThat(Programs.architecture(List.of(80, 90), 90)).isEqualTo("sm_90");
        assertThat(Programs.architecture(List.of(80, 90), 120)).isEqualTo("compute_90");
        assertThat(Programs.architecture(List.of(80, 90), 86)).isEqualTo("compute_80");
    }
}
