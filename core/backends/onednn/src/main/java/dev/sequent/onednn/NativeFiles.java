package dev.sequent.onednn;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.jar.JarEntry;
import java.util.stream.Stream;
import java.util.zip.CRC32;

/**
 * Puts the shared libraries of a jar into files, from which alone they can be loaded.
 *
 * <p>Files are kept in the user's cache directory, below a name made of size and checksum, and checked each time: a file that was cut
 * off or changed is replaced. A file appears under its name only when it is complete, so processes may do this at the same time. Where
 * the cache directory cannot be used, a private temporary directory serves, which {@link #close} removes; Linux lets a loaded library
 * be removed.
 */
final class NativeFiles implements AutoCloseable {
    private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rwx------");
    private static final int BUFFER = 1 << 16;

    private final Path temporary;
    private final List<Path> files;

    private NativeFiles(Path temporary, List<Path> files) {
        this.temporary = temporary;
        this.files = files;
    }

    /** Size and checksum of a library in a jar. */
    private record Entry(URL url, String name, long size, long crc) {
        static Entry of(URL url, String name) throws IOException {
            URLConnection connection = url.openConnection();
            if (connection instanceof JarURLConnection jar) {
                JarEntry entry = jar.getJarEntry();
                if (entry.getSize() >= 0 && entry.getCrc() >= 0) {
                    return new Entry(url, name, entry.getSize(), entry.getCrc());
                }
            }
            try (InputStream in = url.openStream()) {
                CRC32 crc = new CRC32();
                long size = checksum(in, crc);
                return new Entry(url, name, size, crc.getValue());
            }
        }

        String key() {
            return HexFormat.of().toHexDigits(crc, 8) + "-" + size;
        }

        boolean matches(Path file) throws IOException {
            if (!Files.isRegularFile(file) || Files.size(file) != size) {
                return false;
            }
            try (InputStream in = Files.newInputStream(file)) {
                CRC32 sum = new CRC32();
                return checksum(in, sum) == size && sum.getValue() == crc;
            }
        }
    }

    private static long checksum(InputStream in, CRC32 crc) throws IOException {
        byte[] buffer = new byte[BUFFER];
        long size = 0;
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            crc.update(buffer, 0, n);
            size += n;
        }
        return size;
    }

    /**
     * Files with the content of {@code resources}, or nothing where {@code loader} does not see the first of them.
     *
     * @param cache directory to keep them in
     */
    static Optional<NativeFiles> of(ClassLoader loader, List<String> resources, Path cache) throws IOException {
        List<Entry> entries = new ArrayList<>();
        for (String resource : resources) {
            URL url = loader.getResource(resource);
            if (url == null) {
                return Optional.empty();
            }
            entries.add(Entry.of(url, resource.substring(resource.lastIndexOf('/') + 1)));
        }
        try {
            return Optional.of(new NativeFiles(null, extract(entries, directory(cache))));
        } catch (IOException unusable) {
            Path temporary = Files.createTempDirectory("sequent-onednn-");
            try {
                return Optional.of(new NativeFiles(temporary, extract(entries, temporary)));
            } catch (IOException e) {
                delete(temporary);
                e.addSuppressed(unusable);
                throw e;
            }
        }
    }

    /** {@code $XDG_CACHE_HOME/sequent} or {@code ~/.cache/sequent}. */
    static Path cacheDirectory() {
        String base = System.getenv("XDG_CACHE_HOME");
        Path root = base != null && !base.isBlank() ? Path.of(base) : Path.of(System.getProperty("user.home"), ".cache");
        return root.resolve("sequent").resolve("onednn");
    }

    private static Path directory(Path cache) throws IOException {
        Files.createDirectories(cache);
        if (!Files.isWritable(cache) || !Files.getOwner(cache).getName().equals(System.getProperty("user.name"))) {
            throw new IOException(cache + " is not a directory that belongs to this user");
        }
        Files.setPosixFilePermissions(cache, OWNER_ONLY);
        return cache;
    }

    private static List<Path> extract(List<Entry> entries, Path directory) throws IOException {
        List<Path> files = new ArrayList<>();
        for (Entry entry : entries) {
            Path home = directory.resolve(entry.key());
            Files.createDirectories(home);
            Path file = home.resolve(entry.name);
            if (!entry.matches(file)) {
                write(entry, file);
            }
            files.add(file);
        }
        return List.copyOf(files);
    }

    private static void write(Entry entry, Path file) throws IOException {
        Path part = Files.createTempFile(file.getParent(), entry.name, ".part");
        try {
            try (InputStream in = entry.url.openStream()) {
                Files.copy(in, part, StandardCopyOption.REPLACE_EXISTING);
            }
            if (!entry.matches(part)) {
                throw new IOException("the copy of " + entry.url + " in " + part + " differs from it");
            }
            try {
                Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
            } catch (FileAlreadyExistsException e) {
                // Another process was faster, on a file system that does not replace.
                if (!entry.matches(file)) {
                    throw e;
                }
            }
        } finally {
            Files.deleteIfExists(part);
        }
    }

    /** The files, in the order of the resources. */
    List<Path> files() {
        return files;
    }

    /** Removes temporary files, once the libraries are loaded. */
    @Override
    public void close() throws IOException {
        if (temporary != null) {
            delete(temporary);
        }
    }

    private static void delete(Path directory) throws IOException {
        try (Stream<Path> paths = Files.walk(directory)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        }
    }
}
