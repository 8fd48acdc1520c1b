package dev.sequent.examples;

import dev.sequent.backend.Backends;
import dev.sequent.spi.BackendProvider;
import dev.sequent.tensor.Device;
import dev.sequent.type.SequentException;
import java.util.List;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** What the programs share: how they fail, how they check options, and how they open a device. */
final class Programs {
    /** Exit code for wrong options and wrong input. */
    static final int WRONG_INPUT = 2;

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

    /** Opens the first device of a backend; {@code threads} 0 leaves the number to the backend. */
    static Device open(CommandSpec spec, String backend, int threads) {
        List<String> known = Backends.providers().stream().map(BackendProvider::name).toList();
        require(known.contains(backend), spec, "--backend", "one of " + String.join(", ", known), backend);
        require(threads >= 0, spec, "--threads", "at least 1, or 0 for all cores", threads);
        return Device.open(backend, threads == 0 ? Map.of() : Map.of("threads", Integer.toString(threads)));
    }

    /** Whether people look at the output as it comes. */
    static boolean onTerminal() {
        return System.console() != null && System.console().isTerminal();
    }
}
