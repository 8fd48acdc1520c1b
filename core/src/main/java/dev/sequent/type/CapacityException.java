package dev.sequent.type;

/** A state cannot hold as many tokens as it was given. */
public class CapacityException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public CapacityException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public CapacityException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public CapacityException(String message, Throwable cause) {
        super(message, cause);
    }
}
