package dev.sequent.examples;

import dev.sequent.type.SequentException;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** What the programs share: how they fail, and how they check options. */
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
            throw new ParameterException(spec.commandLine(),
                    option + " must be " + expected + ", not " + (given instanceof String s ? "'" + s + "'" : given));
        }
    }

    /** Whether people look at the output as it comes. */
    static boolean onTerminal() {
        return System.console() != null && System.console().isTerminal();
    }
}
