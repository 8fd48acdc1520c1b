package dev.sequent.type;

/** A configuration value is missing, unknown or out of range. */
public class ConfigException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public ConfigException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public ConfigException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public ConfigException(String message, Throwable cause) {
        super(message, cause);
    }
}
