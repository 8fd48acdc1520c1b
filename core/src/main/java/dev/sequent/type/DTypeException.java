package dev.sequent.type;

/** An element type does not fit the operation, or the backend does not support it. */
public class DTypeException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public DTypeException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public DTypeException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public DTypeException(String message, Throwable cause) {
        super(message, cause);
    }
}
