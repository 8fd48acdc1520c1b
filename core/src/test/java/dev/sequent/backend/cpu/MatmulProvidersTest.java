package dev.sequent.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.service.ServiceFile;
import dev.sequent.service.Warnings;
import dev.sequent.spi.Backend;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.spi.Parallel;
import dev.sequent.spi.Probe;
import dev.sequent.type.ConfigException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the CPU backend makes of the matrix products that service files offer. */
class MatmulProvidersTest {
    @TempDir
    Path directory;

    private final ClassLoader own = Thread.currentThread().getContextClassLoader();

    @AfterEach
    void asBefore() {
        Thread.currentThread().setContextClassLoader(own);
    }

    /** A provider whose product takes nothing. */
    public static class Sound implements MatmulProvider {
        @Override
        public String name() {
            return "sound";
        }

        @Override
        public int priority() {
            return 1000;
        }

        @Override
        public Probe probe() {
            return Probe.available("it works");
        }

        @Override
        public Matmul open(Parallel pool) {
            return new Nothing();
        }
    }

    /** A provider that cannot say its name. */
    public static final class Nameless extends Sound {
        @Override
        public String name() {
            throw new IllegalStateException("no name");
        }
    }

    private static final class Nothing implements MatmulProvider.Matmul {
        @Override
        public boolean accepts(long m, long n, long k, int dtypeBytes) {
            return false;
        }

        @Override
        public void gemmF32(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
                float beta, MemorySegment c, long ldc) {
            throw new AssertionError("not accepted");
        }

        @Override
        public void gemmBf16(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
                float beta, MemorySegment c, long ldc) {
            throw new AssertionError("not accepted");
        }

        @Override
        public void gemmRounded(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
                float beta, MemorySegment c, long ldc) {
            throw new AssertionError("not accepted");
        }

        @Override
        public void close() {}
    }

    @Test
    void bf16ProductsWithoutTheirInstructionsAreAnError() throws IOException {
        try (URLClassLoader loader = ServiceFile.loader(directory, MatmulProvider.class, Sound.class.getName())) {
            Thread.currentThread().setContextClassLoader(loader);
            for (String choice : new String[] {"builtin", "auto", "sound"}) {
                assertThatThrownBy(() -> new CpuBackendProvider().open(Map.of("matmul", choice, "products", "bf16")))
                        .isInstanceOf(ConfigException.class).hasMessageContaining("products=bf16").hasMessageContaining("sequent-onednn")
                        .hasMessageContaining(choice.equals("auto") ? "sound" : choice);
            }
        }
    }

    /** A provider that works until it is opened. */
    public static final class Broken extends Sound {
        @Override
        public Matmul open(Parallel pool) {
            throw new IllegalStateException("not today");
        }
    }

    @Test
    void aProviderThatCannotBeOpenedLeavesNoThreads() throws IOException, InterruptedException {
        Set<Thread> before = Thread.getAllStackTraces().keySet();
        try (URLClassLoader loader = ServiceFile.loader(directory, MatmulProvider.class, Broken.class.getName())) {
            Thread.currentThread().setContextClassLoader(loader);
            assertThatThrownBy(() -> new CpuBackendProvider().open(Map.of("threads", "3"))).hasMessageContaining("not today");
        }
        for (Thread t : Thread.getAllStackTraces().keySet()) {
            if (!before.contains(t) && t.getName().startsWith("sequent-cpu-")) {
                t.join(10_000);
                assertThat(t.isAlive()).as(t.getName()).isFalse();
            }
        }
    }

    private String description(String choice, String... names) throws IOException {
        try (URLClassLoader loader = ServiceFile.loader(directory, MatmulProvider.class, names)) {
            Thread.currentThread().setContextClassLoader(loader);
            try (Backend backend = new CpuBackendProvider().open(Map.of("matmul", choice))) {
                return backend.capabilities(0).description();
            }
        }
    }

    @Test
    void brokenProvidersAreWarningsAndTheNextOneIsUsed() throws IOException {
        for (String choice : new String[] {"auto", "sound"}) {
            try (Warnings warnings = new Warnings("dev.sequent.backend.cpu")) {
                assertThat(description(choice, "dev.sequent.NoSuchProduct", Nameless.class.getName(), Sound.class.getName()))
                        .contains("sound");
                assertThat(warnings.messages()).hasSize(2);
                assertThat(warnings.messages().getFirst()).contains("NoSuchProduct");
                assertThat(warnings.messages().getLast()).contains("no name");
            }
        }
    }

    @Test
    void onlyBrokenProvidersLeaveTheBuiltInProduct() throws IOException {
        try (Warnings warnings = new Warnings("dev.sequent.backend.cpu")) {
            assertThat(description("auto", "dev.sequent.NoSuchProduct")).doesNotContain("NoSuchProduct");
            assertThat(warnings.messages()).hasSize(1);
        }
    }
}
