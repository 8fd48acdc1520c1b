package dev.sequent.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.backend.reference.ReferenceBackendProvider;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import dev.sequent.type.SequentException;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BackendsTest {
    @TempDir
    Path directory;

    /** A provider whose class works and whose backend does not. */
    public static final class Absent implements BackendProvider {
        @Override
        public String name() {
            return "absent";
        }

        @Override
        public int priority() {
            return 1000;
        }

        @Override
        public Probe probe() {
            return new Probe(Probe.Status.MISSING_SOFTWARE, "no driver", "install it");
        }

        @Override
        public Backend open(Map<String, String> options) {
            throw new AssertionError("opened in spite of its probe");
        }
    }

    /** A provider that breaks its promises. */
    public static final class Rude implements BackendProvider {
        @Override
        public String name() {
            return "rude";
        }

        @Override
        public int priority() {
            return 999;
        }

        @Override
        public Probe probe() {
            throw new IllegalStateException("probe exploded");
        }

        @Override
        public Backend open(Map<String, String> options) {
            throw new AssertionError("opened in spite of its probe");
        }
    }

    /** A provider that cannot be created. */
    public static final class Broken implements BackendProvider {
        /** Fails. */
        public Broken() {
            throw new IllegalStateException("constructor exploded");
        }

        @Override
        public String name() {
            return "broken";
        }

        @Override
        public int priority() {
            return 1;
        }

        @Override
        public Probe probe() {
            return Probe.available("never asked");
        }

        @Override
        public Backend open(Map<String, String> options) {
            throw new AssertionError("never created");
        }
    }

    @Test
    void referenceIsAlwaysThereAndOpens() {
        assertThat(Backends.providers()).extracting(BackendProvider::name).contains("reference");
        try (Backend backend = Backends.openBackend("reference")) {
            assertThat(backend.name()).isEqualTo("reference");
        }
    }

    @Test
    void unknownNameListsTheKnownOnes() {
        assertThatThrownBy(() -> Backends.openBackend("refrence"))
                .isInstanceOf(BackendException.class)
                .hasMessageContaining("\"refrence\"").hasMessageContaining("reference: AVAILABLE");
    }

    @Test
    void unknownOptionIsAnError() {
        assertThatThrownBy(() -> Backends.openBackend("reference", Map.of("thraeds", "3")))
                .isInstanceOf(SequentException.class).hasMessageContaining("thraeds");
    }

    @Test
    void propertyChoosesTheBackend() {
        String before = System.getProperty(Backends.PROPERTY);
        try {
            System.setProperty(Backends.PROPERTY, "reference");
            try (Backend backend = Backends.openBestBackend()) {
                assertThat(backend.name()).isEqualTo("reference");
            }
            System.setProperty(Backends.PROPERTY, "nonsense");
            assertThatThrownBy(Backends::openBestBackend).isInstanceOf(BackendException.class).hasMessageContaining("nonsense");
        } finally {
            if (before == null) {
                System.clearProperty(Backends.PROPERTY);
            } else {
                System.setProperty(Backends.PROPERTY, before);
            }
        }
    }

    @Test
    void explainShowsDevicesAndDtypes() {
        assertThat(Backends.explain()).contains("reference").contains("AVAILABLE").contains("device 0").contains("F64 F32 F16 BF16 I64 I32 BOOL");
    }

    @Test
    void unavailableBackendIsRefusedWithItsRemedy() {
        Discovery discovery = new Discovery(List.of(new Absent(), new Rude()), List.of());
        assertThatThrownBy(() -> Backends.openBackend(discovery, "absent", Map.of()))
                .isInstanceOf(BackendException.class).hasMessageContaining("no driver (install it)");
        assertThat(Backends.explain(discovery)).contains("MISSING_SOFTWARE").contains("probe exploded");
    }

    @Test
    void oneBrokenProviderNeverHidesTheOthers() throws IOException {
        Path services = Files.createDirectories(directory.resolve("META-INF/services")).resolve(BackendProvider.class.getName());
        Files.write(services, List.of("dev.sequent.NoSuchClass", Broken.class.getName(), BackendsTest.class.getName(), Absent.class.getName(),
                ReferenceBackendProvider.class.getName()));
        URL[] path = {directory.toUri().toURL()};
        try (URLClassLoader loader = new URLClassLoader(path, getClass().getClassLoader())) {
            Discovery discovery = Discovery.of(loader);
            assertThat(discovery.providers()).extracting(BackendProvider::name).contains("absent", "reference");
            assertThat(discovery.failures()).hasSize(3);
            assertThat(Backends.explain(discovery)).contains("NoSuchClass").contains("constructor exploded");
        }
    }

    @Test
    void malformedServiceFileIsReported() throws IOException {
        Path services = Files.createDirectories(directory.resolve("META-INF/services")).resolve(BackendProvider.class.getName());
        Files.writeString(services, "this is not a class name\n");
        URL[] path = {directory.toUri().toURL()};
        try (URLClassLoader loader = new URLClassLoader(path, getClass().getClassLoader())) {
            Discovery discovery = Discovery.of(loader);
            assertThat(discovery.providers()).extracting(BackendProvider::name).contains("reference");
            assertThat(discovery.failures()).isNotEmpty();
        }
    }
}
