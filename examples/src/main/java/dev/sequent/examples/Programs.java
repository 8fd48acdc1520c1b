package dev.sequent.examples;

import dev.sequent.backend.Backends;
import dev.sequent.spi.Backend;
import dev.sequent.tensor.Device;
import dev.sequent.type.SequentException;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** What the programs share: how they fail, how they check options, and how they open a device. */
final class Programs {
    /** Exit code for wrong options and wrong input. */
    static final int WRONG_INPUT = 2;

    /** Backends whose engines are too large to be fetched by everybody: profiles of the same names bring them. */
    private static final Set<String> ENGINES = Set.of("djl", "nd4j");

    private Programs() {}

    /** Runs a command; errors of the user's making become one sentence on stderr and exit code {@value #WRONG_INPUT}. */
    static int run(Object command, String... args) {
        CommandLine line = new CommandLine(command);
        String name = line.getCommandName();
        line.setParameterExceptionHandler((e, _) -> fail(line, name + ": " + e.getMessage() + " (--help lists all options)"));
        line.setExecutionExceptionHandler((e, _, _) -> {
            if (e instanceof SequentException) {
                return fail(line, name + ": " + e.getMessage());
            }
            throw e;
        });
        return line.execute(args);
    }

    private static int fail(CommandLine line, String message) {
        line.getErr().println(message);
        return WRONG_INPUT;
    }

    /** Fails unless {@code fits}; the message reads "--width must be ..., not ...". */
    static void require(boolean fits, CommandSpec spec, String option, String expected, Object given) {
        if (!fits) {
            throw new ParameterException(spec.commandLine(), option + " must be " + expected + ", not " + (given instanceof String s ? "'" + s + "'" : given));
        }
    }

    /** Opens a device, NAME or NAME:NUMBER; {@code threads} 0 leaves the number to the backend. */
    static Device open(CommandSpec spec, String backend, int threads) {
        String[] parts = backend.split(":", -1);
        require(parts.length == 1 || parts.length == 2 && parts[1].matches("[0-9]{1,3}"), spec, "--backend", "NAME or NAME:NUMBER", backend);
        require(threads >= 0, spec, "--threads", "at least 1, or 0 for all cores", threads);
        boolean isKnown = Backends.providers().stream().anyMatch(provider -> provider.name().equals(parts[0]));
        require(isKnown || !ENGINES.contains(parts[0]), spec, "--backend", "on the class path: give Maven the profile -P" + parts[0]
                + ", which fetches the engine", backend);
        Map<String, String> options = threads == 0 ? Map.of() : Map.of("threads", Integer.toString(threads));
        Backend opened = Backends.openBackend(parts[0], options);
        int device = parts.length == 1 ? 0 : Integer.parseInt(parts[1]);
        if (device >= opened.deviceCount()) {
            int devices = opened.deviceCount();
            opened.close();
            require(false, spec, "--backend", "a device of " + parts[0] + ", which has " + devices, backend);
        }
        return new Device(opened, device);
    }

    /** Whether people look at the output as it comes. */
    static boolean onTerminal() {
        return System.console() != null && System.console().isTerminal();
    }
}
