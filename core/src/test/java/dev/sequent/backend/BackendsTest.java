package dev.sequent.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.backend.cpu.CpuBackendProvider;
import dev.sequent.backend.reference.ReferenceBackendProvider;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.Detour;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.SequentException;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
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

    /** A provider whose class fails to initialise. */
    public static final class Uninitialised extends Odd {
        private static final int DEPTH = explode();

        private static int explode() {
            throw new IllegalStateException("static initialiser exploded");
        }

        @Override
        public int priority() {
            return DEPTH;
        }
    }

    /** A provider that cannot say who it is. */
    public static final class Nameless extends Odd {
        @Override
        public String name() {
            return null;
        }
    }

    /** A provider whose probe overlooks that a native library is missing. */
    public static final class Unlinked extends Odd {
        @Override
        public String name() {
            return "unlinked";
        }

        @Override
        public Backend open(Map<String, String> options) {
            throw new UnsatisfiedLinkError("no such library");
        }
    }

    /** A provider of a backend that lacks a dtype and an operation, and otherwise is the reference. */
    public static class Odd implements BackendProvider {
        @Override
        public String name() {
            return "odd";
        }

        @Override
        public int priority() {
            return 998;
        }

        @Override
        public Probe probe() {
            return Probe.available("it seems");
        }

        @Override
        public Backend open(Map<String, String> options) {
            Capabilities can = new Capabilities("odd", Set.of(DType.F32, DType.I64, DType.BOOL), true,
                    List.of(new Detour("topK", Set.of(DType.F32), Detour.How.HOST, "it has none")));
            Backend reference = new ReferenceBackendProvider().open(options);
            return (Backend) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {Backend.class},
                    (_, method, given) -> switch (method.getName()) {
                        case "capabilities" -> can;
                        case "name" -> "odd";
                        default -> method.invoke(reference, given);
                    });
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
        assertThat(Backends.explain()).contains("reference").contains("AVAILABLE").contains("device 0").containsPattern("BF16 .*yes +yes")
                .containsPattern("full upload .*native +native").containsPattern("unary NEG ABS");
    }

    @Test
    void explainShowsKernelsDetoursAndRefusals() {
        String table = Explanation.of(new Discovery(List.of(new CpuBackendProvider(), new Odd()), List.of()));
        assertThat(table.lines().filter(line -> line.startsWith("  CrossEntropy"))).singleElement().asString().contains("cross-entropy")
                .contains("decomposition");
        assertThat(table.lines().filter(line -> line.contains(" BF16"))).singleElement().asString().containsPattern("yes +refused");
        assertThat(table.lines().filter(line -> line.startsWith("  topK  "))).singleElement().asString()
                .containsPattern("native +host F32");
        assertThat(table).contains("why odd:0 goes another way").contains("  topK of F32, host: it has none");
    }

    @Test
    void oneBackendThatCannotBeOpenedNeverStopsTheOthers() {
        Discovery discovery = new Discovery(List.of(new Unlinked(), new Rude(), new Absent(), new ReferenceBackendProvider()), List.of());
        try (Backend best = Backends.openBest(discovery)) {
            assertThat(best.name()).isEqualTo("reference");
        }
        assertThatThrownBy(() -> Backends.openBackend(discovery, "unlinked", Map.of())).isInstanceOf(BackendException.class)
                .hasMessageContaining("[open unlinked]").hasMessageContaining("no such library");
        assertThat(Explanation.of(discovery)).contains("could not be opened: java.lang.UnsatisfiedLinkError: no such library")
                .containsPattern("full upload .*native");
        assertThatThrownBy(() -> Backends.openBackend(discovery, "nonsense", Map.of())).isInstanceOf(BackendException.class)
                .hasMessageContaining("unlinked: AVAILABLE").hasMessageContaining("probe exploded")
                .hasMessageContaining("no driver (install it)");
    }

    @Test
    void unavailableBackendIsRefusedWithItsRemedy() {
        Discovery discovery = new Discovery(List.of(new Absent(), new Rude()), List.of());
        assertThatThrownBy(() -> Backends.openBackend(discovery, "absent", Map.of()))
                .isInstanceOf(BackendException.class).hasMessageContaining("no driver (install it)");
        assertThat(Explanation.of(discovery)).contains("MISSING_SOFTWARE").contains("probe exploded");
    }

    @Test
    void oneBrokenProviderNeverHidesTheOthers() throws IOException {
        Path services = Files.createDirectories(directory.resolve("META-INF/services")).resolve(BackendProvider.class.getName());
        Files.write(services, List.of("dev.sequent.NoSuchClass", Broken.class.getName(), BackendsTest.class.getName(),
                Absent.class.getName(), Uninitialised.class.getName(), Nameless.class.getName(), ReferenceBackendProvider.class.getName()));
        URL[] path = {directory.toUri().toURL()};
        try (URLClassLoader loader = new URLClassLoader(path, getClass().getClassLoader())) {
            Discovery discovery = Discovery.of(loader);
            assertThat(discovery.providers()).extracting(BackendProvider::name).contains("absent", "reference");
            assertThat(discovery.failures()).hasSize(5);
            assertThat(Explanation.of(discovery)).contains("NoSuchClass").contains("constructor exploded")
                    .contains("static initialiser exploded")
                    .contains("Nameless");
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
