package dev.sequent.examples;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.function.IntSupplier;

/** What a program printed, and its exit code. */
public record Captured(int exitCode, String out, String err) {
    /** Runs a program with both streams redirected. */
    public static Captured of(IntSupplier program) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream outBytes = new ByteArrayOutputStream();
        ByteArrayOutputStream errBytes = new ByteArrayOutputStream();
        System.setOut(new PrintStream(outBytes, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(errBytes, true, StandardCharsets.UTF_8));
        int exitCode;
        try {
            exitCode = program.getAsInt();
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        return new Captured(exitCode, outBytes.toString(StandardCharsets.UTF_8), errBytes.toString(StandardCharsets.UTF_8));
    }
}
