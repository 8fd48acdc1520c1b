package dev.sequent.onednn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The probe explains every failure, and the files that it loads are whole. */
final class OneDnnProbeTest {
    private static final String HOME = "org/bytedeco/dnnl/linux-x86_64/";
    private static final String LINUX = "Linux amd64";

    @TempDir
    private Path directory;

    private URLClassLoader jar(String content) throws IOException {
        Path jar = directory.resolve("test.jar");
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
            for (String name : List.of("libgomp.so.1", "libdnnl.so.3")) {
                out.putNextEntry(new JarEntry(HOME + name));
                out.write((content + name).getBytes());
                out.closeEntry();
            }
        }
        return new URLClassLoader(new URL[] {jar.toUri().toURL()}, null);
    }

    @Test
    void missingJarIsNamed() throws IOException {
        try (URLClassLoader empty = new URLClassLoader(new URL[0], null)) {
            Probe probe = new OneDnnMatmulProvider(empty, directory, LINUX).probe();
            assertEquals(Probe.Status.MISSING_SOFTWARE, probe.status());
            assertTrue(probe.remedy().contains("org.bytedeco:dnnl:3.11"), probe.toString());
        }
    }

    @Test
    void otherPlatformIsNamed() {
        OneDnnMatmulProvider provider = new OneDnnMatmulProvider(getClass().getClassLoader(), directory, "Mac OS X aarch64");
        assertEquals(Probe.Status.UNSUPPORTED_HARDWARE, provider.probe().status());
        assertTrue(provider.probe().message().contains("Mac OS X aarch64"));
        BackendException e = assertThrows(BackendException.class, () -> provider.open(null));
        assertTrue(e.getMessage().contains("Mac OS X"), e.getMessage());
    }

    @Test
    void brokenLibraryIsExplained() throws IOException {
        try (URLClassLoader broken = jar("not a library: ")) {
            Probe probe = new OneDnnMatmulProvider(broken, directory.resolve("cache"), LINUX).probe();
            assertFalse(probe.isAvailable());
            assertTrue(probe.message().contains("libgomp.so.1"), probe.toString());
        }
    }

    @Test
    void damagedFileIsReplaced() throws IOException {
        List<String> names = List.of(HOME + "libgomp.so.1", HOME + "libdnnl.so.3");
        Path cache = directory.resolve("a").resolve("b");
        try (URLClassLoader loader = jar("content of ")) {
            Path file = files(loader, names, cache).get(1);
            assertEquals("content of libdnnl.so.3", Files.readString(file));
            Files.writeString(file, "CONTENT of libdnnl.so.3");
            assertEquals(file, files(loader, names, cache).get(1));
            assertEquals("content of libdnnl.so.3", Files.readString(file));
            Files.writeString(file, "cont");
            files(loader, names, cache);
            assertEquals("content of libdnnl.so.3", Files.readString(file));
            try (var left = Files.walk(cache)) {
                assertEquals(2, left.filter(Files::isRegularFile).count());
            }
        }
    }

    @Test
    void unusableCacheIsReplacedByTemporaryFiles() throws IOException {
        Path notADirectory = Files.writeString(directory.resolve("file"), "");
        List<Path> files;
        try (URLClassLoader loader = jar("content of ");
                NativeFiles extracted = NativeFiles.of(loader, List.of(HOME + "libgomp.so.1"), notADirectory).orElseThrow()) {
            files = extracted.files();
            assertEquals("content of libgomp.so.1", Files.readString(files.getFirst()));
        }
        assertFalse(Files.exists(files.getFirst()));
        assertFalse(Files.exists(files.getFirst().getParent().getParent()));
    }

    private static List<Path> files(ClassLoader loader, List<String> names, Path cache) throws IOException {
        Optional<NativeFiles> extracted = NativeFiles.of(loader, names, cache);
        try (NativeFiles files = extracted.orElseThrow()) {
            return files.files();
        }
    }
}
