package dev.sequent.backend.cuda;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A shared library that was found under one of several names, for the life of the process. Thread-safe. */
final class NativeLibrary {
    private final SymbolLookup symbols;
    private final String path;

    private NativeLibrary(SymbolLookup symbols, String path) {
        this.symbols = symbols;
        this.path = path;
    }

    /** A library that could not be opened; the message lists what was tried. */
    static final class NotFound extends Exception {
        private static final long serialVersionUID = 1L;

        NotFound(String message) {
            super(message);
        }
    }

    /**
     * Opens the first library that exists: every name in every folder, then every name as the system's loader finds it.
     *
     * @throws NotFound if there is none, or none could be loaded
     */
    static NativeLibrary open(List<Path> folders, String... names) throws NotFound {
        List<String> failures = new ArrayList<>();
        for (String name : names) {
            for (Path folder : folders) {
                Path file = folder.resolve(name);
                if (Files.exists(file)) {
                    try {
                        return new NativeLibrary(load(file), file.toString());
                    } catch (IllegalArgumentException e) {
                        failures.add(file + " could not be loaded");
                    }
                }
            }
        }
        for (String name : names) {
            try {
                return new NativeLibrary(load(name), name);
            } catch (IllegalArgumentException e) {
                failures.add(name + " is not where the system looks for libraries");
            }
        }
        throw new NotFound(String.join("; ", failures) + "; folders searched: " + folders);
    }

    @SuppressWarnings("restricted")
    private static SymbolLookup load(Path file) {
        return SymbolLookup.libraryLookup(file, Arena.global());
    }

    @SuppressWarnings("restricted")
    private static SymbolLookup load(String name) {
        return SymbolLookup.libraryLookup(name, Arena.global());
    }

    /** Loads the files beside this library whose names match: what it opens itself by name without knowing where. */
    void loadNeighbours(String pattern) {
        Path folder = Path.of(path).getParent();
        if (folder == null) {
            return;
        }
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.filter(f -> f.getFileName().toString().matches(pattern)).sorted().toList()) {
                load(file);
            }
        } catch (IOException | IllegalArgumentException e) {
            System.getLogger(NativeLibrary.class.getPackageName()).log(System.Logger.Level.DEBUG, "neighbours of " + path, e);
        }
    }

    /** The file, or the name under which the system's loader found it. */
    String path() {
        return path;
    }

    /** A function that returns a status; {@code names} are separated by bars, the first that exists is taken. */
    MethodHandle function(String names, MemoryLayout... parameters) {
        return function(FunctionDescriptor.of(ValueLayout.JAVA_INT, parameters), names);
    }

    /** A function of any type. */
    MethodHandle function(FunctionDescriptor type, String names) {
        MethodHandle handle = optional(type, names);
        if (handle == null) {
            throw new IllegalArgumentException(path + " has no function " + names.replace("|", " or "));
        }
        return handle;
    }

    /** A function, or null where the library is too old to have it. */
    @SuppressWarnings("restricted")
    MethodHandle optional(FunctionDescriptor type, String names) {
        for (String name : names.split("\\|")) {
            var symbol = symbols.find(name);
            if (symbol.isPresent()) {
                return Linker.nativeLinker().downcallHandle(symbol.get(), type);
            }
        }
        return null;
    }
}
