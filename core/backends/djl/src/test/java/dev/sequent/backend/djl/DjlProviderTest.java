package dev.sequent.backend.djl;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.backend.Backends;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Probe;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The probe names what is missing and what to add, and starts nothing. */
class DjlProviderTest {
    @TempDir
    private Path directory;

    private URLClassLoader holding(String... names) throws IOException {
        for (String name : names) {
            Path file = directory.resolve(name);
            Files.createDirectories(file.getParent());
            Files.writeString(file, "x");
        }
        return new URLClassLoader(new URL[] {directory.toUri().toURL()}, null);
    }

    @Test
    void theProviderIsFoundByName() {
        assertThat(Backends.providers()).extracting(BackendProvider::name).contains("djl");
        assertThat(new DjlBackendProvider().probe()).isEqualTo(new DjlBackendProvider().probe());
        assertThat(new DjlBackendProvider().probe().toString()).startsWith("AVAILABLE").contains("linux-x86_64 (cpu)");
    }

    @Test
    void missingArtifactsAreNamed() throws IOException {
        try (URLClassLoader empty = holding()) {
            Probe probe = new DjlBackendProvider(empty, "linux-x86_64").probe();
            assertThat(probe.status()).isEqualTo(Probe.Status.MISSING_SOFTWARE);
            assertThat(probe.remedy()).contains("ai.djl.pytorch:pytorch-engine:0.35.1");
        }
        try (URLClassLoader engine = holding("pytorch-engine.properties", "jnilib/pytorch.properties")) {
            Probe probe = new DjlBackendProvider(engine, "linux-x86_64").probe();
            assertThat(probe.status()).isEqualTo(Probe.Status.MISSING_SOFTWARE);
            assertThat(probe.remedy()).contains("ai.djl.pytorch:pytorch-native-cpu:2.7.1").contains("ENGINE_CACHE_DIR");
        }
    }

    @Test
    void nativesOfAnotherPlatformDoNotCount() throws IOException {
        String library = "pytorch/cpu/linux-x86_64/" + System.mapLibraryName("torch");
        try (URLClassLoader natives = holding("pytorch-engine.properties", "jnilib/pytorch.properties", library)) {
            assertThat(new DjlBackendProvider(natives, "linux-x86_64").probe().isAvailable()).isTrue();
            assertThat(new DjlBackendProvider(natives, "osx-aarch64").probe().message()).contains("osx-aarch64");
        }
    }

    @Test
    void platformsAreNamedAsDjlNamesThem() {
        assertThat(DjlBackendProvider.platform("Linux", "amd64")).isEqualTo("linux-x86_64");
        assertThat(DjlBackendProvider.platform("Mac OS X", "aarch64")).isEqualTo("osx-aarch64");
        assertThat(DjlBackendProvider.platform("Windows 11", "amd64")).isEqualTo("win-x86_64");
    }
}
