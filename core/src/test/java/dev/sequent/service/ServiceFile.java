package dev.sequent.service;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A class loader that finds one more service file than the tests' own. */
public final class ServiceFile {
    private ServiceFile() {}

    /** A loader for which {@code directory}, which it writes, lists the classes {@code names} as providers of {@code service}. */
    public static URLClassLoader loader(Path directory, Class<?> service, String... names) throws IOException {
        Files.write(Files.createDirectories(directory.resolve("META-INF/services")).resolve(service.getName()), List.of(names));
        return new URLClassLoader(new URL[] {directory.toUri().toURL()}, ServiceFile.class.getClassLoader());
    }
}
