package dev.sequent.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/**
 * Whether HotSpot's first compiler, C1, takes every vector kernel. It gives up on a method that needs too many registers with all that it
 * inlines, and every vector operation is inlined; how much that is depends on what has been loaded, so that it differs from process to
 * process. A process in which C1 gave up may run the kernel a hundred times too slowly for its whole life.
 *
 * <p>{@link #check} starts a JVM that loads all classes of the kernels, uses vectors, so that as much as possible can be inlined, and then
 * compiles every kernel by calling it without operands.
 *
 * <pre>{@code
 * class KernelCompilationTest {
 *     @Test
 *     void theFirstCompilerTakesEveryKernel() {
 *         FirstCompiler.check(SelectiveScan.class);
 *     }
 * }
 * }</pre>
 *
 * <p>On another JVM than HotSpot the calling test is skipped with a printed reason, or fails under {@code -Dsequent.requireAll=true}.
 * Thread-safe.
 */
public final class FirstCompiler {
    private static final String PACKAGE = "dev.sequent.";
    private static final String VECTORS = "jdk/incubator/vector/";
    /** Longer methods are compiled by themselves, and not only with their callers ({@code -XX:C1MaxInlineSize}). */
    private static final int INLINED_BYTES = 35;
    private static final int PATIENCE_MINUTES = 5;
    /** Methods are compiled when they are called first, which reflection must not hide behind method handles. */
    private static final List<String> FLAGS = List.of("-XX:+UseSerialGC", "-Xcomp", "-XX:TieredStopAtLevel=3", "-XX:+PrintCompilation",
            "-XX:CompileCommand=quiet", "-XX:CompileCommand=compileonly," + PACKAGE + "*::*", "-Djdk.reflect.useNativeAccessorOnly=true",
            "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED");
    private static final Pattern LINE = Pattern.compile("(" + Pattern.quote(PACKAGE) + "\\S+::\\S+).*?\\(\\d+ bytes\\)(.*)");

    private FirstCompiler() {}

    /**
     * What a run compiled.
     *
     * @param compiled methods of this library, as {@code class::method}
     * @param skipped the lines of those that were given up
     */
    record Log(Set<String> compiled, List<String> skipped) {
        static Log of(Stream<String> lines) {
            Set<String> compiled = new TreeSet<>();
            List<String> skipped = new ArrayList<>();
            lines.map(LINE::matcher).filter(Matcher::find).forEach(line -> {
                compiled.add(line.group(1));
                if (line.group(2).contains("COMPILE SKIPPED")) {
                    skipped.add(line.group());
                }
            });
            return new Log(compiled, skipped);
        }
    }

    /**
     * Fails when C1 skips one of the vector kernels beside {@code module}: methods with vector operations that are too long to be inlined.
     */
    public static void check(Class<?> module) {
        Set<String> kernels = kernels(module);
        Assertions.assertFalse(kernels.isEmpty(), "no kernels beside " + module);
        Log log = run(kernels);
        Assertions.assertEquals(List.of(), log.skipped(), "methods that C1 skips; divide them");
        kernels.removeAll(log.compiled());
        Assertions.assertEquals(Set.of(), kernels, "kernels that were not compiled");
    }

    /** Compiles methods, given as {@code class::method}, in a JVM of its own. */
    static Log run(Set<String> methods) {
        requireHotSpot();
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(FLAGS);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Child.class.getName()));
        command.addAll(methods);
        try {
            Path output = Files.createTempFile("first-compiler", ".log");
            try {
                Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start();
                boolean ended = process.waitFor(PATIENCE_MINUTES, TimeUnit.MINUTES);
                process.destroyForcibly();
                List<String> lines = Files.readAllLines(output, StandardCharsets.UTF_8);
                if (!ended || process.exitValue() != 0) {
                    String tail = String.join("\n", lines.subList(Math.max(0, lines.size() - 40), lines.size()));
                    Assertions.fail("the JVM that compiles " + (ended ? "failed: " : "did not end: ") + tail);
                }
                return Log.of(lines.stream());
            } finally {
                Files.delete(output);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    private static void requireHotSpot() {
        String name = System.getProperty("java.vm.name");
        if (name.contains("OpenJDK") || name.contains("HotSpot")) {
            return;
        }
        String message = "what the first compiler skips is read from HotSpot's log, and this JVM is " + name;
        if (Boolean.getBoolean("sequent.requireAll")) {
            Assertions.fail(message);
        }
        System.out.println("SKIPPED: " + message);
        Assumptions.abort(message);
    }

    /** The methods with vector operations in the classes beside {@code module} that are too long to be inlined. */
    static Set<String> kernels(Class<?> module) {
        try {
            Path place = Path.of(module.getProtectionDomain().getCodeSource().getLocation().toURI());
            if (Files.isDirectory(place)) {
                return kernelsBelow(place);
            }
            try (FileSystem jar = FileSystems.newFileSystem(place)) {
                return kernelsBelow(jar.getPath("/"));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    private static Set<String> kernelsBelow(Path root) throws IOException {
        Set<String> found = new TreeSet<>();
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".class")).toList()) {
                ClassModel model = ClassFile.of().parse(Files.readAllBytes(file));
                String owner = model.thisClass().asInternalName().replace('/', '.');
                model.methods().stream().filter(FirstCompiler::isKernel)
                        .forEach(method -> found.add(owner + "::" + method.methodName().stringValue()));
            }
        }
        return found;
    }

    private static boolean isKernel(MethodModel method) {
        return !method.methodName().equalsString("<clinit>") && method.code().filter(code -> code instanceof CodeAttribute a
                && a.codeLength() > INLINED_BYTES && code.elementStream().anyMatch(e -> e instanceof InvokeInstruction call
                && call.owner().asInternalName().startsWith(VECTORS))).isPresent();
    }

    /** What the other JVM runs. */
    static final class Child {
        private Child() {}

        /** Calls every method that is named, as {@code class::method}, without operands. */
        public static void main(String[] methods) throws ClassNotFoundException {
            Set<String> names = new TreeSet<>(List.of(methods));
            List<Class<?>> owners = new ArrayList<>();
            for (String owner : names.stream().map(name -> name.substring(0, name.indexOf("::"))).distinct().toList()) {
                owners.add(Class.forName(owner));
            }
            VectorUse.run();
            for (Class<?> owner : owners) {
                for (Method method : owner.getDeclaredMethods()) {
                    if (names.contains(owner.getName() + "::" + method.getName())) {
                        call(owner, method);
                    }
                }
            }
        }

        private static void call(Class<?> owner, Method method) {
            try {
                method.setAccessible(true);
                method.invoke(Modifier.isStatic(method.getModifiers()) ? null : instance(owner), nothing(method.getParameterTypes()));
            } catch (ReflectiveOperationException e) {
                // it has been compiled before it noticed that its operands are missing
            }
        }

        private static Object instance(Class<?> owner) throws ReflectiveOperationException {
            Constructor<?> constructor = owner.getDeclaredConstructors()[0];
            constructor.setAccessible(true);
            return constructor.newInstance(nothing(constructor.getParameterTypes()));
        }

        /** Zeros and nulls. */
        private static Object[] nothing(Class<?>[] types) {
            return Stream.of(types).map(type -> type.isPrimitive() ? Array.get(Array.newInstance(type, 1), 0) : null).toArray();
        }
    }
}
