package dev.sequent.backend.nd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.backend.Backends;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.Probe;
import dev.sequent.spi.TensorHandle;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.BackendException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.Shape;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Discovery, options and limits; and silence. */
class Nd4jBackendProviderTest {
    private static final String LINUX = "Linux amd64";

    @TempDir
    Path directory;

    @Test
    void itIsFoundByItsName() {
        assertThat(Backends.providers()).anyMatch(provider -> provider instanceof Nd4jBackendProvider && provider.probe().isAvailable());
        try (Backend backend = Backends.openBackend("nd4j")) {
            assertThat(backend.capabilities(0).description()).contains("ND4J", "thread");
        }
    }

    @Test
    void missingClassesAndNativesAreNamed() throws IOException {
        try (URLClassLoader empty = new URLClassLoader(new URL[0], null)) {
            Probe probe = new Nd4jBackendProvider(empty, LINUX).probe();
            assertThat(probe.status()).isEqualTo(Probe.Status.MISSING_SOFTWARE);
            assertThat(probe.remedy()).contains("org.nd4j:nd4j-native:1.0.0-M2.1");
        }
        Path classes = Files.createDirectories(directory.resolve("org/nd4j/linalg/cpu/nativecpu"));
        Files.createFile(classes.resolve("CpuBackend.class"));
        try (URLClassLoader withoutNatives = new URLClassLoader(new URL[] {directory.toUri().toURL()}, null)) {
            Nd4jBackendProvider provider = new Nd4jBackendProvider(withoutNatives, LINUX);
            assertThat(provider.probe().status()).isEqualTo(Probe.Status.MISSING_SOFTWARE);
            assertThat(provider.probe().remedy()).contains("classifier linux-x86_64");
            assertThatThrownBy(() -> provider.open(Map.of())).isInstanceOf(BackendException.class).hasMessageContaining("classifier");
        }
    }

    @Test
    void otherPlatformsAreNamed() {
        Probe probe = new Nd4jBackendProvider(getClass().getClassLoader(), "Mac OS X aarch64").probe();
        assertThat(probe.status()).isEqualTo(Probe.Status.UNSUPPORTED_HARDWARE);
        assertThat(probe.toString()).contains("mac os x aarch64");
    }

    @Test
    void wrongOptionsAreNamed() {
        Nd4jBackendProvider provider = new Nd4jBackendProvider();
        assertThatThrownBy(() -> provider.open(Map.of("thread", "2"))).isInstanceOf(ConfigException.class).hasMessageContaining("[thread]");
        assertThatThrownBy(() -> provider.open(Map.of("threads", "0"))).isInstanceOf(ConfigException.class).hasMessageContaining("given 0");
        assertThatThrownBy(() -> provider.open(Map.of("memoryLimit", "much"))).isInstanceOf(ConfigException.class)
                .hasMessageContaining("much");
    }

    @Test
    void aRequestBeyondTheLimitIsRefusedAndTheNextOneWorks() {
        try (Backend backend = new Nd4jBackendProvider().open(Map.of("memoryLimit", "1000000"))) {
            TensorHandle x = backend.full(Shape.of(150_000), DType.F32, 1, 0);
            assertThatThrownBy(() -> backend.unary(UnaryOp.EXP, x)).isInstanceOf(OutOfDeviceMemoryException.class)
                    .hasMessageContaining("[EXP]")
                    .hasMessageContaining("600000 bytes for F32(150000)").hasMessageContaining("in use by 1 tensors")
                    .hasMessageContaining("limit 1000000");
            assertThat(backend.memory(0).liveHandles()).isEqualTo(1);
            backend.release(x);
            TensorHandle y = backend.full(Shape.of(200_000), DType.F32, 1, 0);
            assertThat(backend.memory(0).liveBytes() + backend.memory(0).pooledBytes()).isLessThanOrEqualTo(1_000_000);
            backend.release(y);
        }
    }

    /** In a JVM with the flags that the documentation names, and without a logger, nothing is printed. */
    @Test
    void nothingIsPrinted() throws IOException, InterruptedException {
        assertThat(ChildJvm.run(List.of(), Child.class)).isEmpty();
    }

    /** What the other JVM runs. */
    static final class Child {
        private Child() {}

        /** Opens the backend and computes something. */
        public static void main(String[] args) {
            try (Device device = Device.open("nd4j"); Scope _ = Scope.open()) {
                Tensor x = Tensor.zeros(device, DType.F32, 3, 3);
                System.exit(x.exp().matmul(x.exp()).sum().item() == 27 ? 0 : 1);
            }
        }
    }
}
