package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The README's program is the one that the build compiles and runs as a separate project. */
class ReadmeTest {
    @Test
    void theFirstProgramIsTheConsumersProgram() throws IOException {
        Path root = Path.of("").toAbsolutePath().endsWith("examples") ? Path.of("..") : Path.of("");
        String readme = Files.readString(root.resolve("README.md"));
        int start = readme.indexOf("```java\n") + "```java\n".length();
        String program = readme.substring(start, readme.indexOf("```", start));
        assertThat(program).isEqualTo(Files.readString(root.resolve("examples/consumer/src/it/hybrid/src/main/java/Hybrid.java")));
    }
}
